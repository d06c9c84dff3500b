/**
 * Random commands on several files of one device, through both doors, against a model that knows which handles there
 * are, what refers to what, and which transitions a QP may make. VERBSIM_PROPERTY_COMMANDS: how many commands.
 */
import fc from 'fast-check';
import { type Test, test } from 'tap';
import { ClientMemory } from '../fuzz/support/client-memory.js';
import { anyPlan, type Plan } from './actions.js';
import { DOORS, Divergence, type Door, World } from './world.js';

const COMMANDS = Number(process.env['VERBSIM_PROPERTY_COMMANDS'] ?? 100_000);
const LONGEST = 400;
const RUNS = 50;
/** For one batch of runs, and for making a failure small. */
const PATIENCE_MS = 40_000;
const MAX_GROWTH = 64 * 2 ** 20;

type Move =
  | { what: 'command'; file: number; door: Door; badResponse: boolean; plan: Plan }
  | { what: 'reopen'; file: number }
  | { what: 'close event file'; file: number; n: number };

const file = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(3) });

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 200,
    arbitrary: fc.record({
      what: fc.constant('command' as const),
      file,
      door: fc.constantFrom(...DOORS),
      badResponse: fc.nat(30).map((n) => n === 30),
      plan: anyPlan,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('reopen' as const), file }) },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constant('close event file' as const), file, n: fc.nat(5) }),
  },
);

function make(world: World, next: Move): void {
  switch (next.what) {
    case 'command':
      world.run(next.file, next.door, next.badResponse, (model) => next.plan({ world, file: model }));
      return;
    case 'reopen':
      world.reopen(next.file);
      return;
    case 'close event file':
      world.closeDescriptor(next.file, next.n);
  }
}

const sequence = fc.record({
  isEthernet: fc.boolean(),
  moves: fc.array(move, { minLength: 1, maxLength: LONGEST, size: 'max' }),
  /** Whether the device goes, and what is done to its open files then. */
  afterUnplug: fc.option(fc.array(move, { maxLength: 40, size: 'max' }), { freq: 3 }),
});

async function compare(t: Test): Promise<void> {
  const client = await ClientMemory.start(t);
  let commands = 0;
  let rss = 0;
  const property = fc.property(sequence, ({ isEthernet, moves, afterUnplug }) => {
    const world = new World(client, isEthernet);
    moves.forEach((next, i) => {
      make(world, next);
      if (i % 20 === 0) world.compareResources();
    });
    if (afterUnplug !== null) {
      world.unplug();
      for (const next of afterUnplug) make(world, next);
    }
    world.end();
    commands += world.commands;
  });
  for (let seed = Date.now() | 0; commands < COMMANDS; seed++) {
    const details = fc.check(property, { seed, numRuns: RUNS, interruptAfterTimeLimit: PATIENCE_MS });
    if (details.failed) {
      const { errorInstance: error, counterexamplePath } = details;
      const what = error instanceof Divergence ? error.message : (error as Error).stack;
      t.fail(`seed ${seed}, path ${counterexamplePath}`, { history: what });
      return;
    }
    // What a long run needs is there after the first rounds.
    if (commands < COMMANDS / 4) rss = process.memoryUsage.rss();
  }
  const growth = process.memoryUsage.rss() - rss;
  t.ok(growth < MAX_GROWTH, `${commands} commands as the model says; memory grew by ${growth >> 20} MiB`);
}

test('files, handles, references and QP states behave as the model says', { timeout: 110_000 }, compare);
