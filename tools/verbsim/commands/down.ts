import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isMounted } from '../../../devfs/mountinfo.js';
import { Refusal } from '../../../src/admin/refusal.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

const PATIENCE_MS = 10_000;
const INTERVAL_MS = 10;

/** A process that nobody has reaped yet is gone all the same. */
function isRunning(pid: number): boolean {
  try {
    // The name, in parentheses, may hold anything; the state follows it (proc_pid_stat(5)).
    const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.[0];
    return state !== 'Z' && state !== 'X';
  } catch {
    return false;
  }
}

const down: Action = async ({ runtimeDirectory }) => {
  const { pid, mountpoint } = await withDaemon(runtimeDirectory, async (client) => {
    const status = await client.call('status', {});
    await client.call('shutdown', {});
    return status;
  });
  const deadline = Date.now() + PATIENCE_MS;
  while (isRunning(pid) || isMounted(mountpoint)) {
    if (Date.now() > deadline) {
      throw new Refusal(
        `the simulator (process ${pid}) has not ended within ${PATIENCE_MS / 1000} s: see its log, or kill it`,
      );
    }
    await setTimeout(INTERVAL_MS);
  }
  return undefined;
};
export default down;
