import { mkdtempSync, rmSync } from 'node:fs';
import { NoDaemon } from '../../../src/admin/no-daemon.js';
import { PRIVATE_DIRECTORIES } from '../../../src/admin/runtime-paths.js';
import { startInBackground } from '../background.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { execInNamespace } from '../run.js';

const mountpointOf = async (runtimeDirectory: string): Promise<string> =>
  (await withDaemon(runtimeDirectory, (client) => client.call('status', {}))).mountpoint;

/** A simulator for this process alone; it lives as long as the command, which will be this process. */
async function startPrivate(): Promise<string> {
  const directory = mkdtempSync(PRIVATE_DIRECTORIES);
  try {
    await startInBackground(directory, ['--while-pid', String(process.pid)]);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

/** The directory of the simulator to use, and where that is mounted. */
async function findOrStart(runtimeDirectory: string): Promise<{ directory: string; mountpoint: string }> {
  try {
    return { directory: runtimeDirectory, mountpoint: await mountpointOf(runtimeDirectory) };
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
  }
  const directory = await startPrivate();
  return { directory, mountpoint: await mountpointOf(directory) };
}

const run: Action = async ({ runtimeDirectory, arguments: command }) => {
  const { directory, mountpoint } = await findOrStart(runtimeDirectory);
  // With that, "verbsim unplug" in a script that is run reaches the same simulator.
  execInNamespace(mountpoint, command, { ...process.env, VERBSIM_RUNTIME_DIR: directory });
};
export default run;
