/**
 * What waits in the device holds up nothing else, whatever locks the kernel has on a regular file. On a device with
 * pages one lock is left: in a threaded client, calls of one open file come one after the other.
 */
import t from 'tap';
import { eventually, hex } from './support/clients.js';
import { Toy } from './support/toy.js';

const WAIT = hex('wait');
const GO = hex('go');

const toy = await Toy.mount(t);

t.test('a write that waits does not delay others on the same open file', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path('pipe'));
  const jobs = [];
  for (let i = 0; i < 3; i++) jobs.push(await door.start('write', fd, WAIT));
  t.ok(await eventually(() => toy.pipe.gate.sleepers === 3), 'all three have reached the device');
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 });
  t.strictSame(await door.ask('read', fd, 10), { result: 1, data: hex('x') });
  t.strictSame(await door.wait(jobs[0]!, 10), { pending: true });
  t.strictSame(await door.ask('write', fd, GO), { result: 2 });
  for (const job of jobs) t.strictSame(await door.wait(job), { result: 4 });
});

t.test('a signal ends a write that waits', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path('pipe'));
  const job = await door.start('write', fd, WAIT);
  await eventually(() => toy.pipe.gate.sleepers === 1);
  await door.ask('signal-thread', job);
  t.strictSame(await door.wait(job), { result: -1, errno: 'EINTR' });
  t.equal(toy.pipe.gate.sleepers, 0);
});

t.test('after many writes the position does not matter', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path('pipe'));
  for (let i = 0; i < 50; i++) await door.ask('write', fd, '00'.repeat(4096));
  const jobs = [await door.start('write', fd, WAIT), await door.start('write', fd, WAIT)];
  t.ok(await eventually(() => toy.pipe.gate.sleepers === 2));
  await door.ask('write', fd, GO);
  for (const job of jobs) await door.wait(job);
});

t.test('a write of another open file, and of a duplicate, is not delayed', async (t) => {
  const door = await toy.door(t);
  const first = await door.open(toy.path('pipe'));
  const second = await door.open(toy.path('pipe'));
  const { fd: copy } = await door.ask('dup', first);
  const job = await door.start('write', first, WAIT);
  await eventually(() => toy.pipe.gate.sleepers === 1);
  t.strictSame(await door.ask('write', copy!, hex('ex')), { result: 2 });
  t.strictSame(await door.ask('write', second, GO), { result: 2 });
  t.strictSame(await door.wait(job), { result: 4 });
});

t.test('a read that waits delays neither poll nor fcntl nor another read of the descriptor', async (t) => {
  const door = await toy.door(t);
  const device = await door.open(toy.path('pipe'));
  const made = await door.ask('write', device, '6d04-000000000000-@R', 8);
  const fd = Number.parseInt(made.response!.slice(0, 2), 16);
  const mailbox = toy.pipe.mailboxes.at(-1)!;
  const job = await door.start('read', fd, 10);
  await eventually(() => mailbox.sleepers === 1);
  t.strictSame(await door.ask('poll', fd, 0), { result: 0, revents: 0 });
  t.strictSame(await door.ask('read', fd, 10, 'nonblock'), { result: -1, errno: 'EAGAIN' });
  t.strictSame(await door.ask('write', device, hex('ex')), { result: 2 });
  mailbox.put('y');
  t.strictSame(await door.wait(job), { result: 1, data: hex('y') });
});

t.test('an open that waits delays no other', async (t) => {
  const door = await toy.door(t);
  let go = (): void => {};
  let opens = 0;
  toy.pipe.beforeOpen = () => (opens++ === 0 ? new Promise<void>((resolve) => (go = resolve)) : undefined);
  const job = await door.start('open', toy.path('pipe'));
  await eventually(() => opens === 1);
  t.type(await door.open(toy.path('pipe')), 'number');
  go();
  t.type((await door.wait(job)).fd, 'number');
});

t.test('with pages: another open file, and another process with the same one, is not delayed', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  const job = await door.start('write', fd, WAIT);
  await eventually(() => toy.device.gate.sleepers === 1);
  const { pid } = await door.ask('pid');
  const other = await door.open(toy.path());
  t.strictSame(await door.ask('write', other, hex('ex')), { result: 2 });
  const again = await door.open(`/proc/${pid}/fd/${fd}`);
  t.strictSame(await door.ask('write', again, GO), { result: 2 }, 'the same inode');
  t.strictSame(await door.wait(job), { result: 4 });
});
