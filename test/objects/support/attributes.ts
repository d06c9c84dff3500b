/** Calls of ioctl methods with their attributes by name. */
import * as abi from '../../../src/abi/index.js';
import type { Answer } from '../../uverbs/support/door.js';
import {
  type Attribute,
  attr,
  type Ioctl,
  ioctlMessage,
  lengthOf,
  type Message,
  u32,
  u64,
} from '../../uverbs/support/messages.js';
import type { Scene } from './scene.js';
import type { Result } from './table.js';

export type Kind = 'in' | 'out' | 'const' | 'flags' | 'new' | 'use' | 'destroy' | 'event-fd';

export interface Named {
  readonly id: number;
  readonly kind: Kind;
  /** What leaving it out comes to. */
  readonly missing: Result;
  /** Bytes; of inputs and outputs. */
  readonly size: number;
  /** An input of any length from `size` on. */
  readonly open?: true;
  /** An input whose unknown tail may be zero. */
  readonly zeroTail?: true;
  /** An output with more room than needed. */
  readonly roomy?: true;
  /** A number, or the bytes of an input; undefined: not sent. */
  readonly value: bigint | number | Message | undefined;
}

/** By name, in the order in which they are sent. */
export type Attributes = Readonly<Record<string, Named>>;

export interface MethodCall {
  readonly name: string;
  readonly objectId: number;
  readonly methodId: number;
  readonly good: (scene: Scene) => Attributes;
  /** What a good call comes to, where the driver has no such method. */
  readonly result?: Result;
}

export const named = (
  id: number,
  kind: Kind,
  size: number,
  value: Named['value'],
  missing = 'EINVAL',
): Named => ({
  id,
  kind,
  size,
  value,
  missing,
});
export const optional = (attribute: Named, missing: Result = 'ok'): Named => ({ ...attribute, missing });

export const attribute = {
  made: (id: number) => named(id, 'new', 0, 0),
  used: (id: number, handle: number) => named(id, 'use', 0, handle),
  destroyed: (id: number, handle: number) => named(id, 'destroy', 0, handle),
  eventFd: (id: number, fd: number | undefined) => optional(named(id, 'event-fd', 0, fd)),
  in32: (id: number, value: number) => named(id, 'in', 4, u32(value)),
  in64: (id: number, value: bigint) => named(id, 'in', 8, u64(value)),
  input: (id: number, bytes: Message) => named(id, 'in', lengthOf(bytes), bytes),
  const: (id: number, value: number) => named(id, 'const', 8, value),
  flags: (id: number, value: number | undefined) => named(id, 'flags', 8, value),
  out: (id: number, size: number) => named(id, 'out', size, undefined),
  driverIn: (bytes: Message) => ({
    ...named(abi.uverbsAttrUhw.UVERBS_ATTR_UHW_IN, 'in', lengthOf(bytes), bytes, 'EFAULT'),
    open: true as const,
  }),
  driverOut: (size: number) => ({
    ...named(abi.uverbsAttrUhw.UVERBS_ATTR_UHW_OUT, 'out', size, undefined, 'EFAULT'),
    roomy: true as const,
  }),
};

/** What a test may say of an attribute in place of what is right; undefined leaves it out. */
export type Changes = Record<string, Named['value']>;

/** Room for each output; in the answer they lie one after another, in the order of the attributes. */
const OUTPUT_ROOM = 64;
/** Room for all of them, and beyond them for one more. */
export const ANSWER_ROOM = 2048;
export const SPARE_ROOM = '@R+1024;';

export function encode(attribute: Named, place: Message): Attribute | undefined {
  const { id, kind, size, value } = attribute;
  if (kind === 'out') return attr.out(id, place, size);
  if (value === undefined) return undefined;
  if (typeof value === 'string') return attr.in(id, value);
  if (kind === 'const' || kind === 'flags') return attr.const(id, value);
  return attr.handle(id, value);
}

export const LEFT_OUT = Symbol('left out');
export type Replacement = Attribute | typeof LEFT_OUT;

export function build(
  call: MethodCall,
  scene: Scene,
  changes: Changes = {},
  replaced: Record<string, Replacement> = {},
  extra: Attribute[] = [],
): Ioctl {
  const entries = Object.entries(call.good(scene));
  const encoded = entries.map(([name, attribute], i) => {
    const replacement = replaced[name];
    if (replacement !== undefined) return replacement === LEFT_OUT ? undefined : replacement;
    if (name in changes && changes[name] === undefined) return undefined;
    const value = name in changes ? changes[name] : attribute.value;
    return encode({ ...attribute, value }, `@R+${i * OUTPUT_ROOM};`);
  });
  const sent = encoded.filter((attribute) => attribute !== undefined);
  return ioctlMessage(call.objectId, call.methodId, [...sent, ...extra]);
}

/** Calls the method with what is different; the answer's outputs can be read with `outputOf`. */
export function callMethod(call: MethodCall, scene: Scene, changes: Changes = {}): Promise<Answer> {
  return scene.door.ioctl(scene.fd, build(call, scene, changes), ANSWER_ROOM);
}

/** The bytes of an output, in hexadecimal. */
export function outputOf(call: MethodCall, scene: Scene, answer: Answer, name: string): string {
  const at = Object.keys(call.good(scene)).indexOf(name) * OUTPUT_ROOM * 2;
  const { size = 0 } = call.good(scene)[name] ?? {};
  return answer.response?.slice(at, at + 2 * size) ?? '';
}

export const u32Of = (call: MethodCall, scene: Scene, answer: Answer, name: string): number =>
  Buffer.from(outputOf(call, scene, answer, name), 'hex').readUInt32LE(0);

/** What came back in an attribute itself. */
export function attributeOf(call: MethodCall, scene: Scene, answer: Answer, name: string): abi.IbUverbsAttr {
  const { id } = call.good(scene)[name] as Named;
  const bytes = Buffer.from(answer.buffer ?? '', 'hex');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = abi.ibUverbsIoctlHdr.size; at < bytes.length; at += abi.ibUverbsAttr.size) {
    const attribute = abi.ibUverbsAttr.read(view, at);
    if (attribute.attrId === id) return attribute;
  }
  throw new Error(`the answer has no attribute ${name}`);
}

export const handleIn = (call: MethodCall, scene: Scene, answer: Answer, name = 'handle'): number =>
  Number(attributeOf(call, scene, answer, name).data);
