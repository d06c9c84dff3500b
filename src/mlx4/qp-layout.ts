/**
 * Where the two queues of a QP lie in one buffer of the client (hw/mlx4/qp.c: set_rq_size, set_user_sq_size and
 * set_kernel_sq_size). The client's library computes the same.
 */
import { Errno } from '../../devfs/errno.js';
import type { QpCapabilities } from '../core/objects.js';
import type { Limits } from './limits.js';
import { log2, powerOfTwoCeil } from './power-of-two.js';

export interface QueueLayout {
  /** A power of two; 0: there is no such queue. */
  readonly entries: number;
  readonly logStride: number;
  /** From the start of the buffer. */
  readonly offset: number;
}

export interface QpLayout {
  readonly sq: QueueLayout;
  readonly rq: QueueLayout;
  readonly bytes: number;
}

type QueueSize = Omit<QueueLayout, 'offset'>;

/** Room that the hardware prefetches from must stay unused: 2 KiB and one WQE, 33 of the smallest. */
export const MAX_SPARE_WQES = 33;
const PREFETCH = 2048;
const DATA_SEGMENT_SIZE = 16;
const CONTROL_SEGMENT_SIZE = 16;
const INLINE_HEADER_SIZE = 4;
export const MIN_LOG_SQ_STRIDE = 6;
/** Of the largest send WQE; its size field has 6 bits of 16 bytes. */
const MAX_SQ_DESCRIPTOR = 1008;

const NO_QUEUE: QueueSize = { entries: 0, logStride: 0 };

export interface RqRequest {
  maxRecvWr: number;
  maxRecvSge: number;
  inlineReceiveSize: number;
}

/** A queue of the client's; `hasRq` is false with an SRQ and on both sides of XRC. */
export function receiveQueue(limits: Limits, request: RqRequest, hasRq: boolean): QueueSize {
  const { maxRecvWr, maxRecvSge, inlineReceiveSize } = request;
  if (maxRecvWr > limits.maxQpWr || maxRecvSge > limits.maxSge) {
    throw new Errno('EINVAL', `${maxRecvWr} receives with ${maxRecvSge} SGEs are too many`);
  }
  if (!hasRq) {
    if (maxRecvWr === 0 && inlineReceiveSize === 0) return NO_QUEUE;
    throw new Errno('EINVAL', 'receives for a QP without a receive queue');
  }
  if (maxRecvWr === 0 || maxRecvSge === 0 || inlineReceiveSize > limits.maxSge * DATA_SEGMENT_SIZE) {
    throw new Errno('EINVAL', `a receive queue of ${maxRecvWr} receives with ${maxRecvSge} SGEs`);
  }
  const wqeSize = Math.max(powerOfTwoCeil(maxRecvSge) * DATA_SEGMENT_SIZE, inlineReceiveSize);
  return { entries: powerOfTwoCeil(maxRecvWr), logStride: log2(wqeSize) };
}

/** As the client's library computed it. */
export function sendQueue(limits: Limits, logEntries: number, logStride: number): QueueSize {
  const maxEntries = powerOfTwoCeil(limits.maxQpWr + MAX_SPARE_WQES);
  if (logEntries > 30 || 2 ** logEntries > maxEntries) {
    throw new Errno('EINVAL', `a send queue of 2^${logEntries} entries; ${maxEntries} are possible`);
  }
  if (logStride < MIN_LOG_SQ_STRIDE || logStride > log2(powerOfTwoCeil(MAX_SQ_DESCRIPTOR))) {
    throw new Errno('EINVAL', `a send queue of entries of 2^${logStride} bytes`);
  }
  return { entries: 2 ** logEntries, logStride };
}

/** The queue with the larger entries comes first; of equals, the send queue. */
export function qpLayout(sq: QueueSize, rq: QueueSize): QpLayout {
  const sqBytes = sq.entries * 2 ** sq.logStride;
  const rqBytes = rq.entries * 2 ** rq.logStride;
  const rqFirst = rq.logStride > sq.logStride;
  return {
    sq: { ...sq, offset: rqFirst ? rqBytes : 0 },
    rq: { ...rq, offset: rqFirst ? 0 : sqBytes },
    bytes: sqBytes + rqBytes,
  };
}

/**
 * What an XRC target can post, which nobody does: the kernel makes its send queue, sized as for itself
 * (set_kernel_sq_size).
 */
export function targetCapabilities(limits: Limits, cap: QpCapabilities): QpCapabilities {
  const inline = cap.maxInlineData + INLINE_HEADER_SIZE;
  const wqeSize = Math.max(cap.maxSendSge * DATA_SEGMENT_SIZE, inline) + CONTROL_SEGMENT_SIZE;
  if (cap.maxSendWr > limits.maxQpWr || cap.maxSendSge > limits.maxSge || wqeSize > MAX_SQ_DESCRIPTOR) {
    throw new Errno('EINVAL', `${cap.maxSendWr} sends with ${cap.maxSendSge} SGEs are too many`);
  }
  const stride = powerOfTwoCeil(wqeSize);
  const spare = PREFETCH / stride + 1;
  const segments = (Math.min(MAX_SQ_DESCRIPTOR, stride) - CONTROL_SEGMENT_SIZE) / DATA_SEGMENT_SIZE;
  return {
    maxSendWr: powerOfTwoCeil(cap.maxSendWr + spare) - spare,
    maxRecvWr: 0,
    maxSendSge: Math.min(segments, limits.maxSge),
    maxRecvSge: 0,
    maxInlineData: 0,
  };
}
