/** npm run bench: measures the simulator beside a floor, and prints what came out. */
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { Argument, Command } from 'commander';
import { Cleanup } from './cleanup.js';
import type { Measurement } from './measurement.js';
import { objectRate } from './object-rate.js';
import { openClose } from './open-close.js';
import { type Row, toJson, toTable } from './report.js';
import { roundTrip } from './round-trip.js';
import { unplug } from './unplug.js';
import { Workbench } from './workbench.js';

const measurements: readonly Measurement[] = [roundTrip, openClose, unplug, objectRate];

const EXIT_FAILED = 1;
/** What a shell adds to the number of the signal that ended a command. */
const EXIT_SIGNALLED = 128;

class Interruption extends Error {
  constructor(readonly signal: NodeJS.Signals) {
    super(`ended by ${signal}`);
  }
}

/** Rejects with an Interruption. */
function interruption(cleanup: Cleanup): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        cleanup.close();
        reject(new Interruption(signal));
      });
    }
  });
}

/** What could be measured, and as sentences what could not. */
async function measure(
  bench: Workbench,
  wanted: readonly Measurement[],
): Promise<{ rows: Row[]; unable: string[] }> {
  const rows: Row[] = [];
  const unable: string[] = [];
  for (const measurement of wanted) {
    console.error(`${measurement.name}: ${measurement.summary}`);
    try {
      rows.push(...(await measurement.run(bench, (sentence) => unable.push(sentence))));
    } catch (error) {
      unable.push(`${measurement.name}: ${(error as Error).message}`);
    }
    await bench.cleanup.run();
  }
  return { rows, unable };
}

/** Returns the exit code. Throws an Error if nothing can be measured, or an Interruption. */
async function run(wanted: readonly Measurement[], json: string | undefined): Promise<number> {
  const cleanup = new Cleanup();
  const interrupted = interruption(cleanup);
  const bench = new Workbench(cleanup);
  try {
    await Promise.race([bench.compile(), interrupted]);
    const { rows, unable } = await Promise.race([measure(bench, wanted), interrupted]);
    console.log(toTable(rows));
    if (json !== undefined) writeFileSync(json, toJson(rows));
    for (const sentence of unable) console.error(`not measured: ${sentence}`);
    return unable.length === 0 ? 0 : EXIT_FAILED;
  } finally {
    await bench.close();
  }
}

function explain(error: unknown): number {
  console.error(`bench: ${(error as Error).message}`);
  return error instanceof Interruption ? EXIT_SIGNALLED + constants.signals[error.signal] : EXIT_FAILED;
}

const program = new Command('npm run bench --')
  .description('Measures the simulator against a floor, the least that a FUSE server in C must do')
  .addArgument(
    new Argument('[measurement...]', 'what to measure, by default everything').choices(
      measurements.map(({ name }) => name),
    ),
  )
  .option('--json <file>', 'write an array of {name, value, unit, floor, ratio}, too')
  .addHelpText('after', `\n${measurements.map(({ name, summary }) => `  ${name}: ${summary}`).join('\n')}`)
  .action(async (names: string[], { json }: { json?: string }) => {
    const wanted = measurements.filter(({ name }) => names.length === 0 || names.includes(name));
    process.exit(await run(wanted, json).catch(explain));
  });

await program.parseAsync();
