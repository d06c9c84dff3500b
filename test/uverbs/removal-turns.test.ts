/**
 * A removal takes turns with other clients. Here every object is a turn of its own, so that a command can come between
 * any two of them: without a kernel, straight to the handlers.
 */
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Result } from '../../devfs/index.js';
import { EventType } from '../../src/core/events.js';
import type { ProfileName } from '../../src/uverbs/profile.js';
import { TimeSlice } from '../../src/uverbs/time-slice.js';
import type { Outcome } from '../fuzz/support/machine.js';
import { build } from '../objects/support/attributes.js';
import { pdDestroy } from '../objects/support/methods.js';
import type { Scene } from '../objects/support/scene.js';
import { ALLOC_PD, CREATE_COMP_CHANNEL, createCq, deallocPd, regMr } from './support/context.js';
import { DirectClient } from './support/direct-client.js';
import { byIoctl } from './support/messages.js';
import { POLLERR, READABLE } from './support/poll-bits.js';

Object.defineProperty(TimeSlice.prototype, 'isOver', { get: () => true });

const PDS = 8;

interface Removal {
  client: DirectClient;
  /** Oldest first. */
  pds: number[];
  channel: number;
  /** Whether it is over. */
  isOver: () => boolean;
  ended: Promise<void>;
}

/** A client with several PDs, a channel and a CQ, and its removal, which has had so many turns. */
async function begin(t: Test, kernel: ProfileName, turns = 1): Promise<Removal> {
  const client = await DirectClient.start(t, kernel);
  const pds = Array.from({ length: PDS }, () => client.make(ALLOC_PD));
  const channel = client.make(CREATE_COMP_CHANNEL);
  client.make(createCq({ compChannel: channel }));
  let over = false;
  const ended = client.machine.unplug().then(() => {
    over = true;
  });
  for (let turn = 1; turn < turns; turn++) await setImmediate();
  t.notOk(over, 'it takes several turns');
  return { client, pds, channel, isOver: () => over, ended };
}

/** The ways to destroy a PD. */
const DESTROYS: Record<string, (client: DirectClient, pd: number) => Result<Outcome>> = {
  'by write': (client, pd) => client.begin(deallocPd(pd)),
  'by INVOKE_WRITE': (client, pd) => client.beginIoctl(byIoctl(deallocPd(pd))),
  'by its method': (client, pd) => client.beginIoctl(build(pdDestroy, { spare: { pd } } as Scene)),
};
const DONE: Outcome[] = [0, 12];

/** Whether the removal was over when a command was answered, and what it came to. */
async function answered({ isOver }: Removal, result: Result<Outcome>): Promise<[boolean, Outcome]> {
  const outcome = await result;
  return [isOver(), outcome];
}

t.test('6.12: a destroy waits for the end of the removal, and succeeds', async (t) => {
  const removal = await begin(t, '6.12', PDS - 2);
  const { client, pds, ended } = removal;
  const waiting = Object.entries(DESTROYS).map(([name, destroy], i) => {
    // The oldest are still there, the newest have been destroyed.
    const oldest = destroy(client, pds[i] ?? -1);
    const newest = destroy(client, pds[PDS - 1 - i] ?? -1);
    t.type(oldest, Promise, `${name}: it waits`);
    return [name, answered(removal, oldest), answered(removal, newest)] as const;
  });
  t.equal(await client.begin(deallocPd(999)), 'ENOENT', 'a handle that is not there does not wait');
  t.notOk(removal.isOver());
  await ended;
  for (const [name, ...answers] of waiting) {
    for (const answer of answers) {
      const [wasOver, outcome] = await answer;
      t.ok(wasOver, `${name}: not before the end`);
      t.ok(DONE.includes(outcome), `${name}: ${outcome}`);
    }
  }
  for (const pd of [pds[0], pds[PDS - 1]]) t.equal(client.send(deallocPd(pd ?? -1)), 'ENOENT', 'once');
  t.equal(client.send(deallocPd(pds[3] ?? -1)), 12, 'the others can still be destroyed');
});

t.test('6.12: of two that wait for the same object, one succeeds', async (t) => {
  const { client, pds, ended } = await begin(t, '6.12');
  const [pd = -1] = pds;
  const both = [client.begin(deallocPd(pd)), client.begin(deallocPd(pd))];
  await ended;
  t.same(await Promise.all(both), [12, 'ENOENT']);
});

t.test('4.3: a destroy fails at once', async (t) => {
  const { client, pds, isOver, ended } = await begin(t, '4.3');
  for (const pd of pds) t.equal(client.send(deallocPd(pd)), 'EIO');
  t.notOk(isOver());
  await ended;
  for (const pd of pds) t.equal(client.send(deallocPd(pd)), 'EIO', 'and for ever');
});

for (const kernel of ['6.12', '4.3'] as const) {
  t.test(`${kernel}: a create fails at once`, async (t) => {
    const { client, isOver, ended } = await begin(t, kernel);
    for (const command of [ALLOC_PD, CREATE_COMP_CHANNEL, createCq()]) {
      t.equal(client.send(command), 'EIO');
    }
    t.notOk(isOver());
    await ended;
  });

  t.test(`${kernel}: a file that is closed meanwhile is gone at the end`, async (t) => {
    const { client, channel, isOver, ended } = await begin(t, kernel);
    const { machine, file, asyncFd } = client;
    file.release();
    t.equal(machine.uverbs.users().length, 1, 'it stays for the removal');
    for (const descriptor of [asyncFd, channel]) machine.close(descriptor);
    t.notOk(isOver());
    await ended;
    t.same(machine.uverbs.users(), []);
    t.equal(machine.leaks(), '');
  });

  t.test(`${kernel}: event files that are closed meanwhile do no harm`, async (t) => {
    const { client, pds, channel, isOver, ended } = await begin(t, kernel);
    const { machine, file, asyncFd } = client;
    for (const descriptor of [channel, asyncFd]) machine.close(descriptor);
    t.notOk(isOver());
    await ended;
    const [pd = -1] = pds;
    t.equal(client.send(deallocPd(pd)), kernel === '6.12' ? 12 : 'EIO', 'the file is as it would have been');
    file.release();
    t.same(machine.uverbs.users(), []);
    t.equal(machine.leaks(), '');
  });
}

/** What poll says of the channel and of asynchronous events, at each turn; repetitions left out. */
async function polls({ client, channel, isOver }: Removal): Promise<(number | undefined)[][]> {
  const seen: (number | undefined)[][] = [];
  for (;;) {
    const now = [client.machine.poll(channel), client.machine.poll(client.asyncFd)];
    if (seen.at(-1)?.join() !== now.join()) seen.push(now);
    if (isOver()) return seen;
    await setImmediate();
  }
}

t.test('6.12: the channel ends in its turn, DEVICE_FATAL is last', async (t) => {
  const removal = await begin(t, '6.12');
  t.same(await polls(removal), [
    [0, 0],
    [POLLERR, 0],
    [POLLERR, READABLE],
  ]);
});

t.test('4.3: DEVICE_FATAL is first, and the channel ends with the removal', async (t) => {
  const removal = await begin(t, '4.3');
  const { machine } = removal.client;
  const reader = answered(removal, machine.read(removal.channel, 8).then(String));
  t.same(await polls(removal), [[0, READABLE]]);
  t.same(await reader, [true, 'EIO']);
  const event = await machine.read(removal.client.asyncFd, 16);
  t.equal(Buffer.from(event).readUInt32LE(8), EventType.DEVICE_FATAL);
});

t.test('6.12: contexts go one after another, the oldest first', async (t) => {
  const first = await DirectClient.start(t, '6.12');
  const second = first.another();
  const { machine } = first;
  const [pd, spare] = [second.make(ALLOC_PD), second.make(ALLOC_PD)];
  second.make(regMr(pd, first.scratch));
  // Its first turn takes the only object of the first one.
  const ended = machine.unplug();
  t.equal(machine.poll(first.asyncFd), READABLE, 'the first has been told');
  t.equal(machine.poll(second.asyncFd), 0, 'the second has not');
  t.equal(second.send(ALLOC_PD), 'EIO', 'but its commands fail, too');
  t.equal(second.send(deallocPd(spare)), 12, 'except destroying, which does not wait');
  t.equal(second.send(deallocPd(pd)), 'EBUSY', 'nor goes by another order than ever');
  await ended;
  t.equal(second.send(deallocPd(pd)), 12, 'until it is cut off itself');
  t.equal(machine.poll(second.asyncFd), READABLE);
});
