/** Reading and polling the event files of a context: asynchronous events and completion channels. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import * as abi from '../../src/abi/index.js';
import type { AdminClient } from '../../src/admin/client.js';
import { EventType } from '../../src/core/events.js';
import { eventually, startDaemon } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import { allocAsyncFile, type Context, CREATE_COMP_CHANNEL, make, openByIoctl } from './support/context.js';
import { type Answer, outcome, UverbsDoor } from './support/door.js';
import { parse, zeroes } from './support/messages.js';
import { POLLERR, READABLE } from './support/poll-bits.js';

/** Enough for what would wake a reader to arrive, in milliseconds. */
const A_WHILE = 100;

const RECORD = abi.ibUverbsAsyncEventDesc.size;

interface Client extends Context {
  door: UverbsDoor;
  operator: AdminClient;
  channel: number;
  /** Queues DEVICE_FATAL on every asynchronous event file, and ends the channels. */
  unplug(): Promise<unknown>;
}

async function openClient(t: Test): Promise<Client> {
  const daemon = await startDaemon(t, { config: '[[device]]\nports = 2\n' });
  const operator = await operate(t, daemon);
  const door = UverbsDoor.start(t);
  const context = await openByIoctl(door, join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0'));
  const channel = await make(door, context.fd, CREATE_COMP_CHANNEL);
  const unplug = () => operator.call('device.unplug', { device: 'mlx4_0' });
  return { door, operator, channel, unplug, ...context };
}

function isFatal(t: Test, { result, data, overrun }: Answer, what: string): void {
  t.equal(result, RECORD, what);
  t.same(parse(abi.ibUverbsAsyncEventDesc, data), {
    element: 0n,
    eventType: EventType.DEVICE_FATAL,
    reserved: 0,
  });
  t.equal(overrun, undefined);
}

/** Ends a call that sleeps; it may not have got there yet. */
async function interrupt(t: Test, door: UverbsDoor, job: number): Promise<void> {
  let answer: Answer = { pending: true };
  await eventually('the call ends', async () => {
    await door.ask('signal-thread', job);
    answer = await door.wait(job, 50);
    return answer.pending === undefined;
  });
  t.equal(outcome(answer), 'EINTR');
}

t.test('one record for each read', async (t) => {
  const { door, fd, asyncFd, unplug } = await openClient(t);
  const second = await allocAsyncFile(door, fd);
  await unplug();
  isFatal(t, await door.read(asyncFd, 4 * RECORD), 'however large the buffer is');
  t.equal(outcome(await door.read(asyncFd, RECORD, 'nonblock')), 'EAGAIN');
  isFatal(t, await door.read(second, RECORD), 'every file of the context gets the event');
});

t.test('events of ports', async (t) => {
  const { door, operator, fd, asyncFd } = await openClient(t);
  const second = await allocAsyncFile(door, fd);
  const sleeper = await door.start('read', second, RECORD);
  const set = (port: number, state: 'down' | 'active') =>
    operator.call('port.set', { device: 'mlx4_0', port, state });
  await set(2, 'down');
  await set(2, 'down');
  await set(2, 'active');
  await operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'LID_CHANGE' });
  const expected = [
    { element: 2n, eventType: EventType.PORT_ERR, reserved: 0 },
    { element: 2n, eventType: EventType.PORT_ACTIVE, reserved: 0 },
    { element: 1n, eventType: EventType.LID_CHANGE, reserved: 0 },
  ];
  t.match(parse(abi.ibUverbsAsyncEventDesc, (await door.wait(sleeper)).data), expected[0], 'a sleeper wakes');
  for (const event of expected) {
    t.equal(await door.poll(asyncFd), READABLE);
    const { data } = await door.read(asyncFd, 4 * RECORD);
    t.same(parse(abi.ibUverbsAsyncEventDesc, data), event, 'in the order in which they happened');
  }
  t.equal(outcome(await door.read(asyncFd, RECORD, 'nonblock')), 'EAGAIN', 'and no others');
  t.equal(outcome(await door.read(second, 8)), 'EINVAL', 'each file has its own queue');
});

t.test('without an event', async (t) => {
  const { door, asyncFd, channel } = await openClient(t);
  for (const [name, file] of Object.entries({ asyncFd, channel })) {
    t.equal(outcome(await door.read(file, RECORD, 'nonblock')), 'EAGAIN', name);
    t.equal(outcome(await door.read(file, 1, 'nonblock')), 'EAGAIN', `${name}, with a small buffer`);
    await door.ask('fcntl', file, 'nonblock');
    t.equal(outcome(await door.read(file, RECORD)), 'EAGAIN', `${name}, O_NONBLOCK set on the descriptor`);
    await door.ask('fcntl', file, 'block');
    const job = await door.start('read', file, RECORD);
    t.ok((await door.wait(job, A_WHILE)).pending, `${name}: a read sleeps`);
    await interrupt(t, door, job);
  }
});

t.test('a buffer that is too small', async (t) => {
  const { door, asyncFd, unplug } = await openClient(t);
  const job = await door.start('read', asyncFd, RECORD - 1);
  t.ok((await door.wait(job, A_WHILE)).pending, 'is noticed only when there is an event');
  await unplug();
  t.equal(outcome(await door.wait(job)), 'EINVAL');
  t.equal(outcome(await door.read(asyncFd, 8)), 'EINVAL');
  isFatal(t, await door.read(asyncFd, RECORD), 'the event stays');
});

t.test('a buffer that cannot be written', async (t) => {
  const { door, asyncFd, unplug } = await openClient(t);
  await unplug();
  for (const place of ['@U', '@O', '@Q']) {
    t.equal(outcome(await door.ask('read-at', asyncFd, place, RECORD)), 'EFAULT', place);
  }
  // A real event file has lost the event; here the kernel refuses the buffer before it asks for one.
  isFatal(t, await door.read(asyncFd, RECORD), 'the event stays');
});

t.test('readers that wait', async (t) => {
  const { door, asyncFd, channel, unplug } = await openClient(t);
  const readers = [
    await door.start('read', asyncFd, RECORD),
    await door.start('read', asyncFd, RECORD),
  ] as const;
  const completions = [await door.start('read', channel, 8), await door.start('read', channel, 1)] as const;
  await unplug();
  for (const job of completions) t.equal(outcome(await door.wait(job)), 'EIO', 'a channel ends for all');
  let [waiting, other] = readers;
  let answer: Answer = { pending: true };
  await eventually('one gets the event', async () => {
    [waiting, other] = [other, waiting];
    answer = await door.wait(other, A_WHILE);
    return answer.pending === undefined;
  });
  isFatal(t, answer, 'one gets the event');
  t.ok((await door.wait(waiting, A_WHILE)).pending, 'the other sleeps on');
  await interrupt(t, door, waiting);
});

t.test('poll and epoll', async (t) => {
  const { door, asyncFd, channel, unplug } = await openClient(t);
  t.equal(await door.poll(asyncFd), 0);
  t.equal(await door.poll(channel), 0);
  t.match(await door.ask('epoll', asyncFd, 0), { result: 0 });
  const watchers: [string, number, number][] = [];
  for (const how of ['poll', 'epoll']) {
    watchers.push([`${how} of events`, await door.start(how, asyncFd, 600_000), READABLE]);
    watchers.push([`${how} of completions`, await door.start(how, channel, 600_000), POLLERR]);
  }
  for (const [name, job] of watchers) t.ok((await door.wait(job, 20)).pending, name);
  await unplug();
  for (const [name, job, bits] of watchers) t.match(await door.wait(job), { result: 1, revents: bits }, name);

  t.equal(await door.poll(asyncFd), READABLE, 'it stays readable');
  await door.read(asyncFd, RECORD);
  t.equal(await door.poll(asyncFd), 0, 'until it is read, and then it is neither in error nor hung up');
  t.equal(await door.poll(channel), POLLERR);
  t.match(await door.ask('epoll', channel, 0), { result: 1, revents: POLLERR });
});

t.test('nobody writes to them', async (t) => {
  const { door, asyncFd, channel } = await openClient(t);
  for (const file of [asyncFd, channel]) t.equal(outcome(await door.write(file, zeroes(16))), 'EBADF');
});

t.test('a duplicate is the same file', async (t) => {
  const { door, asyncFd, unplug } = await openClient(t);
  const { fd: duplicate = -1 } = await door.ask('dup', asyncFd);
  await door.close(asyncFd);
  await unplug();
  isFatal(t, await door.read(duplicate, RECORD), 'it outlives the first descriptor');
});

t.test('they outlive the device file', async (t) => {
  const { door, fd, asyncFd, channel, unplug } = await openClient(t);
  const sleeper = await door.start('read', asyncFd, RECORD);
  const waiter = await door.start('read', channel, 8);
  t.equal(outcome(await door.close(fd)), 0);
  t.equal(outcome(await door.wait(waiter)), 'EIO', 'the channel ends');
  t.equal(await door.poll(channel), POLLERR);
  t.equal(outcome(await door.read(channel, 8, 'nonblock')), 'EIO');
  t.ok((await door.wait(sleeper, A_WHILE)).pending, 'asynchronous events just do not come');
  t.equal(await door.poll(asyncFd), 0);
  await unplug();
  t.ok((await door.wait(sleeper, A_WHILE)).pending, 'no DEVICE_FATAL for a file that was closed');
  await interrupt(t, door, sleeper);
});

t.test('one that was closed gets nothing, and disturbs nothing', async (t) => {
  const { door, fd, asyncFd, channel, unplug } = await openClient(t);
  const second = await allocAsyncFile(door, fd);
  for (const file of [asyncFd, channel]) t.equal(outcome(await door.close(file)), 0);
  await unplug();
  isFatal(t, await door.read(second, RECORD), 'the others are told');
  t.equal(outcome(await door.close(fd)), 0);
});
