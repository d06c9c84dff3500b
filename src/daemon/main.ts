/** The daemon: claims its runtime directory, runs the simulator, and serves the operator until it is told to stop. */
import { destination, type Logger, pino } from 'pino';
import { native } from '../../devfs/native.js';
import type { DaemonStatus } from '../admin/protocol.js';
import { type AdminBackend, AdminServer } from '../admin/server.js';
import { version } from '../admin/version.js';
import { type Config, defaultConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { EventType } from '../core/events.js';
import { RuntimeDirectory } from './runtime-directory.js';
import { Simulator } from './simulator.js';
import { notifySystemd, ReadyLine } from './supervisor.js';
import { recoverSystemMode, SystemMode } from './system-mode.js';

export interface DaemonOptions {
  runtimeDirectory: string;
  /** A TOML file; without one, the default configuration holds. */
  config?: string | undefined;
  /** Take the place of the machine's own RDMA devices, for every process. */
  system?: boolean | undefined;
  /** For all devices, whatever the configuration says. */
  driverWithoutDisassociate?: boolean | undefined;
  /** Where to write the line that says whether the start succeeded. */
  readyFd?: number | undefined;
  /** Stop when this process exits. */
  whilePid?: number | undefined;
}

/** Why the daemon ends, and with which exit code. */
interface Stop {
  reason: string;
  exitCode: number;
}

/** Anything may ask for the end, at any time; the first one counts. */
class StopRequest {
  readonly requested: Promise<Stop>;
  readonly request: (reason: string, exitCode?: number) => void;

  constructor() {
    let resolve: (stop: Stop) => void = () => {};
    this.requested = new Promise((settle) => {
      resolve = settle;
    });
    this.request = (reason, exitCode = 0) => resolve({ reason, exitCode });
  }
}

/** What was set up, to be taken down in reverse. */
class Teardown {
  readonly #steps: { name: string; undo: () => void | Promise<void> }[] = [];
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(name: string, undo: () => void | Promise<void>): void {
    this.#steps.push({ name, undo });
  }

  /** A step that fails does not keep the others from being taken. */
  async run(): Promise<void> {
    for (const { name, undo } of this.#steps.splice(0).toReversed()) {
      try {
        await undo();
      } catch (err) {
        this.#log.error({ err }, `${name} could not be closed`);
      }
    }
  }
}

async function readConfig(options: DaemonOptions): Promise<Config> {
  const config = options.config === undefined ? defaultConfig : await loadConfig(options.config);
  if (options.driverWithoutDisassociate !== true) return config;
  const devices = config.devices.map((device) => ({ ...device, driverWithoutDisassociate: true }));
  return { ...config, devices };
}

/** Clients under `verbsim run` and in the system-wide mode have the first; the second is there for all others. */
function clientDirectories(mountpoint: string): string[] {
  return ['/dev/infiniband', `${mountpoint}/dev/infiniband`];
}

/** A second signal while the daemon ends finds the default action, and kills it. */
function stopOnSignals({ request }: StopRequest): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => request(signal));
}

function stopOnFault({ request }: StopRequest, log: Logger): void {
  const fault = (err: unknown) => {
    log.fatal({ err }, 'a fault in the simulator');
    request('a fault in the simulator', 1);
  };
  process.on('uncaughtException', fault);
  process.on('unhandledRejection', fault);
}

function stopWithProcess(pid: number, { request }: StopRequest): void {
  const gone = () => request(`process ${pid} has exited`);
  const pidfd = native.pidfdOpen(pid);
  if (pidfd < 0) gone();
  else native.onProcessExit(pidfd, gone);
}

function describe(simulator: Simulator, mountpoint: string): DaemonStatus {
  return {
    pid: process.pid,
    version,
    uptimeSeconds: Math.round(process.uptime()),
    mountpoint,
    devices: simulator
      .devices()
      .filter((device) => device.plugged)
      .map((device) => device.name),
    openFiles: simulator.status().openFiles,
    residentBytes: process.memoryUsage.rss(),
  };
}

/** What a ConnectX-3 takes for each half of a restart: resetting the chip, and initialising it. */
const RESTART_MILLISECONDS = 2000;

async function start(
  options: DaemonOptions,
  log: Logger,
  stop: StopRequest,
  teardown: Teardown,
): Promise<void> {
  const runtime = RuntimeDirectory.claim(options.runtimeDirectory);
  teardown.add('the runtime directory', () => runtime.release());
  const config = await readConfig(options);
  log.level = config.logLevel;
  log.debug({ openFiles: native.raiseFileLimit() }, 'the limit on open files is raised');
  const { mountpoint, adminSocket } = runtime.paths;
  recoverSystemMode();
  const abandoned = RuntimeDirectory.removeAbandoned();
  if (abandoned.length > 0) log.info({ abandoned }, 'what killed simulators have left is cleared away');

  const simulator = await Simulator.start({
    mountpoint,
    clientDirectories: clientDirectories(mountpoint),
    config,
    log,
    onLost: () => stop.request('the file system was unmounted by somebody else', 1),
  });
  teardown.add('the simulator', () => simulator.close());

  if (options.system === true) {
    const system = await SystemMode.enter(mountpoint);
    teardown.add('the system-wide mode', () => system.leave());
  }

  const backend: AdminBackend = {
    devices: () => simulator.devices(),
    addDevice: (device) => simulator.addDevice(device),
    deleteDevice: (device) => simulator.deleteDevice(device),
    fatal: (device, realistic) => simulator.fatal(device, realistic ? RESTART_MILLISECONDS : 0),
    reset: (device, realistic) => simulator.reset(device, realistic ? RESTART_MILLISECONDS : 0),
    setLink: (device, port, up) => simulator.setLink(device, port, up),
    raisePortEvent: (device, port, event) => simulator.raisePortEvent(device, port, EventType[event]),
    watch: (listener) => simulator.journal.subscribe(listener),
    plug: (device) => simulator.plug(device),
    unplug: (device) => simulator.unplug(device),
    resources: () => simulator.resources(),
    status: () => describe(simulator, mountpoint),
    shutdown: () => stop.request('asked to shut down'),
  };
  const { socketGroup } = config;
  const admin = await AdminServer.start({ path: adminSocket, socketGroup, backend, log });
  teardown.add('the admin socket', () => admin.close());
  log.info({ mountpoint, devices: config.devices.map(({ name }) => name) }, 'the simulator is running');
}

/**
 * Runs until it is told to stop, and returns the exit code. If the start fails, throws what went wrong (its message
 * is a sentence for the operator) after everything has been taken down again.
 */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const ready = new ReadyLine(options.readyFd);
  const stop = new StopRequest();
  stopOnSignals(stop);
  const log = pino({ base: null }, destination({ fd: 2, sync: true }));
  stopOnFault(stop, log);
  const teardown = new Teardown(log);
  try {
    await start(options, log, stop, teardown);
  } catch (error) {
    await teardown.run();
    ready.failed((error as Error).message);
    throw error;
  }
  if (options.whilePid !== undefined) stopWithProcess(options.whilePid, stop);
  await notifySystemd('READY=1', log);
  ready.ready();

  const { reason, exitCode } = await stop.requested;
  log.info({ reason }, 'the simulator stops');
  await notifySystemd('STOPPING=1', log);
  await teardown.run();
  return exitCode;
}
