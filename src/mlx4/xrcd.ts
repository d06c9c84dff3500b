/**
 * XRC domains (hw/mlx4/main.c, mlx4_ib_alloc_xrcd). Each has a PD and a CQ of its own inside the adapter, for its
 * target QPs, which have neither.
 */
import type { IbDevice } from '../core/device.js';
import type { QueuePair, XrcDomain } from '../core/objects.js';
import type { Adapter } from './adapter.js';
import { Resources } from './resources.js';

export interface Mlx4Xrcd extends XrcDomain {
  readonly xrcdn: number;
  readonly pdn: number;
  readonly cqn: number;
  readonly resources: Resources;
}

export function allocXrcd(adapter: Adapter, device: IbDevice): Mlx4Xrcd {
  return Resources.acquire((resources) => {
    const xrcdn = resources.take(adapter.xrcdns.allocate(), (n) => adapter.xrcdns.free(n));
    const pdn = resources.take(adapter.pdns.allocate(), (n) => adapter.pdns.free(n));
    const cqn = resources.take(adapter.cqns.allocate(), (n) => adapter.cqns.free(n));
    return { device, xrcdn, pdn, cqn, targetQps: new Map<number, QueuePair>(), users: 0, resources };
  });
}

export function deallocXrcd(xrcd: XrcDomain): void {
  (xrcd as Mlx4Xrcd).resources.release();
}
