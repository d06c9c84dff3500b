/** What one unplug costs while many contexts are open, and what these contexts cost the daemon. */
import type { Readable } from 'node:stream';
import type { AdminClient } from '../../src/admin/client.js';
import { Child, runClient } from './child.js';
import { type Daemon, DEVICE_NAME, startDaemon } from './daemon.js';
import { type Floor, startFloor } from './floor.js';
import type { Measurement } from './measurement.js';
import { type Row, row } from './report.js';
import type { Workbench } from './workbench.js';

/** How many contexts, with how many objects each, and how many threads that wait for events. */
interface Crowd {
  contexts: number;
  objects: number;
  readers: number;
}

const CROWDS: Crowd[] = [
  { contexts: 100, objects: 0, readers: 0 },
  { contexts: 1000, objects: 0, readers: 0 },
  { contexts: 10_000, objects: 10, readers: 1000 },
];
/** Opened and closed beforehand, so that what grows only once is not taken for the price of a context. */
const WARM_UP_CONTEXTS = 100;
const MEBIBYTE = 2 ** 20;

async function residentBytes({ admin }: Daemon): Promise<number> {
  return (await admin.call('status', {})).residentBytes;
}

/** A context takes two descriptors, and a process may have 4096 of them almost everywhere. */
const CONTEXTS_PER_PROCESS = 1000;

function openMany(bench: Workbench, daemon: Daemon, ...args: number[]): [string, string[]] {
  const hold = ['prlimit', '--nofile=4096:', bench.programs['open-many'], '--hold', ...args.map(String)];
  return daemon.run(...hold);
}

/** A client that has its contexts open until it is stopped. */
async function hold(bench: Workbench, daemon: Daemon, { contexts, objects, readers }: Crowd): Promise<Child> {
  const [file, args] = openMany(bench, daemon, contexts, objects, readers);
  const holder = Child.start(bench.cleanup, file, args, ['pipe', 'pipe', 'pipe']);
  const line = await holder.firstLine(holder.process.stdout as Readable);
  if (line !== 'holding') throw new Error(`a client could not open its ${contexts} contexts: ${line}`);
  return holder;
}

/** The longest that the daemon keeps somebody else waiting until `done`. */
async function longestWait(admin: AdminClient, done: Promise<unknown>): Promise<number> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  void done.then(end, end);
  let longest = 0;
  while (!over) {
    const start = performance.now();
    await admin.call('status', {});
    longest = Math.max(longest, performance.now() - start);
  }
  return longest;
}

async function holdAndUnplug(
  bench: Workbench,
  daemon: Daemon,
  { contexts, objects, readers }: Crowd,
): Promise<{ milliseconds: number; waited: number; bytes: number; resident: number }> {
  const warmUp = await hold(bench, daemon, { contexts: WARM_UP_CONTEXTS, objects: 0, readers: 0 });
  await warmUp.stop();
  const before = await residentBytes(daemon);
  const processes = Math.ceil(contexts / CONTEXTS_PER_PROCESS);
  const share = { contexts: contexts / processes, objects, readers: readers / processes };
  const holders: Child[] = [];
  while (holders.length < processes) holders.push(await hold(bench, daemon, share));
  const resident = await residentBytes(daemon);
  const other = await daemon.connect();
  const removal = daemon.admin.call('device.unplug', { device: DEVICE_NAME });
  const waited = await longestWait(other, removal);
  const report = await removal;
  if (report.contexts.length !== contexts) {
    throw new Error(`the unplug met ${report.contexts.length} of ${contexts} open contexts`);
  }
  for (const holder of holders) await holder.stop();
  return { milliseconds: report.milliseconds, waited, bytes: (resident - before) / contexts, resident };
}

function nameOf({ contexts, objects, readers }: Crowd): string {
  return objects === 0 ? `${contexts}` : `${contexts} (${contexts * objects} objects, ${readers} readers)`;
}

async function rowsFor(bench: Workbench, floor: Floor, crowd: Crowd): Promise<Row[]> {
  const count = String(crowd.contexts);
  const name = nameOf(crowd);
  const { close_ms } = await runClient<{ close_ms: number }>(bench.cleanup, bench.programs['open-close'], [
    '--hold',
    floor.device,
    count,
  ]);
  // A fresh one each time: memory that the last round needed is not given back.
  const daemon = await startDaemon(bench);
  const { milliseconds, waited, bytes, resident } = await holdAndUnplug(bench, daemon, crowd);
  await daemon.stop();
  return [
    row(`unplug with ${name} contexts open`, 'ms', milliseconds, close_ms),
    row(`longest that others waited meanwhile, ${name} contexts`, 'ms', waited),
    row(`daemon's memory per context, of ${name}`, 'bytes', bytes),
    row(`daemon's memory with ${name} contexts`, 'MiB', resident / MEBIBYTE),
  ];
}

export const unplug: Measurement = {
  name: 'unplug',
  summary:
    'one unplug with many contexts open, beside close(2) of as many files of the floor; resident memory',
  async run(bench) {
    const floor = await startFloor(bench);
    const rows: Row[] = [];
    for (const crowd of CROWDS) rows.push(...(await rowsFor(bench, floor, crowd)));
    return rows;
  },
};
