import { copyFromUser, copyOutgoing, Errno, outgoing, outgoingRoom } from '../../../devfs/index.js';
import { type IbUverbsAttr, type Struct, uverbsAttrFlags } from '../../abi/index.js';
import type { Udata } from '../../core/udata.js';
import { Bundle, type UserBuffer } from '../bundle.js';
import type { EventFile } from '../events/event-file.js';
import type { ObjectType, Uobject } from '../uobject.js';

/** An attribute of the call. */
export interface GivenAttribute {
  readonly attr: IbUverbsAttr;
  /** Where the client's own copy of it is, counted from the header. */
  readonly offset: number;
  /** The object that a handle attribute names or makes. */
  uobject: Uobject | undefined;
  /** The event file that a descriptor names. */
  eventFile: EventFile | undefined;
}

/** The attributes of one call. They are few, so they are looked through one by one. */
export class GivenAttributes {
  readonly #all: GivenAttribute[] = [];

  add(given: GivenAttribute): void {
    this.#all.push(given);
  }

  get(id: number): GivenAttribute | undefined {
    for (const given of this.#all) if (given.attr.attrId === id) return given;
    return undefined;
  }
}

/** Offset of `flags` and `data` in struct ib_uverbs_attr. */
const FLAGS_OFFSET = 4;
const DATA_OFFSET = 8;

/** Inputs up to this length travel in the attribute itself. */
const INLINE_BYTES = 8;

/** A method that is being executed: its attributes by id. */
export class MethodCall extends Bundle {
  readonly #given: GivenAttributes;
  /** Where the client has the header. */
  readonly #argument: bigint;

  constructor(
    file: Bundle['file'],
    call: Bundle['call'],
    udata: Udata,
    given: GivenAttributes,
    argument: bigint,
  ) {
    super(file, call, udata);
    this.#given = given;
    this.#argument = argument;
  }

  has(id: number): boolean {
    return this.#given.get(id) !== undefined;
  }

  /** Throws ENOENT for an attribute that was left out. */
  #get(id: number): GivenAttribute {
    const given = this.#given.get(id);
    if (given === undefined) throw new Errno('ENOENT', `attribute ${id} is missing`);
    return given;
  }

  /** A constant or flags. */
  number(id: number): number {
    return Number(this.#get(id).attr.data);
  }

  u64(id: number): bigint {
    return this.#get(id).attr.data;
  }

  /** The room of an output; `undefined` if it was left out. */
  buffer(id: number): UserBuffer | undefined {
    const attr = this.#given.get(id)?.attr;
    return attr === undefined ? undefined : { address: attr.data, length: attr.len };
  }

  /** Flags that may be left out. Of 4 bytes, the rest of the attribute does not count. */
  flags(id: number): number {
    const attr = this.#given.get(id)?.attr;
    if (attr === undefined) return 0;
    return Number(attr.len === 4 ? BigInt.asUintN(32, attr.data) : attr.data);
  }

  /** Length of an attribute in bytes. */
  length(id: number): number {
    return this.#get(id).attr.len;
  }

  /** The bytes of an input. */
  bytesIn(id: number): DataView {
    const { attr } = this.#get(id);
    return inputBytes(this.call.tid, attr);
  }

  /** The object behind a handle. Throws ENOENT if it was left out. */
  object<T>(id: number, _type: ObjectType<T>): T {
    return this.#get(id).uobject?.object as T;
  }

  /** The object behind a handle that may be left out. */
  optionalObject<T>(id: number, type: ObjectType<T>): T | undefined {
    return this.has(id) ? this.object(id, type) : undefined;
  }

  /** The uobject that the call makes. */
  uobject<T>(id: number, _type: ObjectType<T>): Uobject<T> {
    return this.#get(id).uobject as Uobject<T>;
  }

  /** The event file behind a descriptor that may be left out. */
  eventFileOf<T extends EventFile>(id: number): T | undefined {
    return this.#given.get(id)?.eventFile as T | undefined;
  }

  /** An input of 4 or 8 bytes, which is in the attribute itself. */
  u32In(id: number): number {
    return Number(BigInt.asUintN(32, this.#get(id).attr.data));
  }

  u64In(id: number): bigint {
    return this.#get(id).attr.data;
  }

  /** Where the client wants the value of an attribute that is written into the attribute itself. */
  dataAddress(id: number): bigint {
    return this.#addressIn(this.#get(id), DATA_OFFSET);
  }

  /** Writes an output, cut to the room that is there, and marks it as valid. Optional outputs may be missing. */
  bytesOut(id: number, bytes: Uint8Array): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    const { len, data } = given.attr;
    this.copyOut(data, bytes.length > len ? bytes.subarray(0, len) : bytes);
    this.#markValid(given);
  }

  /** Writes a structure as `bytesOut` does; room behind it is zeroed (uverbs_copy_to_struct_or_zero). */
  structOut<T>(id: number, struct: Struct<unknown, T>, value: T): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    const { len, data } = given.attr;
    if (len > struct.size) this.clearOut(data + BigInt(struct.size), len - struct.size);
    this.copyStruct(data, len, struct, value);
    this.#markValid(given);
  }

  u32Out(id: number, value: number): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    outgoing.setUint32(outgoingRoom(this.call.tid, 4), value, true);
    copyOutgoing(given.attr.data, Math.min(4, given.attr.len));
    this.#markValid(given);
  }

  u64Out(id: number, value: bigint): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    outgoing.setBigUint64(outgoingRoom(this.call.tid, 8), value, true);
    copyOutgoing(given.attr.data, Math.min(8, given.attr.len));
    this.#markValid(given);
  }

  /** Writes the number of a new object into its attribute. */
  handleOut(given: GivenAttribute, handle: number): void {
    outgoing.setBigUint64(outgoingRoom(this.call.tid, 8), BigInt(handle), true);
    copyOutgoing(this.#addressIn(given, DATA_OFFSET), 8);
  }

  /** Marks an output that was written by other means. */
  validOutput(id: number): void {
    const given = this.#given.get(id);
    if (given !== undefined) this.#markValid(given);
  }

  #markValid(given: GivenAttribute): void {
    const flags = given.attr.flags | uverbsAttrFlags.UVERBS_ATTR_F_VALID_OUTPUT;
    outgoing.setUint16(outgoingRoom(this.call.tid, 2), flags, true);
    copyOutgoing(this.#addressIn(given, FLAGS_OFFSET), 2);
  }

  #addressIn(given: GivenAttribute, at: number): bigint {
    return this.#argument + BigInt(given.offset + at);
  }
}

/** The bytes of an input attribute: inline up to 8, else behind its pointer. */
export function inputBytes(tid: number, attr: IbUverbsAttr): DataView {
  if (attr.len > INLINE_BYTES) {
    const bytes = copyFromUser(tid, attr.data, attr.len);
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  const view = new DataView(new ArrayBuffer(INLINE_BYTES));
  view.setBigUint64(0, attr.data, true);
  return new DataView(view.buffer, 0, attr.len);
}
