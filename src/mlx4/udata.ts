import type { Struct } from '../abi/index.js';
import type { Udata } from '../core/udata.js';

const response = new Uint8Array(64);
const responseView = new DataView(response.buffer);

/** Writes a structure of at most 64 bytes, or its first `length`, as the driver's output. Throws EFAULT. */
export function respond<T>(
  udata: Udata,
  struct: Struct<unknown, T>,
  value: T,
  length: number = struct.size,
): void {
  struct.write(responseView, 0, value);
  udata.copyOut(response.subarray(0, length));
}

/** Whether the driver's input is zero from offset `known` on (ib_is_udata_cleared). */
export function isCleared(udata: Udata, known: number): boolean {
  if (udata.inputLength <= known) return true;
  const view = udata.copyIn(udata.inputLength);
  return new Uint8Array(view.buffer, view.byteOffset + known, udata.inputLength - known).every(
    (byte) => byte === 0,
  );
}
