/** Protection domains. */
import { mlx4IbAllocPdResp } from '../abi/index.js';
import type { ProtectionDomain, Ucontext } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import { Resources } from './resources.js';
import type { Mlx4Context } from './ucontext.js';
import { respond } from './udata.js';

export interface Mlx4Pd extends ProtectionDomain {
  readonly context: Mlx4Context;
  readonly pdn: number;
  readonly resources: Resources;
}

/** Output: the number alone, not the reserved word behind it. */
export function allocPd(adapter: Adapter, context: Ucontext, udata: Udata): Mlx4Pd {
  return Resources.acquire((resources) => {
    const pdn = resources.take(adapter.pdns.allocate(), (n) => adapter.pdns.free(n));
    respond(udata, mlx4IbAllocPdResp, { pdn }, 4);
    return { context: context as Mlx4Context, pdn, users: 0, resources };
  });
}

export function deallocPd(pd: ProtectionDomain): void {
  (pd as Mlx4Pd).resources.release();
}
