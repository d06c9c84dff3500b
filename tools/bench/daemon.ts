/** A simulator of the bench's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { native } from '../../devfs/native.js';
import { AdminClient } from '../../src/admin/client.js';
import { runtimePaths } from '../../src/admin/runtime-paths.js';
import { Child } from './child.js';
import type { Workbench } from './workbench.js';

/** From dist/tools/bench. */
const VERBSIM = fileURLToPath(new URL('../../../tools/verbsim/bin.mjs', import.meta.url));

/** The device of the default configuration. */
export const DEVICE_NAME = 'mlx4_0';

export interface Daemon {
  readonly pid: number;
  /** The uverbs node, for clients that need no namespace. */
  readonly device: string;
  readonly admin: AdminClient;
  /** Another connection, because the requests of one are answered in their order. */
  connect(): Promise<AdminClient>;
  /** The command line that runs a command against it. */
  run(...command: string[]): [file: string, args: string[]];
  readonly stop: () => Promise<void>;
}

/** With the default configuration; stopped when the measurement ends, if not before. Throws an Error with the daemon's own words if it does not start. */
export async function startDaemon(bench: Workbench): Promise<Daemon> {
  const directory = mkdtempSync(join(bench.folder, 'daemon-'));
  const { mountpoint, adminSocket } = runtimePaths(directory);
  const removeDirectory = bench.cleanup.add(() => {
    // There is nothing to detach if the daemon could end by itself.
    native.umount(mountpoint, native.MNT_DETACH);
    rmSync(directory, { recursive: true, force: true });
  });
  const child = Child.start(
    bench.cleanup,
    VERBSIM,
    ['--runtime-dir', directory, 'daemon', '--while-pid', String(process.pid), '--ready-fd', '3'],
    ['ignore', 'ignore', 'pipe', 'pipe'],
  );
  const ready = await child.firstLine(child.process.stdio[3] as Readable);
  if (ready !== 'ready') throw new Error(`the simulator did not start: ${ready}`);
  const connections: AdminClient[] = [];
  const connect = async (): Promise<AdminClient> => {
    const client = await AdminClient.connect(adminSocket);
    connections.push(client);
    return client;
  };
  const admin = await connect();
  const disconnect = bench.cleanup.add(() => {
    for (const client of connections) client.close();
  });
  return {
    pid: child.pid,
    device: join(mountpoint, 'dev', 'infiniband', 'uverbs0'),
    admin,
    connect,
    run: (...command) => [VERBSIM, ['--runtime-dir', directory, 'run', '--', ...command]],
    stop: async () => {
      await disconnect();
      await child.stop();
      await removeDirectory();
    },
  };
}
