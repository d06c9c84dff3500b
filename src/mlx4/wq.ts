/** Receive work queues and indirection tables, for receive side scaling (hw/mlx4/qp.c, create_rq and behind). */
import { Errno, pinPages } from '../../devfs/index.js';
import { mlx4IbCreateRwqIndTblResp, mlx4IbCreateWq, mlx4IbModifyWq } from '../abi/index.js';
import type { RssOps } from '../core/device-ops.js';
import type { ProtectionDomain, RwqIndTable, Ucontext, WorkQueue, WorkQueueInit } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import type { Mlx4Pd } from './pd.js';
import { log2 } from './power-of-two.js';
import { MIN_LOG_SQ_STRIDE, type QpLayout, qpLayout, receiveQueue } from './qp-layout.js';
import { Resources } from './resources.js';
import { isCleared, respond } from './udata.js';
import { WqState } from './wq-state.js';

export interface Mlx4Wq extends WorkQueue {
  readonly pd: Mlx4Pd;
  readonly layout: QpLayout;
  /** Process whose memory the queue is in. */
  readonly pid: number;
  readonly bufferAddress: bigint;
  /** The number of posted receives in the client's memory, 4 bytes. */
  readonly dbAddress: bigint;
  /** `state` is what the client wants; the adapter follows once an RSS QP is brought up over the WQ. */
  hardwareState: number;
  port: number;
  rssUsers: number;
  readonly resources: Resources;
}

const TYPE_RQ = 0;
const FLAG_SCATTER_FCS = 2;
/** In front of (or behind) its receives a WQ has a send queue of one entry, which nothing uses. */
const DUMMY_SEND_QUEUE = { entries: 1, logStride: MIN_LOG_SQ_STRIDE };

/** Input: mlx4_ib_create_wq, all of it; no output. */
export function createWq(
  adapter: Adapter,
  protection: ProtectionDomain,
  init: WorkQueueInit,
  udata: Udata,
): Mlx4Wq {
  const pd = protection as Mlx4Pd;
  const { limits } = adapter;
  const unsupported = (why: string): Errno => new Errno('EOPNOTSUPP', why);
  if (udata.inputLength < mlx4IbCreateWq.size) throw new Errno('EINVAL', 'the driver input is too short');
  if (!isCleared(udata, mlx4IbCreateWq.size)) throw unsupported('the driver input has unknown parts');
  if (udata.outputLength > 0) throw unsupported('a WQ has no driver output');
  if (init.type !== TYPE_RQ) throw unsupported(`work queues of type ${init.type}`);
  if ((init.createFlags & ~FLAG_SCATTER_FCS) !== 0) throw unsupported(`WQ create flags ${init.createFlags}`);
  const request = mlx4IbCreateWq.read(udata.copyIn(mlx4IbCreateWq.size), 0);
  if (request.compMask !== 0 || request.reserved.some((byte) => byte !== 0)) {
    throw unsupported('comp_mask or reserved is set');
  }
  if (request.logRangeSize > log2(limits.maxRwqIndirectionTableSize)) {
    throw unsupported(`a range of 2^${request.logRangeSize} work queues`);
  }
  const size = { maxRecvWr: init.maxWr, maxRecvSge: init.maxSge, inlineReceiveSize: 0 };
  const rq = receiveQueue(limits, size, true);
  const layout = qpLayout(DUMMY_SEND_QUEUE, rq);
  return Resources.acquire((resources) => {
    resources.take(
      pinPages(udata.pid, {
        start: request.bufAddr,
        length: BigInt(layout.bytes),
        writable: false,
      }),
      (pinned) => pinned.unpin(),
    );
    pd.context.doorbells.map(udata.pid, request.dbAddr, resources);
    const wqNum = pd.context.wqnRanges.allocate(adapter.qpns, 2 ** request.logRangeSize, resources);
    const wq: Mlx4Wq = {
      pd,
      cq: init.cq,
      wqNum,
      // The kernel answers what was asked for, which the client's library then takes for the size of the ring.
      maxWr: rq.entries,
      maxSge: init.maxSge,
      state: WqState.RESET,
      layout,
      pid: udata.pid,
      bufferAddress: request.bufAddr,
      dbAddress: request.dbAddr,
      hardwareState: WqState.RESET,
      port: 0,
      rssUsers: 0,
      users: 0,
      onEvent: () => {},
      resources,
    };
    adapter.wqs.set(wqNum, wq);
    resources.take(wqNum, (n) => adapter.wqs.delete(n));
    return wq;
  });
}

const WQ_FLAGS = 4;

/** Input: mlx4_ib_modify_wq, all zero. */
export function modifyWq(
  queue: WorkQueue,
  attrMask: number,
  { state, currentState }: Parameters<RssOps['modifyWq']>[2],
  udata: Udata,
): void {
  const wq = queue as Mlx4Wq;
  if (udata.inputLength < mlx4IbModifyWq.size) throw new Errno('EINVAL', 'the driver input is too short');
  if (!isCleared(udata, 0)) throw new Errno('EOPNOTSUPP', 'the driver input is not zero');
  if ((attrMask & WQ_FLAGS) !== 0) throw new Errno('EOPNOTSUPP', 'flags of a WQ cannot be changed');
  if (state === WqState.RDY && currentState === WqState.ERR)
    throw new Errno('EINVAL', 'ERR does not become RDY');
  if (state === WqState.ERR && currentState === WqState.RESET) {
    throw new Errno('EINVAL', 'RESET does not become ERR');
  }
  if (wq.rssUsers > 0) wq.hardwareState = state;
  wq.state = state;
}

export function destroyWq(wq: WorkQueue): void {
  (wq as Mlx4Wq).resources.release();
}

/** Input: nothing, or zeros. Output: nothing, or the length of the response. */
export function createRwqIndTable(
  adapter: Adapter,
  context: Ucontext,
  logSize: number,
  wqs: WorkQueue[],
  udata: Udata,
): RwqIndTable {
  const invalid = (why: string): Errno => new Errno('EINVAL', why);
  const size = 2 ** logSize;
  if (!isCleared(udata, 0)) throw new Errno('EOPNOTSUPP', 'the driver input is not zero');
  if (udata.outputLength > 0 && udata.outputLength < mlx4IbCreateRwqIndTblResp.size) {
    throw invalid('the driver output is too short');
  }
  if (size > adapter.limits.maxRwqIndirectionTableSize) throw invalid(`a table of ${size} work queues`);
  const first = wqs[0]?.wqNum ?? 0;
  if (first % size !== 0) throw invalid(`the first number ${first} is not a multiple of ${size}`);
  if (wqs.some((wq, i) => wq.wqNum !== first + i))
    throw invalid('the work queue numbers are not consecutive');
  if (udata.outputLength > 0) respond(udata, mlx4IbCreateRwqIndTblResp, { responseLength: 4 }, 4);
  // The table is the client's alone: the adapter gets the number of its first WQ with the QP.
  return { context, indTableNum: 0, wqs, users: 0 };
}
