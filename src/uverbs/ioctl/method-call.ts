import { copyFromUser, Errno } from '../../../devfs/index.js';
import { type IbUverbsAttr, type Struct, uverbsAttrFlags } from '../../abi/index.js';
import type { Udata } from '../../core/udata.js';
import { Bundle, type UserBuffer } from '../bundle.js';
import type { EventFile } from '../events/event-file.js';
import type { ObjectType, Uobject } from '../uobject.js';

/** An attribute of the call, and where the client's own copy of it is. */
export interface GivenAttribute {
  readonly attr: IbUverbsAttr;
  readonly address: bigint;
  /** The object that a handle attribute names or makes. */
  uobject?: Uobject;
  /** The event file that a descriptor names. */
  eventFile?: EventFile;
}

/** Offset of `flags` and `data` in struct ib_uverbs_attr. */
const FLAGS_OFFSET = 4n;
const DATA_OFFSET = 8n;

/** Inputs up to this length travel in the attribute itself. */
const INLINE_BYTES = 8;

const scratch = new Uint8Array(4096);
const scratchView = new DataView(scratch.buffer);

/** A method that is being executed: its attributes by id. */
export class MethodCall extends Bundle {
  readonly #given: ReadonlyMap<number, GivenAttribute>;

  constructor(
    file: Bundle['file'],
    call: Bundle['call'],
    udata: Udata,
    given: ReadonlyMap<number, GivenAttribute>,
  ) {
    super(file, call, udata);
    this.#given = given;
  }

  has(id: number): boolean {
    return this.#given.has(id);
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

  /** A little-endian input of 4 or 8 bytes. */
  u32In(id: number): number {
    return this.bytesIn(id).getUint32(0, true);
  }

  u64In(id: number): bigint {
    return this.bytesIn(id).getBigUint64(0, true);
  }

  /** Where the client wants the value of an attribute that is written into the attribute itself. */
  dataAddress(id: number): bigint {
    return this.#get(id).address + DATA_OFFSET;
  }

  /** Writes an output, cut to the room that is there, and marks it as valid. Optional outputs may be missing. */
  bytesOut(id: number, bytes: Uint8Array): void {
    const given = this.#given.get(id);
    if (given === undefined) return;
    this.copyOut(given.attr.data, bytes.subarray(0, Math.min(bytes.length, given.attr.len)));
    this.#markValid(given);
  }

  /** Writes a structure as `bytesOut` does; room behind it is zeroed (uverbs_copy_to_struct_or_zero). */
  structOut<T>(id: number, struct: Struct<unknown, T>, value: T): void {
    const room = this.buffer(id);
    if (room !== undefined && room.length > struct.size) {
      this.copyOut(room.address + BigInt(struct.size), new Uint8Array(room.length - struct.size));
    }
    struct.write(scratchView, 0, value);
    this.bytesOut(id, scratch.subarray(0, struct.size));
  }

  u32Out(id: number, value: number): void {
    scratchView.setUint32(0, value, true);
    this.bytesOut(id, scratch.subarray(0, 4));
  }

  u64Out(id: number, value: bigint): void {
    scratchView.setBigUint64(0, value, true);
    this.bytesOut(id, scratch.subarray(0, 8));
  }

  /** Marks an output that was written by other means. */
  validOutput(id: number): void {
    const given = this.#given.get(id);
    if (given !== undefined) this.#markValid(given);
  }

  #markValid(given: GivenAttribute): void {
    scratchView.setUint16(0, given.attr.flags | uverbsAttrFlags.UVERBS_ATTR_F_VALID_OUTPUT, true);
    this.copyOut(given.address + FLAGS_OFFSET, scratch.subarray(0, 2));
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
