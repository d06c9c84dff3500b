/** Tables of what may be wrong with an ioctl method, and the walk along its attributes. */
import type { Test } from 'tap';
import type { Answer } from '../../uverbs/support/door.js';
import { type Attribute, attr, type Ioctl, u64 } from '../../uverbs/support/messages.js';
import {
  ANSWER_ROOM,
  build,
  type Changes,
  callMethod,
  encode,
  type Kind,
  LEFT_OUT,
  type MethodCall,
  type Named,
  SPARE_ROOM,
} from './attributes.js';
import type { Foreign, Scene, Stage } from './scene.js';
import { expectResult, type Result } from './table.js';

type MethodRow = readonly [what: string, changes: Changes | ((scene: Scene) => Changes), result: Result];

/** As walkTable, for a method. */
export async function walkMethodTable(
  t: Test,
  stage: Stage,
  call: MethodCall,
  rows: readonly MethodRow[],
  ordered = true,
): Promise<void> {
  const resolve = (changes: MethodRow[1], scene: Scene): Changes =>
    typeof changes === 'function' ? changes(scene) : changes;
  const send =
    (...all: MethodRow[1][]) =>
    (scene: Scene): Promise<Answer> =>
      callMethod(call, scene, Object.assign({}, ...all.map((changes) => resolve(changes, scene))));
  for (const [what, changes, result] of rows) {
    await expectResult(t, stage, `${call.name}: ${what}`, send(changes), result);
  }
  if (!ordered) return;
  const mistakes = rows.filter(([, , result]) => result !== 'ok');
  for (const [i, [first, one, result]] of mistakes.entries()) {
    for (const [second, other, later] of mistakes.slice(i + 1)) {
      const scene = await stage.scene();
      const names = Object.keys(resolve(other, scene));
      if (later === result || Object.keys(resolve(one, scene)).some((name) => names.includes(name))) continue;
      await expectResult(t, stage, `${call.name}: ${first}; and ${second}`, send(other, one), result);
    }
  }
}

type Mistake = readonly [
  what: string,
  message: (scene: Scene, name: string, good: Attribute | undefined) => Ioctl,
  result: Result,
];

/**
 * What goes for every attribute: left out, given twice, of the wrong length, pointing nowhere. `staysDone`: what the
 * method did stays done when its answer cannot be written.
 */
export async function walkAttributes(
  t: Test,
  stage: Stage,
  call: MethodCall,
  { staysDone = false } = {},
): Promise<void> {
  const foreign = await stage.foreign();
  for (const [name, attribute] of Object.entries(call.good(await stage.scene()))) {
    for (const [what, message, result] of mistakesOf(call, attribute, foreign)) {
      const send = (scene: Scene): Promise<Answer> => {
        const good = encode(call.good(scene)[name] as Named, SPARE_ROOM);
        return scene.door.ioctl(scene.fd, message(scene, name, good), ANSWER_ROOM);
      };
      // Outputs of a method that the driver has not are not written.
      const isReached = result === 'ok' || (attribute.kind === 'out' && result === 'EFAULT');
      const comesTo = isReached ? (call.result ?? result) : result;
      await expectResult(
        t,
        stage,
        `${call.name}: ${name} ${what}`,
        send,
        comesTo,
        staysDone && result === 'EFAULT',
      );
    }
  }
}

type Replace = (change: Partial<Attribute> | ((scene: Scene) => Partial<Attribute>)) => Mistake[1];

function mistakesOf(call: MethodCall, attribute: Named, foreign: Foreign): Mistake[] {
  const replace: Replace = (change) => (scene, name, good) => {
    const given = typeof change === 'function' ? change(scene) : change;
    return build(call, scene, {}, { [name]: { ...(good ?? attr.handle(attribute.id, 0)), ...given } });
  };
  const { kind, value, missing } = attribute;
  const isSent = value !== undefined || kind === 'out';
  const leftOut: Mistake = [
    'is left out',
    (scene, name) => build(call, scene, {}, { [name]: LEFT_OUT }),
    missing,
  ];
  if (!isSent && kind !== 'event-fd') return [leftOut];
  const mistakes: Mistake[] = [leftOut, ...MISTAKES[kind](replace, attribute, foreign)];
  if (kind !== 'const' && kind !== 'flags') {
    mistakes.push(['has reserved bits', replace({ element: '0001' }), 'EINVAL']);
  }
  if (isSent) {
    const twice: Mistake[1] = (scene, _name, good) => build(call, scene, {}, {}, good && [good]);
    mistakes.push(['is given twice', twice, 'EINVAL']);
  }
  return mistakes;
}

const hasLength = (replace: Replace): Mistake => ['has a length', replace({ len: 4 }), 'EINVAL'];

function handleMistakes(replace: Replace, attribute: Named, foreign: Foreign): Mistake[] {
  return [
    hasLength(replace),
    ['is negative', replace({ data: u64(-1n) }), 'EINVAL'],
    ['was never given out', replace({ data: u64(0x7fff_fff0) }), 'ENOENT'],
    ['has 33 bits', replace({ data: u64(1n << 32n) }), 'ENOENT'],
    ["is another file's", replace({ data: u64(foreign.pd) }), 'ENOENT'],
    ['is the next free one', replace(({ next }) => ({ data: u64(next + 1) })), 'ENOENT'],
    ['is of another type', replace((scene) => ({ data: u64(otherType(attribute, scene)) })), 'EINVAL'],
  ];
}

const MISTAKES: Record<Kind, (replace: Replace, attribute: Named, foreign: Foreign) => Mistake[]> = {
  in: (replace, { size, open, zeroTail }) => [
    ...(open ? [] : [['is too short', replace({ len: size - 1 }), 'EINVAL'] as const]),
    ...(open || zeroTail ? [] : [['is too long', replace({ len: size + 1 }), 'EINVAL'] as const]),
    ...(size > 8
      ? ['@U', '@Q'].map((data): Mistake => [`at ${data}`, replace({ data, len: size }), 'EFAULT'])
      : []),
  ],
  out: (replace, { size, roomy }) => [
    ...(roomy
      ? []
      : [size - 1, size + 1].map((len): Mistake => [`of ${len} bytes`, replace({ len }), 'EINVAL'])),
    ...['@U', '@O', '@Q'].map((data): Mistake => [`at ${data}`, replace({ data }), 'EFAULT']),
  ],
  const: (replace) => [
    ['has 4 bytes', replace({ len: 4 }), 'EINVAL'],
    ['is too large', replace({ data: u64(1n << 32n) }), 'EINVAL'],
  ],
  flags: (replace) => [
    ['has 2 bytes', replace({ len: 2 }), 'EINVAL'],
    ['has unknown bits', replace({ data: u64(1n << 40n) }), 'EINVAL'],
    ['has 4 bytes, of which no more count', replace({ len: 4, data: u64(1n << 40n) }), 'ok'],
  ],
  'event-fd': (replace, _, foreign) => [
    hasLength(replace),
    ['is no descriptor', replace({ data: u64(-1n) }), 'EBADF'],
    ['is no int', replace({ data: u64(1n << 32n) }), 'EINVAL'],
    ['is a device file', replace(({ fd }) => ({ data: u64(fd) })), 'EBADF'],
    ["is another context's async file", replace({ data: u64(foreign.asyncFd) }), 'EBADF'],
    ["is another context's channel", replace({ data: u64(foreign.channel) }), 'EBADF'],
  ],
  new: (replace) => [hasLength(replace)],
  use: handleMistakes,
  destroy: handleMistakes,
};

/** A handle of a type that the attribute does not name. */
function otherType({ value }: Named, { pd, spare, mw }: Scene): number {
  return value === pd || value === spare.pd ? mw : pd;
}
