/** Tables of what may be wrong with a write command. */
import type { Test } from 'tap';
import { type Answer, outcome } from '../../uverbs/support/door.js';
import type { Command } from '../../uverbs/support/messages.js';
import type { Build, Change } from './builder.js';
import type { Scene, Stage } from './scene.js';

/** An errno, or `ok`. */
export type Result = string;

/**
 * What is different from a good request, and what comes of it. Rows that end in an error stand in the order of the
 * kernel's checks: of two mistakes, the first is reported.
 */
export type Row<F> = readonly [what: string, change: ChangeOf<F>, result: Result];
type ChangeOf<F> = Change<F> | ((scene: Scene) => Change<F>);

/** Both ways of a write command. */
export const DOORS = {
  write: (scene: Scene, command: Command): Promise<Answer> => scene.door.command(scene.fd, command),
  INVOKE_WRITE: (scene: Scene, command: Command): Promise<Answer> => scene.door.invoke(scene.fd, command),
} as const;
export type DoorName = keyof typeof DOORS;

/** What a call came to: `ok` or its errno. */
export function resultOf(answer: Answer): Result {
  const came = outcome(answer);
  return typeof came === 'number' ? 'ok' : came;
}

/** Sends one message, which comes to `result`. An error leaves nothing behind, unless the work was done before it. */
export async function expectResult(
  t: Test,
  stage: Stage,
  name: string,
  send: (scene: Scene) => Promise<Answer>,
  result: Result,
  workIsDone = false,
): Promise<void> {
  const came = resultOf(await send(await stage.scene()));
  t.equal(came, result, name);
  if (came === result && came !== 'ok' && !workIsDone) {
    if (await stage.isUntouched()) return;
    t.fail(`${name}: it left something behind`);
  }
  await stage.strike();
}

interface TableOptions {
  doors?: DoorName[];
  /** Whether the rows are in the order of checks, so that pairs of them are tried. */
  ordered?: boolean;
}

/** Sends every row through every door, and every two mistakes that end in different errors. */
export async function walkTable<F>(
  t: Test,
  stage: Stage,
  build: Build<F>,
  rows: readonly Row<F>[],
  { doors = ['write', 'INVOKE_WRITE'], ordered = true }: TableOptions = {},
): Promise<void> {
  const resolve = (change: ChangeOf<F>, scene: Scene): Change<F> =>
    typeof change === 'function' ? change(scene) : change;
  for (const door of doors) {
    const send =
      (...changes: ChangeOf<F>[]) =>
      (scene: Scene): Promise<Answer> =>
        DOORS[door](
          scene,
          build(scene, Object.assign({}, ...changes.map((change) => resolve(change, scene)))),
        );
    for (const [what, change, result] of rows) {
      await expectResult(t, stage, `${door}: ${what}`, send(change), result);
    }
    if (!ordered) continue;
    const scene = await stage.scene();
    const mistakes = rows.filter(([, , result]) => result !== 'ok');
    for (const [i, [first, one, result]] of mistakes.entries()) {
      for (const [second, other, later] of mistakes.slice(i + 1)) {
        if (later === result || overlap(resolve(one, scene), resolve(other, scene))) continue;
        await expectResult(t, stage, `${door}: ${first}; and ${second}`, send(other, one), result);
      }
    }
  }
}

function overlap(one: object, other: object): boolean {
  return Object.keys(one).some((key) => key in other);
}

/** Rows for a field that names an object of the client: what it may be other than right. */
export function badHandles<K extends string>(
  field: K,
  wrong: (scene: Scene) => number,
  foreign: number,
  results: { unknown?: Result; wrongType?: Result } = {},
): Row<Record<K, number>>[] {
  const { unknown = 'ENOENT', wrongType = 'EINVAL' } = results;
  const change = (value: number) => ({ [field]: value }) as Record<K, number>;
  return [
    [`${field} that was never given out`, change(0x7fff_fff0), unknown],
    [`${field} with the sign bit`, change(0xffff_ffff), unknown],
    [`${field} that is the next free one`, ({ next }) => change(next), unknown],
    [`${field} of another file`, change(foreign), unknown],
    [`${field} of another type`, (scene) => change(wrong(scene)), wrongType],
  ];
}
