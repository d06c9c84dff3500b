/** Shared receive queues (hw/mlx4/srq.c). */
import { Errno, pinPages } from '../../devfs/index.js';
import { mlx4IbCreateSrq, mlx4IbCreateSrqResp } from '../abi/index.js';
import type { SrqRequest } from '../core/device-ops.js';
import { type ProtectionDomain, type SharedReceiveQueue, SrqType } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import type { Mlx4Pd } from './pd.js';
import { log2, powerOfTwoCeil } from './power-of-two.js';
import { Resources } from './resources.js';
import { respond } from './udata.js';
import type { Mlx4Xrcd } from './xrcd.js';

export interface Mlx4Srq extends SharedReceiveQueue {
  readonly pd: Mlx4Pd;
  readonly xrcd: Mlx4Xrcd | undefined;
  readonly layout: SrqLayout;
  /** Process whose memory the queue is in. */
  readonly pid: number;
  readonly bufferAddress: bigint;
  /** The number of posted receives in the client's memory, 4 bytes. */
  readonly dbAddress: bigint;
  /** Receives left at which the client wants to be told, once; 0: not wanted. */
  limit: number;
  readonly resources: Resources;
}

export interface SrqLayout {
  /** A power of two; one more than the client may post. */
  readonly entries: number;
  readonly logStride: number;
}

const DATA_SEGMENT_SIZE = 16;
/** Index of the next entry, and padding. */
const NEXT_SEGMENT_SIZE = 16;
const SMALLEST_WQE = 32;

export function srqLayout(maxWr: number, maxSge: number): SrqLayout {
  const wqeSize = Math.max(SMALLEST_WQE, powerOfTwoCeil(NEXT_SEGMENT_SIZE + maxSge * DATA_SEGMENT_SIZE));
  return { entries: powerOfTwoCeil(maxWr + 1), logStride: log2(wqeSize) };
}

/** Input: mlx4_ib_create_srq. Output: the number alone. The limit is not armed here, whatever the request says. */
export function createSrq(
  adapter: Adapter,
  protection: ProtectionDomain,
  { type, maxWr, maxSge, xrcd, cq }: SrqRequest,
  udata: Udata,
): Mlx4Srq {
  const pd = protection as Mlx4Pd;
  const { limits } = adapter;
  if (type !== SrqType.BASIC && type !== SrqType.XRC) throw new Errno('EOPNOTSUPP', `SRQs of type ${type}`);
  if (maxWr > limits.maxSrqWr || maxSge > limits.maxSrqSge) {
    throw new Errno(
      'EINVAL',
      `an SRQ of ${maxWr} receives with ${maxSge} SGEs; up to ${limits.maxSrqWr} with ${limits.maxSrqSge} are possible`,
    );
  }
  const layout = srqLayout(maxWr, maxSge);
  const { bufAddr, dbAddr } = mlx4IbCreateSrq.read(udata.copyIn(mlx4IbCreateSrq.size), 0);
  return Resources.acquire((resources) => {
    const length = BigInt(layout.entries << layout.logStride);
    resources.take(pinPages(udata.pid, { start: bufAddr, length, writable: false }), (pinned) =>
      pinned.unpin(),
    );
    pd.context.doorbells.map(udata.pid, dbAddr, resources);
    const srqn = resources.take(adapter.srqns.allocate(), (n) => adapter.srqns.free(n));
    respond(udata, mlx4IbCreateSrqResp, { srqn }, 4);
    const srq: Mlx4Srq = {
      pd,
      type,
      xrcd: xrcd as Mlx4Xrcd | undefined,
      cq,
      srqn,
      maxWr: layout.entries - 1,
      maxSge,
      layout,
      pid: udata.pid,
      bufferAddress: bufAddr,
      dbAddress: dbAddr,
      limit: 0,
      users: 0,
      onEvent: () => {},
      resources,
    };
    adapter.srqs.set(srqn, srq);
    resources.take(srqn, (n) => adapter.srqs.delete(n));
    return srq;
  });
}

const SRQ_MAX_WR = 1;
const SRQ_LIMIT = 2;

/** The size of an SRQ cannot be changed. */
export function modifySrq(
  queue: SharedReceiveQueue,
  attrMask: number,
  { srqLimit }: { srqLimit: number },
): void {
  const srq = queue as Mlx4Srq;
  if ((attrMask & SRQ_MAX_WR) !== 0) throw new Errno('EINVAL', 'an SRQ cannot be resized');
  if ((attrMask & SRQ_LIMIT) === 0) return;
  if (srqLimit >= srq.layout.entries) {
    throw new Errno('EINVAL', `a limit of ${srqLimit} for an SRQ of ${srq.layout.entries} entries`);
  }
  srq.limit = srqLimit;
}

export function querySrq(queue: SharedReceiveQueue): { maxWr: number; maxSge: number; srqLimit: number } {
  const { maxWr, maxSge, limit } = queue as Mlx4Srq;
  return { maxWr, maxSge, srqLimit: limit };
}

export function destroySrq(srq: SharedReceiveQueue): void {
  (srq as Mlx4Srq).resources.release();
}
