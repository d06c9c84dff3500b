/** A simulator that nobody uses at the moment uses no processor time. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { CREATE_COMP_CHANNEL, make, openByIoctl } from './support/context.js';
import { UverbsDoor } from './support/door.js';

const TO_SETTLE_MS = 1000;
const WATCHED_MS = 2000;
const ATTEMPTS = 15;

/** Clock ticks of all threads so far, in user mode and in the kernel (proc(5): fields 14 and 15). */
function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

t.test('with an open context, a mapping, and readers that wait', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0'));
  const channel = await make(door, fd, CREATE_COMP_CHANNEL);
  await door.map(fd);
  await door.start('read', asyncFd, 16);
  await door.start('poll', channel, 600_000);

  // Garbage collection may still have something to do after the start.
  let used = Number.POSITIVE_INFINITY;
  for (let attempt = 0; used > 1 && attempt < ATTEMPTS; attempt++) {
    await setTimeout(TO_SETTLE_MS);
    const before = ticks(daemon.pid);
    await setTimeout(WATCHED_MS);
    used = ticks(daemon.pid) - before;
  }
  t.ok(used <= 1, `${used} ticks in ${WATCHED_MS} ms`);
});
