/** Flow steering rules. */
import { Errno } from '../../../devfs/index.js';
import { type IbUverbsFlowAttr, uverbsDefaultObjects } from '../../abi/index.js';
import type { IbDevice } from '../../core/device.js';
import { type Flow, type FlowSpec, QpType } from '../../core/objects.js';
import { createFlow, destroyFlow } from '../../core/verbs.js';
import { type Bundle, requireZeroFrom } from '../bundle.js';
import type { ObjectType, Uobject } from '../uobject.js';
import { qpType } from './qp.js';

export interface UserFlow {
  readonly device: IbDevice;
  readonly flow: Flow;
}

export const flowType: ObjectType<UserFlow> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_FLOW,
  name: 'flow',
  destroy: ({ device, flow }) => destroyFlow(device, flow),
  describe: ({ flow: { qp } }) => ({ lqpn: qp.qpNum }),
  refersTo: ({ flow: { qp } }) => [qp],
};

/** IB_FLOW_ATTR_FLAGS_DONT_TRAP, and the first bit beyond the known ones. */
const DONT_TRAP = 1 << 1;
const FLAGS_RESERVED = 1 << 3;
const ALL_DEFAULT = 1;
const MC_DEFAULT = 2;
const MAX_SPECS = 10;
/** The largest specification (IPv6). */
const MAX_SPEC_SIZE = 88;
/** struct ib_uverbs_flow_spec_hdr: u32 type, u16 size, u16 reserved. */
const SPEC_HEADER_SIZE = 8;

/** Bytes that are known of the filter, by type of specification. */
const FILTER_SIZES: ReadonlyMap<number, number> = new Map([
  [0x20, 16], // ETH
  [0x30, 12], // IPV4
  [0x31, 39], // IPV6
  [0x34, 8], // ESP
  [0x40, 4], // TCP
  [0x41, 4], // UDP
  [0x50, 4], // VXLAN_TUNNEL
  [0x51, 8], // GRE
  [0x60, 4], // MPLS
]);
const INNER = 0x100;

/** The checks of ib_uverbs_ex_create_flow in its order; `specs` is what follows the request. */
export function makeFlow(
  bundle: Bundle,
  { compMask, qpHandle, flowAttr }: { compMask: number; qpHandle: number; flowAttr: IbUverbsFlowAttr },
  specs: DataView,
): Uobject<UserFlow> {
  checkAttributes(bundle, compMask, flowAttr);
  if (specs.byteLength < flowAttr.size) throw new Errno('ENOSPC', 'the specifications are cut off');
  requireZeroFrom(specs, flowAttr.size);
  const uobject = bundle.create(flowType);
  const { device } = bundle;
  if (!device.isValidPort(flowAttr.port)) throw new Errno('EINVAL', `no port ${flowAttr.port}`);
  const { qp } = bundle.lookup(qpType, qpHandle);
  if (qp.type !== QpType.UD && qp.type !== QpType.RAW_PACKET) {
    throw new Errno('EINVAL', 'flows are for UD and raw packet QPs');
  }
  const { type, priority, port, flags } = flowAttr;
  const parsed = parseSpecs(specs, flowAttr);
  uobject.object = { device, flow: createFlow(device, qp, { type, priority, port, flags, specs: parsed }) };
  return uobject;
}

function checkAttributes(bundle: Bundle, compMask: number, attr: IbUverbsFlowAttr): void {
  const invalid = (why: string): Errno => new Errno('EINVAL', why);
  if (compMask !== 0) throw invalid('comp_mask is set');
  if (!bundle.hasCapability('CAP_NET_RAW')) throw new Errno('EPERM', 'flows need CAP_NET_RAW');
  if (attr.flags >= FLAGS_RESERVED) throw invalid('unknown flags');
  if ((attr.flags & DONT_TRAP) !== 0 && (attr.type === ALL_DEFAULT || attr.type === MC_DEFAULT)) {
    throw invalid('a default rule traps');
  }
  if (attr.numOfSpecs > MAX_SPECS) throw invalid('too many specifications');
  if (attr.size > attr.numOfSpecs * MAX_SPEC_SIZE) throw invalid('more bytes than specifications');
  if (attr.reserved.some((byte) => byte !== 0)) throw invalid('reserved fields are set');
}

function parseSpecs(view: DataView, { size, numOfSpecs }: IbUverbsFlowAttr): FlowSpec[] {
  const specs: FlowSpec[] = [];
  let at = 0;
  while (specs.length < numOfSpecs && size - at >= SPEC_HEADER_SIZE) {
    const length = view.getUint16(at + 4, true);
    if (length > size - at) break;
    specs.push(parseSpec(view, at, length));
    at += length;
  }
  if (at !== size || specs.length !== numOfSpecs)
    throw new Errno('EINVAL', 'the specifications do not add up');
  return specs;
}

/**
 * A filter and its mask, of the same length. Filters may be shorter than this kernel knows, or longer if the mask is
 * zero there (spec_filter_size).
 */
function parseSpec(view: DataView, at: number, length: number): FlowSpec {
  const type = view.getUint32(at, true);
  const known = FILTER_SIZES.get(type & ~INNER);
  const malformed = (): Errno =>
    new Errno('EINVAL', `a malformed specification of type 0x${type.toString(16)}`);
  if (known === undefined || view.getUint16(at + 6, true) !== 0) throw malformed();
  const filter = Math.floor((length - SPEC_HEADER_SIZE) / 2);
  if (filter <= 0) throw malformed();
  const start = view.byteOffset + at + SPEC_HEADER_SIZE;
  const bytes = new Uint8Array(view.buffer, start, 2 * filter).slice();
  const mask = bytes.subarray(filter);
  if (mask.subarray(known).some((byte) => byte !== 0)) throw malformed();
  const size = Math.min(filter, known);
  return { type, value: bytes.subarray(0, size), mask: mask.subarray(0, size) };
}
