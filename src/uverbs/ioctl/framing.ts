/**
 * The ioctl(2) door (core/uverbs_ioctl.c): the header, the attribute array, and their checks in the kernel's order.
 */
import { type Call, type DescriptorReply, Errno, readFromUser } from '../../../devfs/index.js';
import {
  type IbUverbsAttr,
  ibUverbsAttr,
  ibUverbsIoctlHdr,
  RDMA_VERBS_IOCTL,
  uverbsAttrFlags,
  uverbsAttrUhw,
} from '../../abi/index.js';
import type { UserBuffer } from '../bundle.js';
import type { EventFile } from '../events/event-file.js';
import type { UverbsFile } from '../file.js';
import { ClientUdata, type UdataInput } from '../udata.js';
import type { AttributeSpec, HandleAttribute, Method, PointerIn, PointerOut } from './method.js';
import { type GivenAttribute, GivenAttributes, inputBytes, MethodCall } from './method-call.js';

const MAX_LENGTH = 4096;
const { UVERBS_ATTR_UHW_IN, UVERBS_ATTR_UHW_OUT } = uverbsAttrUhw;

/** Specifications of the driver's attributes, on methods that have them. */
const uhwSpecs = new Map<number, AttributeSpec>([
  [
    UVERBS_ATTR_UHW_IN,
    { type: 'ptr-in', id: UVERBS_ATTR_UHW_IN, mandatory: false, min: 0, max: 0xffff, zeroTrailing: true },
  ],
  [UVERBS_ATTR_UHW_OUT, { type: 'ptr-out', id: UVERBS_ATTR_UHW_OUT, mandatory: false, min: 0, max: 0xffff }],
]);

/** Executes one ioctl. `argument` points at the client's header, of which `header` is the kernel's copy. */
export function runIoctl(
  file: UverbsFile,
  call: Call,
  command: number,
  argument: bigint,
  header: Buffer,
): number | DescriptorReply {
  if (command !== RDMA_VERBS_IOCTL || !file.profile.ioctl)
    throw new Errno('ENOTTY', `no ioctl 0x${command.toString(16)}`);
  const hdr = ibUverbsIoctlHdr.read(new DataView(header.buffer, header.byteOffset, header.byteLength), 0);
  const bytes = ibUverbsIoctlHdr.size + hdr.numAttrs * ibUverbsAttr.size;
  if (hdr.length > MAX_LENGTH || hdr.length !== bytes) {
    throw new Errno('EINVAL', `the header says ${hdr.length} bytes for ${hdr.numAttrs} attributes`);
  }
  if (hdr.reserved1 !== 0n || hdr.reserved2 !== 0)
    throw new Errno('EPROTONOSUPPORT', 'reserved fields are set');
  if (hdr.driverId !== file.uapi.driverId)
    throw new Errno('EINVAL', `driver id ${hdr.driverId} is another driver's`);
  const method = file.uapi.method(hdr.objectId, hdr.methodId);
  if (method === undefined) {
    throw new Errno('EPROTONOSUPPORT', `no method ${hdr.methodId} of object ${hdr.objectId}`);
  }
  const { size } = ibUverbsIoctlHdr;
  readFromUser(call.tid, argument + BigInt(size), attributes, bytes - size);
  return new Parser(file, call, method, argument).run(hdr.numAttrs);
}

/** The attributes of the call that is being parsed. */
const attributes = new Uint8Array(MAX_LENGTH);
const attributesView = new DataView(attributes.buffer);

/** The driver's attributes are looked up when they are used, after the array was parsed. */
class IoctlUdata extends ClientUdata {
  readonly #given: GivenAttributes;

  constructor(file: UverbsFile, call: Call, given: GivenAttributes) {
    super(file, call);
    this.#given = given;
  }

  protected get input(): UdataInput | undefined {
    const attr = this.#given.get(UVERBS_ATTR_UHW_IN)?.attr;
    if (attr === undefined) return undefined;
    return attr.len <= 8
      ? bytesOf(inputBytes(this.call.tid, attr))
      : { address: attr.data, length: attr.len };
  }

  protected get output(): UserBuffer | undefined {
    const attr = this.#given.get(UVERBS_ATTR_UHW_OUT)?.attr;
    return attr === undefined ? undefined : { address: attr.data, length: attr.len };
  }
}

/** Takes the attributes of one call apart and runs its method. */
class Parser {
  readonly #file: UverbsFile;
  readonly #method: Method;
  readonly #given = new GivenAttributes();
  readonly #call: MethodCall;
  readonly #tid: number;
  #parsed = false;

  constructor(file: UverbsFile, call: Call, method: Method, argument: bigint) {
    this.#file = file;
    this.#method = method;
    this.#tid = call.tid;
    this.#call = new MethodCall(file, call, new IoctlUdata(file, call, this.#given), this.#given, argument);
  }

  /** `count` attributes were read. */
  run(count: number): number | DescriptorReply {
    const call = this.#call;
    try {
      this.#parseAll(count);
      this.#requireMandatory();
      this.#destroyNamed();
      this.#method.run(call);
      call.validOutput(UVERBS_ATTR_UHW_OUT);
      return call.finish(0);
    } catch (error) {
      const failure = call.abort(error);
      // So that clients can tell a kernel without the method from a method that failed.
      if (failure instanceof Errno && failure.code === 'EPROTONOSUPPORT' && this.#parsed) {
        throw new Errno('EINVAL', failure.message);
      }
      throw failure;
    }
  }

  #parseAll(count: number): void {
    for (let i = 0; i < count; i++) {
      const attr = ibUverbsAttr.read(attributesView, i * ibUverbsAttr.size);
      const spec = this.#method.attributes.get(attr.attrId) ?? this.#uhwSpec(attr.attrId);
      if (spec === undefined) {
        if ((attr.flags & uverbsAttrFlags.UVERBS_ATTR_F_MANDATORY) !== 0) {
          throw new Errno('EPROTONOSUPPORT', `attribute ${attr.attrId} is unknown`);
        }
        continue;
      }
      if (this.#given.get(attr.attrId) !== undefined)
        throw new Errno('EINVAL', `attribute ${attr.attrId} is given twice`);
      const offset = ibUverbsIoctlHdr.size + i * ibUverbsAttr.size;
      const given: GivenAttribute = { attr, offset, uobject: undefined, eventFile: undefined };
      this.#check(spec, given);
      this.#given.add(given);
    }
    this.#parsed = true;
  }

  #uhwSpec(id: number): AttributeSpec | undefined {
    return this.#method.uhw ? uhwSpecs.get(id) : undefined;
  }

  #check(spec: AttributeSpec, given: GivenAttribute): void {
    const { attr } = given;
    switch (spec.type) {
      case 'ptr-in':
        this.#checkInput(spec, attr);
        return;
      case 'ptr-out':
        checkLength(spec, attr);
        return;
      case 'const':
        if (attr.len !== 8 || attr.data > spec.max) throw invalid(attr, 'is no value of its type');
        return;
      case 'flags':
        checkFlags(spec.mask, attr);
        return;
      case 'handle':
        this.#checkHandle(spec, given);
        return;
      case 'event-fd': {
        if (attr.len !== 0 || reservedOf(attr) !== 0) throw invalid(attr, 'is a descriptor');
        const fd = BigInt.asIntN(64, attr.data);
        if (fd !== BigInt.asIntN(32, fd)) throw invalid(attr, 'is no descriptor');
        given.eventFile = this.#call.eventFile<EventFile>(spec.kind, Number(fd));
        return;
      }
      case 'new-fd':
        if (attr.len !== 0 || reservedOf(attr) !== 0) throw invalid(attr, 'is a descriptor');
        // Creation needs a context, and is refused before anything else is looked at.
        this.#file.context;
    }
  }

  #checkInput(spec: PointerIn, attr: IbUverbsAttr): void {
    if (attr.len > spec.max && spec.zeroTrailing) {
      const bytes = inputBytes(this.#tid, attr);
      for (let at = spec.max; at < attr.len; at++) {
        if (bytes.getUint8(at) !== 0)
          throw new Errno('EOPNOTSUPP', `attribute ${attr.attrId} has an unknown tail`);
      }
    }
    checkLength(spec, attr);
    if (spec.copied) inputBytes(this.#tid, attr);
  }

  #checkHandle(spec: HandleAttribute, given: GivenAttribute): void {
    const { attr } = given;
    if (attr.len !== 0 || reservedOf(attr) !== 0) throw invalid(attr, 'is a handle');
    if (spec.access === 'new') {
      given.uobject = this.#call.create(spec.objectType);
      this.#call.handleOut(given, given.uobject.handle);
      return;
    }
    const handle = BigInt.asIntN(64, attr.data);
    if (handle < 0n) throw invalid(attr, 'is negative');
    given.uobject = this.#file.uobjects.lookup(spec.objectType, Number(handle));
    if (spec.access === 'use') this.#call.lookup(spec.objectType, Number(handle));
  }

  #requireMandatory(): void {
    for (const id of this.#method.mandatory) {
      if (this.#given.get(id) === undefined) throw new Errno('EINVAL', `attribute ${id} is missing`);
    }
  }

  /** A method that destroys does so before its handler runs. */
  #destroyNamed(): void {
    for (const id of this.#method.destroyed) {
      const uobject = this.#given.get(id)?.uobject;
      if (uobject !== undefined) this.#file.uobjects.destroy(uobject);
    }
  }
}

function checkLength(spec: PointerIn | PointerOut, attr: IbUverbsAttr): void {
  const tooLong = attr.len > spec.max && !(spec.type === 'ptr-in' && spec.zeroTrailing);
  if (attr.len < spec.min || tooLong || reservedOf(attr) !== 0) {
    throw invalid(attr, `has ${attr.len} bytes`);
  }
}

function checkFlags(mask: bigint, attr: IbUverbsAttr): void {
  const value = attr.len === 4 ? attr.data & 0xffff_ffffn : attr.data;
  if ((attr.len !== 4 && attr.len !== 8) || (value & ~mask) !== 0n) throw invalid(attr, 'has unknown flags');
}

function reservedOf(attr: IbUverbsAttr): number {
  return attr.attrData.reserved;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function invalid(attr: IbUverbsAttr, why: string): Errno {
  return new Errno('EINVAL', `attribute ${attr.attrId} ${why}`);
}
