/** Completion queues (hw/mlx4/cq.c). */
import { Errno, type Pinned, pinPages } from '../../devfs/index.js';
import { ibUverbsExCreateCqFlags, mlx4IbCreateCq, mlx4IbCreateCqResp, mlx4IbResizeCq } from '../abi/index.js';
import type { CompletionQueue, Ucontext } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import { CQE_SIZE } from './capabilities.js';
import { fillNewCq, fillResizedCq, writeResizeCqe } from './cq-buffer.js';
import { powerOfTwoCeil } from './power-of-two.js';
import { Resources } from './resources.js';
import type { Mlx4Context } from './ucontext.js';
import { respond } from './udata.js';

/** A ring of CQEs in the client's memory. */
export interface CqRing {
  /** Process whose memory it is in. */
  pid: number;
  address: bigint;
  /** A power of two. */
  entries: number;
  pinned: Pinned;
}

export interface Mlx4Cq extends CompletionQueue {
  readonly context: Mlx4Context;
  readonly cqn: number;
  readonly ring: CqRing;
  /** The consumer index (4 bytes) and the arm record (4 bytes) in the client's memory. */
  readonly dbAddress: bigint;
  /** CQEs written so far, the one that ends a buffer at resize included. */
  producerIndex: number;
  /** Completions, and microseconds, before an interrupt; kept, as every completion notifies at once. */
  moderation: { count: number; period: number };
  readonly resources: Resources;
}

const CREATE_FLAGS = ibUverbsExCreateCqFlags.IB_UVERBS_CQ_FLAGS_TIMESTAMP_COMPLETION;

/** Input: mlx4_ib_create_cq. Output: the number alone, not the reserved word behind it. */
export function createCq(
  adapter: Adapter,
  ucontext: Ucontext,
  { cqe, compVector, flags }: { cqe: number; compVector: number; flags: number },
  udata: Udata,
): Mlx4Cq {
  const context = ucontext as Mlx4Context;
  assertSize(adapter, cqe);
  if ((flags & ~CREATE_FLAGS) !== 0) throw new Errno('EINVAL', `CQ flags 0x${flags.toString(16)}`);
  const entries = powerOfTwoCeil(cqe + 1);
  const { bufAddr, dbAddr } = mlx4IbCreateCq.read(udata.copyIn(mlx4IbCreateCq.size), 0);
  return Resources.acquire((resources) => {
    const ring = resources.take(pinRing(udata.pid, bufAddr, entries), ({ pinned }) => pinned.unpin());
    context.doorbells.map(udata.pid, dbAddr, resources);
    const cqn = resources.take(adapter.cqns.allocate(), (n) => adapter.cqns.free(n));
    fillNewCq(ring);
    respond(udata, mlx4IbCreateCqResp, { cqn }, 4);
    const cq: Mlx4Cq = {
      context,
      cqn,
      cqe: entries - 1,
      compVector,
      ring,
      dbAddress: dbAddr,
      producerIndex: 0,
      moderation: { count: 0, period: 0 },
      users: 0,
      onCompletion: () => {},
      onEvent: () => {},
      resources,
    };
    adapter.cqs.set(cqn, cq);
    resources.take(cqn, (n) => adapter.cqs.delete(n));
    return cq;
  });
}

function assertSize(adapter: Adapter, cqe: number): void {
  if (cqe >= 1 && cqe <= adapter.limits.maxCqe) return;
  throw new Errno('EINVAL', `a CQ of ${cqe} entries; 1 to ${adapter.limits.maxCqe} are possible`);
}

function pinRing(pid: number, address: bigint, entries: number): CqRing {
  const length = BigInt(entries * CQE_SIZE);
  return { pid, address, entries, pinned: pinPages(pid, { start: address, length, writable: true }) };
}

/**
 * Input: mlx4_ib_resize_cq; not read if the size stays. The client copies what is outstanding itself, up to the CQE
 * that ends the old buffer.
 */
export function resizeCq(adapter: Adapter, queue: CompletionQueue, cqe: number, udata: Udata): void {
  const cq = queue as Mlx4Cq;
  assertSize(adapter, cqe);
  const entries = powerOfTwoCeil(cqe + 1);
  if (entries === cq.ring.entries) return;
  if (entries > adapter.limits.maxCqe + 1) throw new Errno('EINVAL', `${entries} entries are too many`);
  const { bufAddr } = mlx4IbResizeCq.read(udata.copyIn(mlx4IbResizeCq.size), 0);
  const old = { ...cq.ring };
  const ring = pinRing(udata.pid, bufAddr, entries);
  try {
    fillResizedCq(ring, cq.producerIndex + 1);
    writeResizeCqe(old, cq.producerIndex);
  } catch (error) {
    ring.pinned.unpin();
    throw error;
  }
  cq.producerIndex++;
  cq.cqe = entries - 1;
  Object.assign(cq.ring, ring);
  old.pinned.unpin();
}

export function modifyCq(cq: CompletionQueue, count: number, period: number): void {
  (cq as Mlx4Cq).moderation = { count, period };
}

export function destroyCq(cq: CompletionQueue): void {
  (cq as Mlx4Cq).resources.release();
}
