/** What one unplug costs while many contexts are open, and what these contexts cost the daemon. */
import type { Readable } from 'node:stream';
import { Child, runClient } from './child.js';
import { type Daemon, DEVICE_NAME, startDaemon } from './daemon.js';
import { type Floor, startFloor } from './floor.js';
import type { Measurement } from './measurement.js';
import { type Row, row } from './report.js';
import type { Workbench } from './workbench.js';

const CONTEXTS = [100, 1000];
/** Opened and closed beforehand, so that what grows only once is not taken for the price of a context. */
const WARM_UP_CONTEXTS = 100;
const MEBIBYTE = 2 ** 20;

async function residentBytes({ admin }: Daemon): Promise<number> {
  return (await admin.call('status', {})).residentBytes;
}

/** A context takes two descriptors, and the limit may be lower than that. */
function openMany(bench: Workbench, daemon: Daemon, ...args: string[]): [string, string[]] {
  const command = ['prlimit', '--nofile=8192:', bench.programs['open-many'], ...args];
  return daemon.run(...command);
}

async function holdAndUnplug(
  bench: Workbench,
  daemon: Daemon,
  contexts: number,
): Promise<{ milliseconds: number; bytes: number; resident: number }> {
  await runClient(bench.cleanup, ...openMany(bench, daemon, '--loop', String(WARM_UP_CONTEXTS)));
  const before = await residentBytes(daemon);
  const [file, args] = openMany(bench, daemon, '--hold', String(contexts));
  const holder = Child.start(bench.cleanup, file, args, ['pipe', 'pipe', 'pipe']);
  await holder.firstLine(holder.process.stdout as Readable);
  const resident = await residentBytes(daemon);
  const report = await daemon.admin.call('device.unplug', { device: DEVICE_NAME });
  if (report.contexts.length !== contexts) {
    throw new Error(`the unplug met ${report.contexts.length} of ${contexts} open contexts`);
  }
  await holder.stop();
  return { milliseconds: report.milliseconds, bytes: (resident - before) / contexts, resident };
}

async function rowsFor(bench: Workbench, floor: Floor, contexts: number): Promise<Row[]> {
  const count = String(contexts);
  const { close_ms } = await runClient<{ close_ms: number }>(bench.cleanup, bench.programs['open-close'], [
    '--hold',
    floor.device,
    count,
  ]);
  // A fresh one each time: memory that the last round needed is not given back.
  const daemon = await startDaemon(bench);
  const { milliseconds, bytes, resident } = await holdAndUnplug(bench, daemon, contexts);
  await daemon.stop();
  return [
    row(`unplug with ${count} contexts open`, 'ms', milliseconds, close_ms),
    row(`daemon's memory per context, of ${count}`, 'bytes', bytes),
    row(`daemon's memory with ${count} contexts`, 'MiB', resident / MEBIBYTE),
  ];
}

export const unplug: Measurement = {
  name: 'unplug',
  summary:
    'one unplug with many contexts open, beside close(2) of as many files of the floor; resident memory',
  async run(bench) {
    const floor = await startFloor(bench);
    const rows: Row[] = [];
    for (const contexts of CONTEXTS) rows.push(...(await rowsFor(bench, floor, contexts)));
    return rows;
  },
};
