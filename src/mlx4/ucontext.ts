/** A client's use of the adapter: its doorbell page, and what is kept for it beside its objects. */
import { Errno } from '../../devfs/errno.js';
import { mlx4IbAllocUcontextResp } from '../abi/index.js';
import type { IbDevice } from '../core/device.js';
import type { ClientAddressSpace, Ucontext, UserPages } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import * as caps from './capabilities.js';
import { DoorbellPages } from './doorbell-pages.js';
import { respond } from './udata.js';
import { WqnRanges } from './wqn-ranges.js';

export interface Mlx4Context extends Ucontext {
  readonly doorbells: DoorbellPages;
  readonly wqnRanges: WqnRanges;
}

/** Throws EAGAIN while the device is not active: it is going away, or had a fatal error. */
export function allocUcontext(
  adapter: Adapter,
  device: IbDevice,
  owner: ClientAddressSpace,
  pages: UserPages,
  udata: Udata,
): Mlx4Context {
  if (adapter.failed || !device.registered) throw new Errno('EAGAIN', `${device.name} is not active`);
  respond(udata, mlx4IbAllocUcontextResp, {
    devCaps: 0,
    qpTabSize: caps.NUM_QPS,
    bfRegSize: caps.BF_REG_SIZE,
    bfRegsPerPage: 0,
    cqeSize: caps.CQE_SIZE,
  });
  return { device, owner, pages, doorbells: new DoorbellPages(), wqnRanges: new WqnRanges() };
}
