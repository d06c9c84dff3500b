/** Event files: asynchronous events, completion channels, and what objects report of them. */
import { constants } from 'node:fs';
import type { Test } from 'tap';
import * as abi from '../../../src/abi/index.js';
import { cqType } from '../../../src/uverbs/operations/cq.js';
import * as requests from '../../objects/support/requests.js';
import { QpMask as M, QpState } from '../../objects/support/requests.js';
import type { Scene } from '../../objects/support/scene.js';
import { CREATE_COMP_CHANNEL, createCq, destroyCq } from '../../uverbs/support/context.js';
import { DirectClient } from '../../uverbs/support/direct-client.js';
import { type Answer, outcome, succeeded } from '../../uverbs/support/door.js';
import { drain, eventOf, FATAL, RECORD } from '../../uverbs/support/events.js';
import { type Command, parse } from '../../uverbs/support/messages.js';
import { POLLERR, READABLE } from '../../uverbs/support/poll-bits.js';
import { type Cell, type Row, type Run, shown } from '../table.js';
import { DEVICE, type World } from '../world.js';

/** Enough for what would wake a reader to arrive, in milliseconds. */
const A_WHILE = 100;

/** What an errno, a number of bytes or a reader that sleeps on is called here. */
const SLEEPS = 'sleeps';
type Outcome = number | string;

/** What a call in a thread of its own comes to. */
async function outcomeOf({ door }: Scene, job: number, expected: Outcome): Promise<Outcome> {
  const answer = await (expected === SLEEPS ? door.wait(job, A_WHILE) : door.wait(job));
  return answer.pending ? SLEEPS : outcome(answer);
}

/** What a client does; it waits long enough for what is expected. */
type Act = (scene: Scene, expected: Outcome) => Promise<Outcome>;

/** A removal with a client that has no event unread. */
const afterRemoval = (act: Act, expected: Outcome): Cell =>
  shown(async (t, world) => {
    const scene = await world.client();
    await world.remove();
    t.equal(await act(scene, expected), expected);
  });

/** The same, with DEVICE_FATAL read. */
const afterFatal = (act: Act, expected: Outcome): Cell =>
  afterRemoval(async (scene) => {
    const fatal = eventOf(await scene.door.read(scene.asyncFd, RECORD));
    return fatal === FATAL ? act(scene, expected) : fatal;
  }, expected);

type File = 'asyncFd' | 'channel';

const readBlocking =
  (file: File): Act =>
  async (scene, expected) =>
    outcomeOf(scene, await scene.door.start('read', scene[file], RECORD), expected);
const readNonblocking =
  (file: File): Act =>
  async (scene) =>
    outcome(await scene.door.read(scene[file], RECORD, 'nonblock'));
const poll =
  (file: File): Act =>
  async (scene) =>
    (await scene.door.poll(scene[file])) ?? 'no answer';

/** A read that sleeps. */
async function blocked(t: Test, scene: Scene, file: File): Promise<number> {
  const job = await scene.door.start('read', scene[file], RECORD);
  t.equal(await outcomeOf(scene, job, SLEEPS), SLEEPS, 'there is nothing to read');
  return job;
}

const readerGetsFatal = shown(async (t, world) => {
  const scene = await world.client();
  const job = await blocked(t, scene, 'asyncFd');
  await world.remove();
  const answer = await scene.door.wait(job);
  t.equal(answer.result, RECORD);
  t.equal(eventOf(answer), FATAL);
  t.match(parse(abi.ibUverbsAsyncEventDesc, answer.data), { reserved: 0 });
});

/** A reader that has slept since before the removal. */
const reader = (file: File, expected: Outcome): Cell =>
  shown(async (t, world) => {
    const scene = await world.client();
    const job = await blocked(t, scene, file);
    await world.remove();
    t.equal(await outcomeOf(scene, job, expected), expected);
  });

// Events that came before

async function raisePortEvents({ operator }: World): Promise<void> {
  await operator.call('port.set', { device: DEVICE, port: 1, state: 'down' });
  await operator.call('port.raise', { device: DEVICE, port: 1, event: 'SM_CHANGE' });
}
const PORT_EVENTS = ['PORT_ERR of 1', 'SM_CHANGE of 1'];

const unreadPortEvents = (...expected: string[]): Cell =>
  shown(async (t, world) => {
    const { door, asyncFd } = await world.client();
    await raisePortEvents(world);
    await world.remove();
    t.same(await drain(door, asyncFd), expected);
  });

const send = async ({ door, fd }: Scene, command: Command): Promise<Answer> =>
  succeeded(`command ${command.number}`, await door.command(fd, command));

/** Brings the scene's RC QP to where it can be drained. */
async function bringUp(scene: Scene): Promise<void> {
  const rtr = M.STATE | M.AV | M.MTU | M.DQPN | M.RQPSN | M.MAXDRD | M.MINRNR;
  const rts = M.STATE | M.TMO | M.RETRY | M.RNR | M.SQPSN | M.MAXRD;
  await send(scene, requests.modifyQp(scene));
  await send(scene, requests.modifyQp(scene, { attrMask: rtr, qpState: QpState.RTR }));
  await send(scene, requests.modifyQp(scene, { attrMask: rts, qpState: QpState.RTS }));
}

/** SQ_DRAINED, and back. */
async function drainQueue(scene: Scene): Promise<void> {
  const drained = { attrMask: M.STATE | M.EN_SQD, qpState: QpState.SQD, enSqdAsyncNotify: 1 };
  await send(scene, requests.modifyQp(scene, drained));
  await send(scene, requests.modifyQp(scene, { attrMask: M.STATE, qpState: QpState.RTS }));
}
const SQ_DRAINED = `SQ_DRAINED of ${requests.USER_HANDLE}`;

const unreadQpEvent = (...expected: string[]): Cell =>
  shown(async (t, world) => {
    const scene = await world.client();
    await bringUp(scene);
    await drainQueue(scene);
    t.equal(await scene.door.poll(scene.asyncFd), READABLE);
    await world.remove();
    t.same(await drain(scene.door, scene.asyncFd), expected);
  });

/** Two events of a QP, of which the client has read one. */
const readOne = async (t: Test, world: World, expected: number | 'EIO'): Promise<void> => {
  const scene = await world.client();
  const { door, fd, asyncFd } = scene;
  await bringUp(scene);
  for (const _ of [1, 2]) await drainQueue(scene);
  t.equal(eventOf(await door.read(asyncFd, RECORD)), SQ_DRAINED);
  await world.remove();
  const { errno, response } = await door.command(fd, requests.destroyQp(scene));
  t.equal(errno ?? parse(abi.ibUverbsDestroyQpResp, response).eventsReported, expected, 'of a QP');
};

// Completion events, which nothing causes before work requests are executed: without a daemon

const USER_HANDLE = 0x77n;
const COMPLETIONS = 3;

/** A client with a CQ that has completed several times, and its completion channel. */
async function completed(t: Test, { combination }: World) {
  const { kernel, disassociates } = combination;
  const client = await DirectClient.start(t, kernel, { withoutDisassociate: !disassociates });
  const channel = client.make(CREATE_COMP_CHANNEL);
  const cq = client.make(createCq({ compChannel: channel, userHandle: USER_HANDLE }));
  for (let i = 0; i < COMPLETIONS; i++) client.object(cqType).cq.onCompletion();
  const read = () => client.machine.read(channel, 8, constants.O_NONBLOCK);
  return { client, channel, cq, read };
}

/** Begins the removal, and waits for it if it does not wait for the client. */
async function remove(client: DirectClient, { combination }: World): Promise<Promise<void>> {
  const removal = client.machine.unplug();
  if (combination.disassociates) await removal;
  return removal;
}

/** They are gone: what O_NONBLOCK is answered. Without it, it is EIO. */
const unreadCompletions = (expected: Outcome): Cell =>
  shown(async (t, world) => {
    const { client, channel, read } = await completed(t, world);
    t.equal(client.machine.poll(channel), READABLE);
    await remove(client, world);
    t.equal(await read(), expected);
    t.equal(await client.machine.read(channel, 8), 'EIO');
  });

const allCompletions = shown(async (t, world) => {
  const { client, channel, read } = await completed(t, world);
  void client.machine.unplug();
  t.equal(client.machine.poll(channel), READABLE);
  const record = Buffer.alloc(8);
  record.writeBigUInt64LE(USER_HANDLE);
  for (let i = 0; i < COMPLETIONS; i++) t.same(await read(), record);
  t.equal(await read(), 'EAGAIN');
});

/** Of which the client has read two. */
const readTwo = async (t: Test, world: World, expected: number | 'EIO'): Promise<void> => {
  const { client, cq, read } = await completed(t, world);
  for (const _ of [1, 2]) t.type(await read(), Uint8Array);
  void remove(client, world);
  const outcome = await client.begin(destroyCq(cq));
  const { compEventsReported } = parse(abi.ibUverbsDestroyCqResp, client.response().toString('hex'));
  t.equal(typeof outcome === 'string' ? outcome : compEventsReported, expected, 'of a CQ');
};

const counted: Cell = shown(async (t, world) => {
  await readOne(t, world, 1);
  await readTwo(t, world, 2);
});

const notCounted: Cell = shown(async (t, world) => {
  await readOne(t, world, 'EIO');
  await readTwo(t, world, 'EIO');
});

const smallBuffer: Run = async (t, world) => {
  const { door, asyncFd } = await world.client();
  await world.remove();
  for (const count of [8, RECORD - 1])
    t.equal(outcome(await door.read(asyncFd, count)), 'EINVAL', `${count}`);
  t.same(await drain(door, asyncFd), [FATAL], 'the event stays');
};

const memoryStays = shown(async (t, world) => {
  const scene = await world.client();
  const queues = async () => (await scene.door.ask('scratch-dump', 65536)).data;
  await scene.door.ask('scratch-fill', '112233445566778899aabbccddeeff00', 32);
  const before = await queues();
  await bringUp(scene);
  await world.remove();
  t.equal(await queues(), before);
});

export const eventRows: readonly Row[] = [
  {
    number: 22,
    situation: 'asynchronous events, reader blocked',
    call: 'read',
    '6.12': readerGetsFatal,
    '4.3': readerGetsFatal,
    without: reader('asyncFd', SLEEPS),
  },
  {
    number: 23,
    situation: 'asynchronous events, FATAL unread',
    call: 'poll',
    '6.12': afterRemoval(poll('asyncFd'), READABLE),
    '4.3': afterRemoval(poll('asyncFd'), READABLE),
    without: afterRemoval(poll('asyncFd'), 0),
  },
  {
    number: 24,
    situation: 'asynchronous events, FATAL read',
    call: 'read, blocking',
    '6.12': afterFatal(readBlocking('asyncFd'), SLEEPS),
    '4.3': afterFatal(readBlocking('asyncFd'), 'EIO'),
    without: afterRemoval(readBlocking('asyncFd'), SLEEPS),
  },
  {
    number: 25,
    situation: 'asynchronous events, FATAL read',
    call: 'read, O_NONBLOCK',
    '6.12': afterFatal(readNonblocking('asyncFd'), 'EAGAIN'),
    '4.3': afterFatal(readNonblocking('asyncFd'), 'EAGAIN'),
    without: afterRemoval(readNonblocking('asyncFd'), 'EAGAIN'),
  },
  {
    number: 26,
    situation: 'asynchronous events, FATAL read',
    call: 'poll',
    '6.12': afterFatal(poll('asyncFd'), 0),
    '4.3': afterFatal(poll('asyncFd'), 0),
    without: afterRemoval(poll('asyncFd'), 0),
  },
  {
    number: 27,
    situation: 'asynchronous events, port events unread',
    call: 'read',
    '6.12': unreadPortEvents(...PORT_EVENTS, FATAL),
    '4.3': unreadPortEvents(...PORT_EVENTS, FATAL),
    without: unreadPortEvents(...PORT_EVENTS),
  },
  {
    number: 28,
    situation: 'asynchronous events, QP events unread',
    call: 'read',
    '6.12': unreadQpEvent(FATAL),
    '4.3': unreadQpEvent(FATAL),
    without: unreadQpEvent(SQ_DRAINED),
  },
  {
    number: 29,
    situation: 'asynchronous events, FATAL unread',
    call: 'read of less than 16 bytes',
    '6.12': shown(smallBuffer),
    '4.3': shown(smallBuffer),
    without: afterRemoval(
      async ({ door, asyncFd }) => outcome(await door.read(asyncFd, 8, 'nonblock')),
      'EAGAIN',
    ),
  },
  {
    number: 30,
    situation: 'completion channel, reader blocked',
    call: 'read',
    '6.12': reader('channel', 'EIO'),
    '4.3': reader('channel', 'EIO'),
    without: reader('channel', SLEEPS),
  },
  {
    number: 31,
    situation: 'completion channel',
    call: 'read, O_NONBLOCK',
    '6.12': afterRemoval(readNonblocking('channel'), 'EIO'),
    '4.3': afterRemoval(readNonblocking('channel'), 'EAGAIN'),
    without: afterRemoval(readNonblocking('channel'), 'EAGAIN'),
  },
  {
    number: 32,
    situation: 'completion channel',
    call: 'poll',
    '6.12': afterRemoval(poll('channel'), POLLERR),
    '4.3': afterRemoval(poll('channel'), 0),
    without: afterRemoval(poll('channel'), 0),
  },
  {
    number: 33,
    situation: 'completion channel, events unread',
    call: 'read',
    '6.12': unreadCompletions('EIO'),
    '4.3': unreadCompletions('EAGAIN'),
    without: allCompletions,
  },
  {
    number: 35,
    situation: 'completion queue in client memory',
    call: 'ibv_poll_cq',
    '6.12': memoryStays,
    '4.3': memoryStays,
    without: memoryStays,
  },
  {
    number: 36,
    situation: 'removed, events had been read',
    call: 'destroy, its counters',
    '6.12': counted,
    '4.3': notCounted,
    without: counted,
  },
];
