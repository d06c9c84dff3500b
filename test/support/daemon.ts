/** A private simulator for one test. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { isMounted } from '../../devfs/mountinfo.js';
import { native } from '../../devfs/native.js';
import { runtimePaths } from '../../src/admin/runtime-paths.js';

export { isMounted };

/** From dist/test/support. */
export const VERBSIM = fileURLToPath(new URL('../../../tools/verbsim/bin.mjs', import.meta.url));

/** For what takes milliseconds; it only bounds a hang. */
const PATIENCE_MS = 60_000;

export interface Output {
  /** The exit code, or the signal's name, or that it was killed for taking too long. */
  code: number | string;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. It is killed after four minutes, or another time, which only bound a hang. */
export function execute(
  file: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
  timeout = 4 * 60_000,
): Promise<Output> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout, maxBuffer: 64 * 2 ** 20 };
    execFile(file, args, options, (error, stdout, stderr) => {
      const ending = error?.killed ? `killed after ${timeout / 1000} s` : error?.signal;
      const code = error === null ? 0 : (error.code ?? ending ?? 'unknown');
      resolve({ code, stdout, stderr });
    });
  });
}

/** Throws an Error that says what the tests need if they cannot mount here. */
export function requireMounts(): void {
  if (process.getuid?.() !== 0) throw new Error('this test mounts a file system: run it as root');
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
  } catch (cause) {
    throw new Error('this test needs /dev/fuse: load the module, or pass the device into the container', {
      cause,
    });
  }
}

/** Calls `condition` until it holds. Throws an Error if that takes too long. */
export async function eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline)
      throw new Error(`it did not happen within ${PATIENCE_MS / 1000} s that ${what}`);
    await setTimeout(10);
  }
}

/** A directory for one simulator; when the test ends, what is mounted there is unmounted and it is removed. */
export function runtimeDirectory(t: Test): string {
  const directory = mkdtempSync('/run/verbsim-test-');
  t.teardown(() => {
    const { mountpoint } = runtimePaths(directory);
    while (isMounted(mountpoint)) native.umount(mountpoint, native.MNT_DETACH);
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

async function stop(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return;
  const exited = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  const killer = globalThis.setTimeout(() => daemon.kill('SIGKILL'), PATIENCE_MS);
  await exited;
  clearTimeout(killer);
}

/** A program that is under way. */
export interface Running {
  readonly child: ChildProcess;
  /** So far. */
  readonly output: { stdout: string; stderr: string };
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;
}

/** Starts a program; it is killed when the test ends. */
export function launch(t: Test, file: string, args: string[]): Running {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  return { child, output, ended: once(child, 'close').then(([code, signal]) => code ?? signal) };
}

export interface DaemonOptions {
  /** TOML. */
  config?: string;
  /** Further flags of `verbsim daemon`. */
  flags?: string[];
}

export interface Daemon {
  readonly runtimeDir: string;
  readonly mountpoint: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** What it has logged so far. */
  log(): string;
  /** Runs `verbsim ARGS` against it. */
  verbsim(...args: string[]): Promise<Output>;
  /** The same for a command that is looked at while it runs; it is killed when the test ends. */
  start(...args: string[]): Running;
  /** Runs `verbsim run -- COMMAND` against it. */
  run(...command: string[]): Promise<Output>;
}

/** The node of one of its devices. */
export const nodeOf = ({ mountpoint }: Daemon, number: number): string =>
  join(mountpoint, 'dev', 'infiniband', `uverbs${number}`);

/** Starts a simulator; it is gone when the test has ended, whatever happens. */
export async function startDaemon(t: Test, options: DaemonOptions = {}): Promise<Daemon> {
  requireMounts();
  const directory = runtimeDirectory(t);
  const flags = [...(options.flags ?? [])];
  if (options.config !== undefined) {
    const file = join(directory, 'test.toml');
    writeFileSync(file, options.config);
    flags.push('--config', file);
  }
  const args = ['--runtime-dir', directory, 'daemon', '--ready-fd', '3', ...flags];
  const daemon = spawn(VERBSIM, args, { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] });
  // Teardowns run in reverse: this one before the directory goes.
  t.teardown(() => stop(daemon));
  let log = '';
  daemon.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const [ready] = (await Promise.race([
    once((daemon.stdio[3] as Readable).setEncoding('utf8'), 'data'),
    once(daemon, 'exit').then(() => [`it exited: ${log}`]),
  ])) as [string];
  if (ready !== 'ready\n') throw new Error(`the simulator did not start: ${ready}`);
  const operator = (rest: string[]) => ['--runtime-dir', directory, ...rest];
  const verbsim = (...rest: string[]) => execute(VERBSIM, operator(rest));
  return {
    runtimeDir: directory,
    mountpoint: runtimePaths(directory).mountpoint,
    pid: daemon.pid ?? 0,
    process: daemon,
    log: () => log,
    verbsim,
    start: (...rest) => launch(t, VERBSIM, operator(rest)),
    run: (...command) => verbsim('run', '--', ...command),
  };
}
