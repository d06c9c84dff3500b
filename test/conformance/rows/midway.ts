/** What happens while the removal is at a file: a client with many objects that works on meanwhile. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import type { ProfileName } from '../../../src/uverbs/profile.js';
import type { AnyBuild } from '../../objects/support/builder.js';
import * as requests from '../../objects/support/requests.js';
import { clientProgram } from '../../support/client-programs.js';
import { outcome } from '../../uverbs/support/door.js';
import { type Cell, type Row, shown } from '../table.js';
import type { World } from '../world.js';

/** Enough for a removal to take several turns. */
const OBJECTS = 20_000;
/** A client that does not get to run at the right moment has another try. */
const TRIES = 60;

/** What midway prints (test/clients/midway.c). */
interface Report {
  channelFirst: boolean;
  fatalFirst: boolean;
  threads: {
    creates: string[];
    destroys: string[];
    told: [before: boolean, after: boolean];
    kept: string;
    again: string;
  }[];
}

async function meetRemoval(t: Test, world: World): Promise<Report> {
  const child = spawn(clientProgram('midway'), [world.node, `${OBJECTS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const closed = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), closed]);
  await world.remove();
  await closed;
  return JSON.parse(text.replace('ready\n', '')) as Report;
}

/** Runs until one has seen the removal half done; all of them are returned. */
async function meetRemovals(t: Test, world: World, isMidway: (report: Report) => boolean): Promise<Report[]> {
  await world.plugIn();
  const reports: Report[] = [];
  do {
    if (reports.length > 0) await world.plug();
    reports.push(await meetRemoval(t, world));
  } while (!reports.some(isMidway) && reports.length < TRIES);
  t.ok(reports.some(isMidway), `a client has seen the removal half done, try ${reports.length}`);
  return reports;
}

/** Whether the client has seen what is there only before its file is cut off. */
const sawMidway: Record<ProfileName, (report: Report) => boolean> = {
  '6.12': ({ threads }) => threads.some(({ told: [before] }) => !before),
  '4.3': ({ fatalFirst }) => fatalFirst,
};

const destroysWait = shown(async (t, world) => {
  for (const { threads } of await meetRemovals(t, world, sawMidway['6.12'])) {
    for (const { destroys, kept, told, again } of threads) {
      t.same(destroys, ['0'], 'each destroy is done');
      t.same([kept, again], ['0', 'ENOENT'], 'once');
      t.ok(told[1], 'and no sooner than the file is cut off');
    }
  }
});

const destroysFail = shown(async (t, world) => {
  for (const { threads } of await meetRemovals(t, world, sawMidway['4.3'])) {
    for (const { destroys, kept, again } of threads) {
      t.match(destroys.join(), /^0(,EIO)?$/);
      t.same([kept, again], ['EIO', 'EIO']);
    }
  }
});

const createsFail = shown(async (t, world) => {
  for (const { threads } of await meetRemovals(t, world, sawMidway[world.combination.kernel])) {
    for (const { creates } of threads) t.same(creates, ['0', 'EIO'], 'from one moment on');
  }
});

const channelThenFatal = shown(async (t, world) => {
  const reports = await meetRemovals(t, world, ({ channelFirst }) => channelFirst);
  for (const { fatalFirst } of reports) t.notOk(fatalFirst, 'never the other way round');
});

const fatalThenChannel = shown(async (t, world) => {
  const reports = await meetRemovals(t, world, ({ fatalFirst }) => fatalFirst);
  for (const { channelFirst } of reports) t.notOk(channelFirst, 'never the other way round');
});

const done = (build: AnyBuild): Cell =>
  shown(async (t, world) => {
    const scene = await world.client();
    await world.remove();
    t.type(outcome(await scene.door.command(scene.fd, build(scene))), 'number');
    t.notOk(world.isRemoved);
  });

const neither = shown(async (t, world) => {
  const { door, asyncFd, channel } = await world.client();
  await world.remove();
  for (const file of [asyncFd, channel]) t.equal(await door.poll(file, 100), 0);
});

export const midwayRows: readonly Row[] = [
  {
    number: 12,
    situation: 'being removed',
    call: 'destroy',
    '6.12': destroysWait,
    '4.3': destroysFail,
    without: done(requests.deallocPd),
  },
  {
    number: 13,
    situation: 'being removed',
    call: 'create',
    '6.12': createsFail,
    '4.3': createsFail,
    without: done(requests.allocPd),
  },
  {
    number: 34,
    situation: 'which comes first',
    call: 'poll, read of a channel and of asynchronous events',
    '6.12': channelThenFatal,
    '4.3': fatalThenChannel,
    without: neither,
  },
];
