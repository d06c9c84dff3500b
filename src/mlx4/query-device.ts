import { Errno } from '../../devfs/errno.js';
import { mlx4IbRxHashFunctionFlags, mlx4UverbsExQueryDeviceResp } from '../abi/index.js';
import type { Udata } from '../core/udata.js';
import type { Adapter } from './adapter.js';
import { maxInlineReceiveSize } from './capabilities.js';
import { HASH_FIELDS } from './qp-rss.js';
import { respond } from './udata.js';

/**
 * The private part of the extended query. Input: nothing, or 8 zero bytes. Output: as much of the structure as there
 * is room for.
 */
export function queryDeviceUdata(adapter: Adapter, udata: Udata): void {
  if (udata.inputLength > 0) {
    if (udata.inputLength < 8) throw new Errno('EINVAL', 'the driver input is too short');
    if (udata.copyIn(8).getBigUint64(0) !== 0n) throw new Errno('EINVAL', 'the driver input is not zero');
  }
  if (udata.outputLength === 0) return;
  const length = Math.min(udata.outputLength, mlx4UverbsExQueryDeviceResp.size);
  respond(
    udata,
    mlx4UverbsExQueryDeviceResp,
    {
      compMask: 0, // no clock page
      responseLength: length,
      hcaCoreClockOffset: 0n,
      maxInlRecvSz: maxInlineReceiveSize(adapter.limits),
      rssCaps: adapter.hasEthernetPort
        ? {
            rxHashFieldsMask: BigInt(HASH_FIELDS),
            rxHashFunction: mlx4IbRxHashFunctionFlags.MLX4_IB_RX_HASH_FUNC_TOEPLITZ,
          }
        : { rxHashFieldsMask: 0n, rxHashFunction: 0 },
      tsoCaps: { maxTso: 0, supportedQpts: 0 },
    },
    length,
  );
}
