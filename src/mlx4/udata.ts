import type { Udata } from '../core/udata.js';

/** Whether the driver's input is zero from offset `known` on (ib_is_udata_cleared). */
export function isCleared(udata: Udata, known: number): boolean {
  if (udata.inputLength <= known) return true;
  const view = udata.copyIn(udata.inputLength);
  return new Uint8Array(view.buffer, view.byteOffset + known, udata.inputLength - known).every(
    (byte) => byte === 0,
  );
}
