/** Commands: those inside when the removal starts, and those that come after. */
import { existsSync } from 'node:fs';
import * as abi from '../../../src/abi/index.js';
import {
  ALLOC_PD,
  ASYNC_EVENT_ALLOC,
  CREATE_COMP_CHANNEL,
  countHandles,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
  openByWrite,
  QUERY_DEVICE,
} from '../../uverbs/support/context.js';
import { outcome, type UverbsDoor } from '../../uverbs/support/door.js';
import { byWrite } from '../../uverbs/support/messages.js';
import {
  all,
  creations,
  creationsByIoctl,
  destroys,
  destroysAgain,
  destroysAgainByIoctl,
  destroysByIoctl,
  destroysOfWhatIsUsed,
  type Group,
  inTurn,
  misframed,
  probe,
  queries,
  unreadable,
  unsupported,
  unsupportedMethods,
  uses,
  usesByIoctl,
  usesOfAnotherType,
  usesOfNothing,
  usesOfNothingByIoctl,
  wrongInThemselves,
} from '../calls.js';
import { absent, type Cell, deviating, type Row, type Run, shown } from '../table.js';
import type { World } from '../world.js';

// Inside when the removal starts

const JOBS = 8;

/** A command that makes a descriptor, as most of that happens in the client: what it comes to, and how it is sent. */
type Slow = readonly [done: number, send: (door: UverbsDoor, fd: number) => Promise<number>];

const slowWrite: Slow = [
  16,
  (door, fd) => door.start('write', fd, byWrite(CREATE_COMP_CHANNEL), abi.ibUverbsCreateCompChannelResp.size),
];
const slowIoctl: Slow = [0, (door, fd) => door.start('ioctl', fd, 'verbs', ASYNC_EVENT_ALLOC.message)];

/** What such commands come to, several at a time, from before a removal until `isOver`. */
async function meet(
  world: World,
  [, send]: Slow,
  isOver: (outcomes: ReadonlySet<number | string>) => boolean,
): Promise<Set<number | string>> {
  const door = world.door();
  const { fd, asyncFd } = await openByWrite(door, world.node);
  const outcomes = new Set<number | string>();
  for (let round = 0; !isOver(outcomes); round++) {
    const jobs: number[] = [];
    for (let i = 0; i < JOBS; i++) jobs.push(await send(door, fd));
    if (round === 1) void world.begin('device.unplug');
    for (const job of jobs) outcomes.add(outcome(await door.wait(job)));
    for (let i = 1; i <= JOBS; i++) await door.close(asyncFd + i);
  }
  await door.kill();
  await world.ended();
  return outcomes;
}

const doneOrRefused = (...commands: Slow[]): Cell =>
  shown(async (t, world) => {
    await world.plugIn();
    for (const slow of commands) {
      const outcomes = await meet(world, slow, (seen) => seen.has('EIO'));
      t.same(outcomes, new Set([slow[0], 'EIO']));
      await world.plug();
    }
  });

const done = (...commands: Slow[]): Cell =>
  shown(async (t, world) => {
    await world.plugIn();
    for (const slow of commands) {
      let roundsWithoutNode = 0;
      const isOver = () => !existsSync(world.node) && roundsWithoutNode++ === 1;
      t.same(await meet(world, slow, isOver), new Set([slow[0]]));
      await world.plug();
    }
  });

// A file without a context

const FIRST_COMMANDS = { ALLOC_PD, QUERY_DEVICE, CREATE_COMP_CHANNEL };

const losesNothing: Run = async (t, world) => {
  await world.plugIn();
  const door = world.door();
  const fd = await door.open(world.node);
  await world.remove();
  t.same((await world.ended()).contexts, [], 'no context was cut off');
  for (const [name, command] of Object.entries({ GET_CONTEXT, ...FIRST_COMMANDS })) {
    t.equal(outcome(await door.command(fd, command)), 'EIO', name);
  }
  const isOld = world.combination.kernel === '4.3';
  t.equal(outcome(await door.ioctl(fd, GET_CONTEXT_IOCTL, 32)), isOld ? 'ENOTTY' : 'EIO', 'by ioctl');
  t.equal(outcome(await door.close(fd)), 0);
};

const notActive = shown(async (t, world) => {
  await world.plugIn();
  const door = world.door();
  const fd = await door.open(world.node);
  await world.remove();
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EAGAIN', 'GET_CONTEXT');
  for (const [name, command] of Object.entries(FIRST_COMMANDS)) {
    t.equal(outcome(await door.command(fd, command)), 'EINVAL', name);
  }
  t.notOk(world.isRemoved, 'the file alone keeps the removal waiting');
  await door.close(fd);
  t.same((await world.ended()).contexts, []);
});

// What goes with its object

/** Handles that are left, by type. */
const lists = (isEmpty: boolean): Cell =>
  shown(async (t, world) => {
    const { door, fd } = await world.client();
    await world.remove();
    const { UVERBS_OBJECT_PD, UVERBS_OBJECT_MR, UVERBS_OBJECT_CQ } = abi.uverbsDefaultObjects;
    for (const [object, count] of [
      [UVERBS_OBJECT_PD, 2],
      [UVERBS_OBJECT_MR, 1],
      [UVERBS_OBJECT_CQ, 3],
    ] as const) {
      t.equal(await countHandles(door, fd, object), isEmpty ? 0 : count, `object ${object}`);
    }
  });

const NO_IOCTL = '4.3 has no ioctl: ENOTTY, as row 14 shows';

const IOCTLS: readonly Group[] = [
  probe,
  unsupportedMethods,
  creationsByIoctl,
  usesByIoctl,
  usesOfNothingByIoctl,
  destroysByIoctl,
  destroysAgainByIoctl,
];
const noIoctl = inTurn(...IOCTLS.map((group) => [group, 'ENOTTY'] as const));

export const commandRows: readonly Row[] = [
  {
    number: 4,
    situation: 'command inside when the removal starts',
    call: 'write, ioctl',
    '6.12': doneOrRefused(slowWrite, slowIoctl),
    '4.3': doneOrRefused(slowWrite),
    without: [done(slowWrite, slowIoctl), done(slowWrite)],
  },
  {
    number: 5,
    situation: 'removed',
    call: 'write of less than 8 bytes; of what cannot be read',
    '6.12': all(unreadable),
    '4.3': all(unreadable),
    without: all(unreadable),
  },
  {
    number: 6,
    situation: 'removed',
    call: 'write with a bad in_words, size or argument',
    '6.12': all([...misframed, ...wrongInThemselves]),
    '4.3': all([...misframed, ...wrongInThemselves], 'EIO'),
    without: all([...misframed, ...wrongInThemselves]),
  },
  {
    number: 7,
    situation: 'removed',
    call: 'any create or query',
    '6.12': all([...creations, ...queries], 'EIO'),
    '4.3': all([...creations, ...queries], 'EIO'),
    without: all([...creations, ...queries]),
  },
  {
    number: 8,
    situation: 'removed',
    call: 'use of an existing handle',
    '6.12': all(uses, 'EIO'),
    '4.3': all(uses, 'EIO'),
    without: all(uses),
  },
  {
    number: 9,
    situation: 'removed',
    call: 'use of an unknown handle',
    '6.12': all([...usesOfNothing, ...usesOfAnotherType]),
    '4.3': all([...usesOfNothing, ...usesOfAnotherType], 'EIO'),
    without: [
      all([...usesOfNothing, ...usesOfAnotherType]),
      // Each type has numbers of its own.
      all(usesOfNothing, 'EINVAL'),
    ],
  },
  {
    number: 10,
    situation: 'removed',
    call: 'destroy of an existing handle',
    // Nothing refers to anything any more, so the order does not matter.
    '6.12': all(destroys.toReversed()),
    '4.3': all(destroys, 'EIO'),
    without: inTurn([destroysOfWhatIsUsed], [destroys]),
  },
  {
    number: 11,
    situation: 'removed',
    call: 'destroy again',
    '6.12': inTurn([destroys], [destroysAgain]),
    '4.3': inTurn([destroys, 'EIO'], [destroysAgain, 'EIO']),
    without: [inTurn([destroys], [destroysAgain]), inTurn([destroys], [destroysAgain, 'EINVAL'])],
  },
  {
    number: 14,
    situation: 'removed',
    call: 'ioctl RDMA_VERBS_IOCTL',
    '6.12': inTurn(
      [probe],
      [unsupportedMethods],
      [creationsByIoctl, 'EIO'],
      [usesByIoctl, 'EIO'],
      [usesOfNothingByIoctl],
      [destroysByIoctl],
      [destroysAgainByIoctl],
    ),
    '4.3': noIoctl,
    without: [inTurn(...IOCTLS.map((group) => [group] as const)), noIoctl],
  },
  {
    number: 15,
    situation: 'removed',
    call: 'ioctl INFO_HANDLES',
    '6.12': lists(true),
    '4.3': absent(NO_IOCTL),
    without: [lists(false), absent(NO_IOCTL)],
  },
  {
    number: 16,
    situation: 'removed',
    call: 'unsupported command',
    '6.12': all(unsupported),
    '4.3': all(unsupported, 'EIO'),
    without: all(unsupported),
  },
  {
    number: 17,
    situation: 'removed, no GET_CONTEXT ever',
    call: 'any create',
    '6.12': shown(losesNothing),
    '4.3': deviating(losesNothing),
    without: notActive,
  },
];
