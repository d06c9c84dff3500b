/** The pages that a client has mapped. */
import { type Answer, outcome, type UverbsDoor } from '../../uverbs/support/door.js';
import { type Cell, deviating, type Row, type Run, shown } from '../table.js';

type Touch = Partial<Answer>;
const SIGBUS: Touch = { signal: 'SIGBUS' };

const BLUEFLAME = 1;
const OFFSET = 0x18;
const BEFORE = 0x11;
const AFTER = 0x22;

const load = (door: UverbsDoor, map: number) => door.ask('load32', map, OFFSET);
const store = (door: UverbsDoor, map: number, value: number) => door.ask('store32', map, OFFSET, value);

/** A page that is mapped only now shows this. */
const mapsLate =
  (shows: Touch): Run =>
  async (t, world) => {
    const { door, fd } = await world.bareClient();
    await store(door, await door.map(fd), BEFORE);
    await world.remove();
    t.match(await load(door, await door.map(fd)), shows);
  };

/** Mappings of one page show the same, before and after; another page is another page. */
const touches = (first: Touch): Cell => {
  const isSharedPage = first.signal === undefined;
  return shown(async (t, world) => {
    const { door, fd } = await world.bareClient();
    const map = await door.map(fd);
    const second = await door.map(fd);
    await store(door, map, BEFORE);
    await world.remove();
    t.match(await load(door, map), first, 'load');
    t.match(await store(door, map, AFTER), isSharedPage ? { result: 0 } : SIGBUS, 'store');
    t.match(await load(door, second), isSharedPage ? { value: AFTER } : SIGBUS, 'in another mapping');
  });
};

/** The kernel has one page for all of them. */
const pagesDiffer: Run = async (t, world) => {
  const { door, fd } = await world.bareClient();
  const maps = [await door.map(fd), await door.map(fd), await door.map(fd, BLUEFLAME)] as const;
  await store(door, maps[0], BEFORE);
  await world.remove();
  t.match(await load(door, maps[0]), { value: 0 }, 'an empty page');
  t.match(await store(door, maps[0], AFTER), { result: 0 }, 'that can be written');
  t.match(await load(door, maps[1]), { value: AFTER }, 'another mapping of the same page shows it');
  t.match(await load(door, maps[2]), { value: 0 }, 'a mapping of another page does not');
};

interface Children {
  /** What a child finds that was forked before the removal, and one that was forked after it. */
  before: Touch;
  after: Touch;
}

const forks =
  ({ before, after }: Children): Run =>
  async (t, world) => {
    const { door, fd } = await world.bareClient();
    const map = await door.map(fd);
    await store(door, map, BEFORE);
    await door.ask('fork');
    // The parent's descriptors are open, so that the removal waits for both.
    await world.remove();
    t.match(await load(door, map), before, 'forked before');
    await door.ask('exit');
    await door.ask('fork');
    t.match(await load(door, map), after, 'forked after');
    await door.ask('exit');
  };

const unmaps = shown(async (t, world) => {
  const { door, fd } = await world.bareClient();
  const maps = [await door.map(fd), await door.map(fd)];
  await world.remove();
  for (const map of maps) t.equal(outcome(await door.ask('munmap', map)), 0);
});

export const mappingRows: readonly Row[] = [
  {
    number: 18,
    situation: 'removed',
    call: 'new mmap',
    '6.12': deviating(mapsLate({ value: 0 })),
    '4.3': deviating(mapsLate(SIGBUS)),
    without: shown(mapsLate({ value: BEFORE })),
  },
  {
    number: 19,
    situation: 'removed',
    call: 'load and store in a mapping',
    '6.12': deviating(pagesDiffer),
    '4.3': touches(SIGBUS),
    without: touches({ value: BEFORE }),
  },
  {
    number: 20,
    situation: 'removed',
    call: 'load in the mapping of a forked child',
    '6.12': deviating(forks({ before: { value: 0 }, after: { value: 0 } })),
    '4.3': deviating(forks({ before: SIGBUS, after: SIGBUS })),
    without: shown(forks({ before: { value: BEFORE }, after: { value: BEFORE } })),
  },
  {
    number: 21,
    situation: 'removed',
    call: 'munmap',
    '6.12': unmaps,
    '4.3': unmaps,
    without: unmaps,
  },
];
