/** The operator of a test's simulator, over the admin socket; `daemon.verbsim` is the same through the command. */
import type { Test } from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import type { DeviceStatus } from '../../src/admin/protocol.js';
import { runtimePaths } from '../../src/admin/runtime-paths.js';
import { type Daemon, eventually } from './daemon.js';

/** A connection that is closed when the test ends. */
export async function operate(t: Test, daemon: Daemon): Promise<AdminClient> {
  const client = await AdminClient.connect(runtimePaths(daemon.runtimeDir).adminSocket);
  t.teardown(() => client.close());
  return client;
}

/** The daemon learns of the last close a moment after the client. */
export const allClosed = (operator: AdminClient): Promise<void> =>
  eventually('all files are closed', async () => (await operator.call('status', {})).openFiles === 0);

export async function listDevices({ verbsim }: Daemon): Promise<DeviceStatus[]> {
  return JSON.parse((await verbsim('dev', 'show', '-j')).stdout) as DeviceStatus[];
}
