/** Memory windows: a key of their own, without a right until they are bound to a part of a region. */
import { Errno } from '../../devfs/errno.js';
import type { MemoryWindow, ProtectionDomain } from '../core/objects.js';
import type { Adapter } from './adapter.js';
import { keyOfIndex } from './keys.js';
import type { Mlx4Pd } from './pd.js';
import { Resources } from './resources.js';

export interface Mlx4Mw extends MemoryWindow {
  readonly kind: 'window';
  readonly pd: Mlx4Pd;
  readonly resources: Resources;
}

/** IB_MW_TYPE_1 is bound by the driver's bind call, IB_MW_TYPE_2 by a work request. */
const TYPES = [1, 2];

export function allocMw(adapter: Adapter, pd: ProtectionDomain, type: number): Mlx4Mw {
  if (!TYPES.includes(type)) throw new Errno('EINVAL', `there are no memory windows of type ${type}`);
  return Resources.acquire((resources) => {
    const index = resources.take(adapter.mptIndexes.allocate(), (n) => adapter.mptIndexes.free(n));
    const mw: Mlx4Mw = {
      kind: 'window',
      pd: pd as Mlx4Pd,
      type,
      rkey: keyOfIndex(index),
      users: 0,
      resources,
    };
    adapter.addKey(index, mw);
    resources.take(index, (n) => adapter.removeKey(n));
    return mw;
  });
}

export function deallocMw(mw: MemoryWindow): void {
  (mw as Mlx4Mw).resources.release();
}
