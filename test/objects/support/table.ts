/** Tables of what may be wrong with a write command, and the walk along the frame that all of them have in common. */
import type { Test } from 'tap';
import {
  uverbsAttrsInvokeWriteCmdAttrIds as Invoke,
  uverbsAttrUhw as Uhw,
  uverbsDefaultObjects,
  uverbsMethodsDevice,
} from '../../../src/abi/index.js';
import { type Answer, outcome } from '../../uverbs/support/door.js';
import {
  type Attribute,
  attr,
  byWrite,
  type Command,
  type Ioctl,
  ioctlMessage,
  lengthOf,
  type Message,
  u64,
  zeroes,
} from '../../uverbs/support/messages.js';
import type { AnyBuild, Build, Change } from './requests.js';
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

export interface TableOptions {
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

const UNMAPPED = '@U';
/** What cannot be written to. */
const UNWRITABLE = { unmapped: UNMAPPED, 'read-only': '@O', inaccessible: '@Q' } as const;

export interface FrameOptions {
  /** What it did stays done when its answer cannot be written, as with everything but creation. */
  staysDone?: boolean;
  /** Whether the driver reads its input. */
  driverInput?: boolean;
}

/** What goes for every command: lengths, and pointers to where nothing can be read or written. */
export async function walkFrame(
  t: Test,
  stage: Stage,
  build: AnyBuild,
  { staysDone = false, driverInput = true }: FrameOptions = {},
): Promise<void> {
  const sample = build(await stage.scene());
  for (const { what, send, result } of [
    ...writeFrames(sample, driverInput),
    ...invokeFrames(sample, driverInput),
  ]) {
    const request = (scene: Scene): Promise<Answer> => send(scene, build(scene));
    await expectResult(t, stage, what, request, result, staysDone && result === 'EFAULT');
  }
}

interface Frame {
  what: string;
  send: (scene: Scene, command: Command) => Promise<Answer>;
  result: Result;
}

function writeFrames(sample: Command, driverInput: boolean): Frame[] {
  const frame = (what: string, change: (command: Command) => Command, result: Result): Frame => ({
    what: `write: ${what}`,
    send: (scene, command) => DOORS.write(scene, change(command)),
    result,
  });
  const longer = (end: Message) => (command: Command) => ({
    ...command,
    request: command.request + zeroes(7) + end,
  });
  const frames: Frame[] = [];
  if (!sample.extended) {
    frames.push(frame('a request that is too short', cutRequest, 'ENOSPC'));
    if (sample.coreOut > 0) {
      frames.push(
        frame('too little room', (c) => ({ ...c, coreOut: c.coreOut - 4, driverOut: 0 }), 'ENOSPC'),
      );
    }
  }
  const hasDriverPart = sample.driverIn !== '' || sample.driverOut > 0;
  if (sample.extended || !hasDriverPart) {
    const legacyUdata = !sample.extended && LEGACY_UDATA.has(sample.number);
    frames.push(frame('more zeroes', longer('00'), 'ok'));
    frames.push(frame('unknown fields', longer('01'), legacyUdata ? 'ok' : 'EOPNOTSUPP'));
  }
  if (sample.coreOut > 0) {
    for (const [what, place] of Object.entries(UNWRITABLE)) {
      frames.push({
        what: `write: a response that is ${what}`,
        send: ({ door, fd }, command) =>
          command.extended
            ? door.write(fd, byWrite(command, { response: place }))
            : door.command(fd, { ...command, request: command.request.replace('@R', place) }),
        result: 'EFAULT',
      });
    }
  }
  if (sample.driverOut > 0) {
    frames.push(frame('no room for the driver', (c) => ({ ...c, driverOut: 0 }), 'EFAULT'));
  }
  if (sample.driverIn !== '' && driverInput) {
    frames.push(frame('no driver input', (c) => ({ ...c, driverIn: '' }), 'EFAULT'));
  }
  return frames;
}

/** Legacy commands whose request may be followed by driver data, which nobody looks at. */
const LEGACY_UDATA: ReadonlySet<number> = new Set([0, 3, 9, 11, 14, 18, 19, 24, 32, 33, 37, 39, 40]);

function cutRequest(command: Command): Command {
  return { ...command, request: dropLast(command.request, 4), driverIn: '' };
}

/** Without its last bytes, of which a place has more than are dropped: it goes as a whole. */
function dropLast(message: Message, bytes: number): Message {
  const place = /@[A-Z]([:+]\d+)*;?$/.exec(message);
  return message.slice(0, place?.index ?? message.length - 2 * bytes);
}

interface Parts {
  coreIn?: Attribute | undefined;
  coreOut?: Attribute | undefined;
  driverIn?: Attribute | undefined;
  driverOut?: Attribute | undefined;
}

/** INVOKE_WRITE with other attributes than those of the command. */
export function invokeWith(command: Command, parts: Parts): Ioctl {
  const { request, coreOut, driverIn, driverOut } = command;
  const word = command.number + (command.extended ? 0x8000_0000 : 0);
  const given: Parts = {
    coreIn: attr.in(Invoke.UVERBS_ATTR_CORE_IN, request.replace('@R', u64(0))),
    coreOut: coreOut > 0 ? attr.out(Invoke.UVERBS_ATTR_CORE_OUT, '@R', coreOut) : undefined,
    driverIn: driverIn === '' ? undefined : attr.in(Uhw.UVERBS_ATTR_UHW_IN, driverIn),
    driverOut: driverOut > 0 ? attr.out(Uhw.UVERBS_ATTR_UHW_OUT, `@R+${coreOut};`, driverOut) : undefined,
    ...parts,
  };
  return ioctlMessage(
    uverbsDefaultObjects.UVERBS_OBJECT_DEVICE,
    uverbsMethodsDevice.UVERBS_METHOD_INVOKE_WRITE,
    [
      attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, word),
      ...Object.values(given).filter((part): part is Attribute => part !== undefined),
    ],
  );
}

function invokeFrames(sample: Command, driverInput: boolean): Frame[] {
  const frame = (what: string, parts: (command: Command) => Parts, result: Result): Frame => ({
    what: `INVOKE_WRITE: ${what}`,
    send: ({ door, fd }, command) => door.ioctl(fd, invokeWith(command, parts(command)), 4096),
    result,
  });
  const coreIn = (request: Message): Parts => ({ coreIn: attr.in(Invoke.UVERBS_ATTR_CORE_IN, request) });
  const frames: Frame[] = [];
  if (!sample.extended) {
    const cut = ({ request }: Command) => coreIn(dropLast(request.replace('@R', u64(0)), 4));
    if (lengthOf(sample.request) > 8) frames.push(frame('a request that is too short', cut, 'ENOSPC'));
    frames.push(frame('no request', () => ({ coreIn: undefined }), 'ENOSPC'));
  }
  if (lengthOf(sample.request) > 8) {
    const unreadable = { ...attr.out(Invoke.UVERBS_ATTR_CORE_IN, UNMAPPED, lengthOf(sample.request)) };
    frames.push(frame('an unreadable request', () => ({ coreIn: unreadable }), 'EFAULT'));
  }
  if (sample.coreOut > 0) {
    const coreOut = (place: Message, length: number) => ({
      coreOut: attr.out(Invoke.UVERBS_ATTR_CORE_OUT, place, length),
    });
    for (const [what, place] of Object.entries(UNWRITABLE)) {
      frames.push(frame(`a response that is ${what}`, (c) => coreOut(place, c.coreOut), 'EFAULT'));
    }
    if (!sample.extended) {
      frames.push(frame('too little room', (c) => coreOut('@R', c.coreOut - 4), 'ENOSPC'));
      frames.push(frame('no room', () => ({ coreOut: undefined }), 'ENOSPC'));
    }
  }
  if (sample.driverOut > 0) {
    frames.push(frame('no room for the driver', () => ({ driverOut: undefined }), 'EFAULT'));
    for (const [what, place] of Object.entries(UNWRITABLE)) {
      const driverOut = attr.out(Uhw.UVERBS_ATTR_UHW_OUT, place, sample.driverOut);
      frames.push(frame(`driver output that is ${what}`, () => ({ driverOut }), 'EFAULT'));
    }
  }
  if (sample.driverIn !== '' && driverInput) {
    frames.push(frame('no driver input', () => ({ driverIn: undefined }), 'EFAULT'));
    const length = lengthOf(sample.driverIn);
    if (length > 8) {
      const driverIn = { ...attr.out(Uhw.UVERBS_ATTR_UHW_IN, UNMAPPED, length) };
      frames.push(frame('unreadable driver input', () => ({ driverIn }), 'EFAULT'));
    }
  }
  return frames;
}
