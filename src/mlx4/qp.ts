/** Queue pairs: how they are made and destroyed (hw/mlx4/qp.c, create_qp_common). */
import { Errno, pinPages } from '../../devfs/index.js';
import { mlx4IbCreateQp } from '../abi/index.js';
import {
  type MulticastMembership,
  type ProtectionDomain,
  type QpAttributes,
  type QpCapabilities,
  QpCreateFlag,
  type QpInit,
  QpState,
  QpType,
  type QueuePair,
  type Ucontext,
} from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import { leaveAllGroups } from './multicast.js';
import type { Mlx4Pd } from './pd.js';
import { powerOfTwoCeil } from './power-of-two.js';
import { type QpLayout, qpLayout, receiveQueue, sendQueue, targetCapabilities } from './qp-layout.js';
import { parseRss, type Rss, takeDownWqs } from './qp-rss.js';
import { resetAttributes } from './qp-state.js';
import { Resources } from './resources.js';
import type { Mlx4Context } from './ucontext.js';

/** The queues of a QP in its client's memory. */
export interface QpMemory {
  /** Process whose memory it is. */
  readonly pid: number;
  readonly address: bigint;
  readonly layout: QpLayout;
  /** The number of posted receives, 4 bytes; undefined without a receive queue. */
  readonly dbAddress: bigint | undefined;
}

export interface Mlx4Qp extends QueuePair {
  readonly pd: Mlx4Pd | undefined;
  readonly context: Mlx4Context | undefined;
  /** Undefined: an XRC target or the head of a receive side scaling group. */
  readonly memory: QpMemory | undefined;
  readonly rss: Rss | undefined;
  /** As the client set them; those of a QP in RESET mean nothing. PSNs are those of the next packet. */
  attributes: QpAttributes;
  readonly resources: Resources;
}

/** In the number of an XRC target, so that the receiver knows where its completions belong. */
export const XRC_TARGET_BIT = 1 << 23;

const TYPES: readonly number[] = [
  QpType.RC,
  QpType.UC,
  QpType.UD,
  QpType.RAW_PACKET,
  QpType.XRC_INI,
  QpType.XRC_TGT,
];

export function createQp(
  adapter: Adapter,
  ucontext: Ucontext,
  protection: ProtectionDomain | undefined,
  init: QpInit,
  udata: Udata,
): Mlx4Qp {
  const context = ucontext as Mlx4Context;
  return Resources.acquire((resources) => {
    const parts =
      init.indTable !== undefined
        ? { rss: parseRss(init, init.indTable, udata), memory: undefined, cap: init.cap }
        : { rss: undefined, ...queuesOf(adapter, context, init, udata, resources) };
    const isTarget = init.type === QpType.XRC_TGT;
    const number = resources.take(adapter.qpns.allocate(), (n) => adapter.qpns.free(n));
    const qp: Mlx4Qp = {
      pd: protection as Mlx4Pd | undefined,
      // A target may outlive the client that made it.
      context: isTarget ? undefined : context,
      type: init.type,
      qpNum: isTarget ? number | XRC_TARGET_BIT : number,
      init,
      ...parts,
      state: QpState.RESET,
      port: 0,
      multicast: [] as MulticastMembership[],
      attributes: resetAttributes(),
      users: 0,
      onEvent: () => {},
      resources,
    };
    adapter.qps.set(number, qp);
    resources.take(number, (n) => adapter.qps.delete(n));
    return qp;
  });
}

function queuesOf(
  adapter: Adapter,
  context: Mlx4Context,
  init: QpInit,
  udata: Udata,
  resources: Resources,
): { memory: QpMemory | undefined; cap: QpCapabilities } {
  const { type, cap, createFlags } = init;
  if ((createFlags & ~QpCreateFlag.BLOCK_MULTICAST_LOOPBACK) !== 0) {
    throw new Errno('EOPNOTSUPP', `QP create flags 0x${createFlags.toString(16)}`);
  }
  if (!TYPES.includes(type)) throw new Errno('EOPNOTSUPP', `QPs of type ${type}`);
  if (type === QpType.XRC_TGT) {
    receiveQueue(adapter.limits, { ...cap, inlineReceiveSize: 0 }, false);
    return { memory: undefined, cap: targetCapabilities(adapter.limits, cap) };
  }
  return userQueues(adapter, context, init, udata, resources);
}

/** Input: mlx4_ib_create_qp. The send limits are answered as asked for: the client's library has its own. */
function userQueues(
  adapter: Adapter,
  context: Mlx4Context,
  { type, cap, srq }: QpInit,
  udata: Udata,
  resources: Resources,
): { memory: QpMemory; cap: QpCapabilities } {
  const request = mlx4IbCreateQp.read(udata.copyIn(mlx4IbCreateQp.size), 0);
  const hasRq = srq === undefined && type !== QpType.XRC_INI;
  const rq = receiveQueue(adapter.limits, { ...cap, inlineReceiveSize: request.inlRecvSz }, hasRq);
  const sq = sendQueue(adapter.limits, request.logSqBbCount, request.logSqStride);
  const layout = qpLayout(sq, rq);
  resources.take(
    pinPages(udata.pid, {
      start: request.bufAddr,
      length: BigInt(layout.bytes),
      writable: false,
    }),
    (pinned) => pinned.unpin(),
  );
  if (hasRq) context.doorbells.map(udata.pid, request.dbAddr, resources);
  return {
    memory: {
      pid: udata.pid,
      address: request.bufAddr,
      layout,
      dbAddress: hasRq ? request.dbAddr : undefined,
    },
    cap: { ...cap, maxRecvWr: rq.entries, maxRecvSge: hasRq ? powerOfTwoCeil(cap.maxRecvSge) : 0 },
  };
}

export function destroyQp(adapter: Adapter, queuePair: QueuePair): void {
  const qp = queuePair as Mlx4Qp;
  if (qp.rss !== undefined && qp.state !== QpState.RESET) takeDownWqs(qp.rss);
  leaveAllGroups(adapter, qp);
  qp.resources.release();
}
