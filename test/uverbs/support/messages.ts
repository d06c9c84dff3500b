/**
 * Commands of the uverbs ABI as messages for door (test/clients/message.h says what their text may contain). A write
 * command is described once and can go through both doors, write(2) and INVOKE_WRITE.
 */
import {
  type IbUverbsAttr,
  uverbsAttrsInvokeWriteCmdAttrIds as Invoke,
  ibUverbsAttr,
  rdmaDriverId,
  type Struct,
  uverbsAttrUhw as Uhw,
  uverbsAttrFlags,
  uverbsDefaultObjects,
  uverbsMethodsDevice,
} from '../../../src/abi/index.js';

/** Bytes in hexadecimal, and references to places of the client, which stand for 8 bytes each. */
export type Message = string;

const HEADER_BYTES = 8;
const IOCTL_HEADER_BYTES = 24;
const INLINE_BYTES = 8;
/** Larger inputs of an ioctl stand in the client's scratch buffer from here on. */
const FIRST_FILL = 0x8_0000;
const FILL_BYTES = 0x1000;

const EXTENDED = 0x8000_0000;

function little(value: bigint | number, bytes: number): Message {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)));
  return buffer.subarray(0, bytes).toString('hex');
}

export const u16 = (value: number): Message => little(value, 2);
export const u32 = (value: number): Message => little(value, 4);
export const u64 = (value: bigint | number): Message => little(value, 8);
export const zeroes = (bytes: number): Message => '00'.repeat(bytes);

/** The bytes of a message once its places are filled in. */
export function lengthOf(message: Message): number {
  const place = /@[A-Z](?:(?::\d+)?(?:\+\d+)?;)?/g;
  return message.replaceAll(/[_-]/g, '').replaceAll(place, zeroes(8)).length / 2;
}

function padded(message: Message, bytes: number): Message {
  return message + zeroes(bytes - lengthOf(message));
}

/** The bytes of a structure. A `response` field is the place of the response buffer. */
export function structure<V>(struct: Struct<unknown, V>, value: Omit<V, 'response'>): Message {
  const bytes = Buffer.alloc(struct.size);
  const hasResponse = struct.fields[0]?.name === 'response';
  struct.write(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, {
    response: 0n,
    ...value,
  } as V);
  return hasResponse ? `@R${bytes.toString('hex', 8)}` : bytes.toString('hex');
}

/** Reads a structure out of bytes in hexadecimal. */
export function parse<T>(struct: Struct<T, never>, hex = '', at = 0): T {
  const bytes = Buffer.from(hex, 'hex');
  return struct.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at);
}

// Write commands

export interface Command {
  readonly number: number;
  readonly extended: boolean;
  readonly request: Message;
  /** Bytes of room for the core response. */
  readonly coreOut: number;
  readonly driverIn: Message;
  /** Bytes of room for the driver's output. */
  readonly driverOut: number;
}

interface Parts {
  response?: Struct<unknown, never>;
  driverIn?: Message;
  driverOut?: number;
}

function command<V>(
  extended: boolean,
  number: number,
  struct: Struct<unknown, V>,
  value: Omit<V, 'response'>,
  parts: Parts,
): Command {
  return {
    number,
    extended,
    request: structure(struct, value),
    coreOut: parts.response?.size ?? 0,
    driverIn: parts.driverIn ?? '',
    driverOut: parts.driverOut ?? 0,
  };
}

export const legacy = <V>(
  number: number,
  struct: Struct<unknown, V>,
  value: Omit<V, 'response'>,
  parts: Parts = {},
): Command => command(false, number, struct, value, parts);

export const extended = <V>(
  number: number,
  struct: Struct<unknown, V>,
  value: Omit<V, 'response'>,
  parts: Parts = {},
): Command => command(true, number, struct, value, parts);

/** What a test may say differently from what is right. */
export interface WriteHeader {
  /** The whole first word. */
  word?: number;
  inWords?: number;
  outWords?: number;
  /** Of extended commands: */
  driverInWords?: number;
  driverOutWords?: number;
  response?: Message;
  reserved?: number;
}

/** The message of a command for write(2). */
export function byWrite(given: Command, header: WriteHeader = {}): Message {
  return given.extended ? extendedWrite(given, header) : legacyWrite(given, header);
}

function legacyWrite(
  { number, request, coreOut, driverIn, driverOut }: Command,
  header: WriteHeader,
): Message {
  const body = request + driverIn;
  const inWords = header.inWords ?? (HEADER_BYTES + lengthOf(body)) / 4;
  const outWords = header.outWords ?? (coreOut + driverOut) / 4;
  return u32(header.word ?? number) + u16(inWords) + u16(outWords) + body;
}

function extendedWrite(
  { number, request, coreOut, driverIn, driverOut }: Command,
  header: WriteHeader,
): Message {
  const hasRoom = coreOut + driverOut > 0;
  return [
    u32(header.word ?? EXTENDED + number),
    u16(header.inWords ?? lengthOf(request) / 8),
    u16(header.outWords ?? coreOut / 8),
    header.response ?? (hasRoom ? '@R' : u64(0)),
    u16(header.driverInWords ?? lengthOf(driverIn) / 8),
    u16(header.driverOutWords ?? driverOut / 8),
    u32(header.reserved ?? 0),
    request,
    driverIn,
  ].join('');
}

export const roomOf = ({ coreOut, driverOut }: Command): number => coreOut + driverOut;

// Ioctls

export interface Attribute {
  readonly id: number;
  readonly len: number;
  readonly flags: number;
  /** The two bytes of elem_id and reserved. */
  readonly element: Message;
  /** 8 bytes, or input that goes to the scratch buffer because it is longer. */
  readonly data: Message;
}

const { UVERBS_ATTR_F_MANDATORY: MANDATORY } = uverbsAttrFlags;

function attribute(id: number, len: number, data: Message): Attribute {
  return { id, len, flags: MANDATORY, element: '0000', data };
}

/** Attributes as rdma-core sends them. */
export const attr = {
  /** Bytes in. */
  in: (id: number, bytes: Message): Attribute => attribute(id, lengthOf(bytes), bytes),
  /** A number in 8 inline bytes: constants and flags. */
  const: (id: number, value: bigint | number): Attribute => attribute(id, 8, u64(value)),
  /** Room for bytes out. */
  out: (id: number, place: Message, len: number): Attribute => attribute(id, len, place),
  handle: (id: number, handle: bigint | number): Attribute => attribute(id, 0, u64(handle)),
  /** The number comes back in the attribute. */
  newHandle: (id: number): Attribute => attribute(id, 0, u64(0)),
};

export interface IoctlHeader {
  length?: number;
  numAttrs?: number;
  reserved1?: bigint;
  driverId?: number;
  reserved2?: number;
}

export interface Ioctl {
  readonly message: Message;
  /** What must be in the scratch buffer, by offset. */
  readonly fills: ReadonlyMap<number, Message>;
}

export function ioctlMessage(
  objectId: number,
  methodId: number,
  attributes: readonly Attribute[],
  header: IoctlHeader = {},
): Ioctl {
  const fills = new Map<number, Message>();
  const dataOf = (data: Message): Message => {
    if (lengthOf(data) <= INLINE_BYTES) return padded(data, INLINE_BYTES);
    const at = FIRST_FILL + fills.size * FILL_BYTES;
    fills.set(at, data);
    return `@B+${at};`;
  };
  const array = attributes.map(({ id, len, flags, element, data }) =>
    [u16(id), u16(len), u16(flags), element, dataOf(data)].join(''),
  );
  const message = [
    u16(header.length ?? IOCTL_HEADER_BYTES + attributes.length * ibUverbsAttr.size),
    u16(objectId),
    u16(methodId),
    u16(header.numAttrs ?? attributes.length),
    u64(header.reserved1 ?? 0n),
    u32(header.driverId ?? rdmaDriverId.RDMA_DRIVER_MLX4),
    u32(header.reserved2 ?? 0),
    ...array,
  ].join('');
  return { message, fills };
}

/** The attribute array of an ioctl's buffer, as it is after the call. */
export function attributesIn(buffer = ''): IbUverbsAttr[] {
  const count = (buffer.length / 2 - IOCTL_HEADER_BYTES) / ibUverbsAttr.size;
  return Array.from({ length: count }, (_, i) =>
    parse(ibUverbsAttr, buffer, IOCTL_HEADER_BYTES + i * ibUverbsAttr.size),
  );
}

/** The ioctl INVOKE_WRITE for a command, its attributes in rdma-core's order. */
export function byIoctl(given: Command): Ioctl {
  const { number, request, coreOut, driverIn, driverOut } = given;
  const word = number + (given.extended ? EXTENDED : 0);
  const attributes = [
    attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, word),
    // The address in a legacy request is ignored here.
    attr.in(Invoke.UVERBS_ATTR_CORE_IN, request.replace('@R', u64(0))),
  ];
  if (coreOut > 0) attributes.push(attr.out(Invoke.UVERBS_ATTR_CORE_OUT, '@R', coreOut));
  if (driverIn !== '') attributes.push(attr.in(Uhw.UVERBS_ATTR_UHW_IN, driverIn));
  if (driverOut > 0) attributes.push(attr.out(Uhw.UVERBS_ATTR_UHW_OUT, `@R+${coreOut};`, driverOut));
  return ioctlMessage(
    uverbsDefaultObjects.UVERBS_OBJECT_DEVICE,
    uverbsMethodsDevice.UVERBS_METHOD_INVOKE_WRITE,
    attributes,
  );
}
