/** Memory regions (hw/mlx4/mr.c). The core has checked the access flags. */
import { Errno, mappingsOf, type Pinned, pinPages } from '../../devfs/index.js';
import { ibUverbsAccessFlags } from '../abi/index.js';
import type { MrRequest, Rereg } from '../core/device-ops.js';
import type { MemoryRegion, ProtectionDomain } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import { keyOfIndex } from './keys.js';
import type { Mlx4Pd } from './pd.js';
import { Resources } from './resources.js';
import type { Mlx4Context } from './ucontext.js';

export interface Mlx4Mr extends MemoryRegion {
  readonly kind: 'region';
  readonly context: Mlx4Context;
  pd: Mlx4Pd;
  /** Whose memory it is, and what is pinned of it. */
  readonly memory: { pid: number; pinned: Pinned };
  readonly resources: Resources;
}

const A = ibUverbsAccessFlags;
/** Rights that let the adapter change memory (ib_access_writable). */
const WRITABLE =
  A.IB_UVERBS_ACCESS_LOCAL_WRITE |
  A.IB_UVERBS_ACCESS_REMOTE_WRITE |
  A.IB_UVERBS_ACCESS_REMOTE_ATOMIC |
  A.IB_UVERBS_ACCESS_MW_BIND;

const isWritable = (access: number): boolean => (access & WRITABLE) !== 0;

/** lkey and rkey are the same. */
export function regUserMr(
  adapter: Adapter,
  protection: ProtectionDomain,
  request: MrRequest,
  { pid }: Udata,
): Mlx4Mr {
  const pd = protection as Mlx4Pd;
  return Resources.acquire((resources) => {
    const memory = resources.take({ pid, pinned: pin(pid, request) }, (m) => m.pinned.unpin());
    const index = resources.take(adapter.mptIndexes.allocate(), (n) => adapter.mptIndexes.free(n));
    const key = keyOfIndex(index);
    const mr: Mlx4Mr = {
      kind: 'region',
      context: pd.context,
      pd,
      lkey: key,
      rkey: key,
      ...request,
      users: 0,
      memory,
      resources,
    };
    adapter.addKey(index, mr);
    resources.take(index, (n) => adapter.removeKey(n));
    return mr;
  });
}

/**
 * Memory is pinned for writing whenever it can be, so that a later change may add rights (mlx4_get_umem_mr). It is
 * pinned read-only if one read-only mapping covers all of it.
 */
function pin(pid: number, { start, length, access }: MrRequest, replaces?: Pinned): Pinned {
  // No bytes in the middle of a page still pin that page.
  const mappings = mappingsOf(pid, start, start + (length || 1n));
  const whole = mappings.find((mapping) => mapping.start <= start && mapping.end >= start + length);
  const writable = isWritable(access) || whole === undefined || whole.writable;
  return pinPages(pid, { start, length, writable, mappings, ...(replaces && { replaces }) });
}

/** Any combination of changes, all or none. Keys and handle stay. */
export function reregUserMr(region: MemoryRegion, { access, pd, translation }: Rereg, { pid }: Udata): void {
  const mr = region as Mlx4Mr;
  if (mr.users > 0) throw new Errno('EBUSY', `${mr.users} memory windows are bound to the region`);
  if (access !== undefined && isWritable(access) && !mr.memory.pinned.writable) {
    throw new Errno(translation === undefined ? 'EACCES' : 'EPERM', 'the memory is pinned read-only');
  }
  if (translation !== undefined) {
    const request = { ...translation, access: access ?? mr.access };
    mr.memory.pinned = pin(pid, request, mr.memory.pinned);
    mr.memory.pid = pid;
    mr.start = translation.start;
    mr.length = translation.length;
    mr.iova = translation.iova;
  }
  if (access !== undefined) mr.access = access;
  if (pd !== undefined) mr.pd = pd as Mlx4Pd;
}

export function deregMr(mr: MemoryRegion): void {
  (mr as Mlx4Mr).resources.release();
}
