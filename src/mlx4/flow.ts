/** Flow steering: rules that send packets to a QP (hw/mlx4/main.c, mlx4_ib_create_flow). */
import { Errno } from '../../devfs/errno.js';
import type { Flow, FlowAttributes, FlowSpec, QueuePair } from '../core/objects.js';
import type { Adapter } from './adapter.js';
import type { Mlx4Qp } from './qp.js';

export interface Mlx4Flow extends Flow {
  readonly qp: Mlx4Qp;
  readonly attributes: FlowAttributes;
}

const FlowType = { NORMAL: 0, ALL_DEFAULT: 1, MC_DEFAULT: 2, SNIFFER: 3 } as const;
const TYPES: readonly number[] = Object.values(FlowType);
/** IB_FLOW_ATTR_FLAGS_DONT_TRAP. */
const FLAG_DONT_TRAP = 1 << 1;
const MAX_PRIORITY = 0xfff;
const SPEC_ETH = 0x20;

/** IB_FLOW_SPEC_* that the adapter can match, and of how many bytes: ETH, IB, IPV4, TCP, UDP. */
const MATCHED_BYTES: ReadonlyMap<number, number> = new Map([
  [SPEC_ETH, 16],
  [0x22, 5],
  [0x30, 8],
  [0x40, 4],
  [0x41, 4],
]);

export function createFlow(adapter: Adapter, qp: QueuePair, attributes: FlowAttributes): Mlx4Flow {
  const { type, priority, port, flags, specs } = attributes;
  const dontTrap = (flags & FLAG_DONT_TRAP) !== 0;
  if (adapter.ports[port - 1] === undefined) throw new Errno('EINVAL', `there is no port ${port}`);
  if ((flags & ~FLAG_DONT_TRAP) !== 0) throw new Errno('EOPNOTSUPP', `flow flags ${flags}`);
  if (dontTrap && type !== FlowType.NORMAL)
    throw new Errno('EOPNOTSUPP', 'only a normal flow lets packets pass');
  if (!TYPES.includes(type)) throw new Errno('EINVAL', `flows of type ${type}`);
  if (dontTrap) assertPassing(specs, priority);
  if (priority > MAX_PRIORITY) throw new Errno('EINVAL', `a flow of priority ${priority}`);
  for (const spec of specs) assertMatchable(spec);
  const flow: Mlx4Flow = { qp: qp as Mlx4Qp, attributes, users: 0 };
  adapter.flows.add(flow);
  return flow;
}

/** A rule that lets packets pass sees all of them, or all multicast or unicast ones. */
function assertPassing(specs: FlowSpec[], priority: number): void {
  if (specs.length > 1 || priority !== 0) {
    throw new Errno('EOPNOTSUPP', 'a flow that lets packets pass has one specification and no priority');
  }
  const [spec] = specs;
  if (spec === undefined) return;
  if (spec.type !== SPEC_ETH)
    throw new Errno('EINVAL', 'a flow that lets packets pass matches addresses only');
  const [first = 0, ...rest] = spec.mask.subarray(0, 6);
  if ((first & ~1) !== 0 || rest.some((byte) => byte !== 0)) {
    throw new Errno('EINVAL', 'a flow that lets packets pass matches the multicast bit only');
  }
}

/** What the kernel's parser cannot express is EINVAL. */
function assertMatchable({ type, mask }: FlowSpec): void {
  const matched = MATCHED_BYTES.get(type);
  if (matched === undefined) throw new Errno('EINVAL', `flow specifications of type 0x${type.toString(16)}`);
  if (mask.subarray(matched).some((byte) => byte !== 0)) {
    throw new Errno('EINVAL', `a field of flow specification 0x${type.toString(16)} that cannot be matched`);
  }
}

export function destroyFlow(adapter: Adapter, flow: Flow): void {
  adapter.flows.delete(flow as Mlx4Flow);
}
