/** The walk along the frame that all write commands have in common: lengths and pointers. */
import type { Test } from 'tap';
import {
  ibUverbsWriteCmds as Cmd,
  uverbsAttrsInvokeWriteCmdAttrIds as Invoke,
  uverbsAttrUhw as Uhw,
  uverbsDefaultObjects,
  uverbsMethodsDevice,
} from '../../../src/abi/index.js';
import type { Answer } from '../../uverbs/support/door.js';
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
import type { AnyBuild } from './builder.js';
import type { Scene, Stage } from './scene.js';
import { DOORS, expectResult, type Result } from './table.js';

const UNMAPPED = '@U';
/** What cannot be written to. */
const UNWRITABLE = { unmapped: UNMAPPED, 'read-only': '@O', inaccessible: '@Q' } as const;

interface FrameOptions {
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
const LEGACY_UDATA: ReadonlySet<number> = new Set([
  Cmd.IB_USER_VERBS_CMD_REG_MR,
  Cmd.IB_USER_VERBS_CMD_REREG_MR,
  Cmd.IB_USER_VERBS_CMD_ALLOC_MW,
  Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ,
  Cmd.IB_USER_VERBS_CMD_OPEN_XRCD,
  Cmd.IB_USER_VERBS_CMD_OPEN_QP,
]);

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
function invokeWith(command: Command, parts: Parts): Ioctl {
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
