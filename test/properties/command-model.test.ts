/**
 * Random commands on several files of one device, through both doors, against a model that knows which handles there
 * are, what refers to what, and which transitions a QP may make. VERBSIM_PROPERTY_COMMANDS: how many commands.
 */
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { t as root, type Test, test } from 'tap';
import { ClientMemory } from '../fuzz/support/client-memory.js';
import { heapInUse } from '../support/garbage.js';
import { limit } from '../support/limit.js';
import { anyPlan, basicPlans, type Plan } from './actions.js';
import { Divergence, DOORS, type Door, World } from './world.js';

const USUAL_COMMANDS = 100_000;
const COMMANDS = Number(process.env['VERBSIM_PROPERTY_COMMANDS'] ?? USUAL_COMMANDS);
const LONGEST = 1000;
const RUNS = 20;
/** For one batch of runs, and for making a failure small. */
const PATIENCE_MS = 40_000;
const MAX_GROWTH = 8 * 2 ** 20;

type Move =
  | { what: 'command'; file: number; door: Door; badResponse: boolean; plan: Plan }
  | { what: 'reopen'; file: number }
  | { what: 'close event file'; file: number; n: number };

/** Mostly the same, so that objects pile up there. */
const file = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) });

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
  /** Files that begin with a context and some objects. */
  prepared: fc.array(fc.record({ file: fc.nat(3), plans: basicPlans }), { maxLength: 4, size: 'max' }),
  moves: fc.array(move, { minLength: 1, maxLength: LONGEST, size: 'max' }),
  /** Whether the device goes, and what is done to its open files then. */
  afterUnplug: fc.option(fc.array(move, { maxLength: 40, size: 'max' }), { freq: 3 }),
});

async function compare(t: Test): Promise<void> {
  const client = await ClientMemory.start(t);
  let commands = 0;
  let before = 0;
  const property = fc.asyncProperty(sequence, async ({ isEthernet, prepared, moves, afterUnplug }) => {
    const world = new World(client, isEthernet);
    for (const { file, plans } of prepared) {
      for (const plan of plans)
        make(world, { what: 'command', file, door: 'write', badResponse: false, plan });
    }
    moves.forEach((next, i) => {
      make(world, next);
      if (i % 50 === 0) world.compareResources();
    });
    if (afterUnplug !== null) {
      await world.unplug();
      for (const next of afterUnplug) make(world, next);
    }
    world.end();
    commands += world.commands;
  });
  for (let seed = Date.now() | 0; commands < COMMANDS; seed++) {
    const details = await fc.check(property, {
      seed,
      numRuns: RUNS,
      unbiased: true,
      interruptAfterTimeLimit: PATIENCE_MS,
    });
    if (details.failed) {
      const { errorInstance: error, counterexamplePath } = details;
      const what = error instanceof Divergence ? error.message : (error as Error).stack;
      t.fail(`seed ${seed}, path ${counterexamplePath}`, { history: what });
      return;
    }
    // Handles of the event loop are closed by the event loop.
    await setImmediate();
    // What a long run needs is there after the first rounds.
    if (before === 0 || commands < COMMANDS / 4) before = heapInUse();
  }
  const growth = heapInUse() - before;
  t.ok(growth < MAX_GROWTH, `${commands} commands as the model says; the heap grew by ${growth >> 10} KiB`);
}

limit(root, COMMANDS / USUAL_COMMANDS);
test('files, handles, references and QP states behave as the model says', compare);
