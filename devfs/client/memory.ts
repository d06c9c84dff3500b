import { Errno } from '../errno.js';
import { native } from '../native.js';

/**
 * Copies `length` bytes from the memory of thread `tid`'s process. Throws EFAULT unless all of them can be read.
 * The result is the caller's own.
 */
export function copyFromUser(tid: number, address: bigint, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  if (length > 0 && native.readMemory(tid, address, bytes, 0, length) !== length) throw badAddress(address);
  return bytes;
}

/** Copies bytes to the memory of thread `tid`'s process. Throws EFAULT unless all of them can be written. */
export function copyToUser(tid: number, address: bigint, bytes: Uint8Array): void {
  const length = bytes.byteLength;
  if (length > 0 && native.writeMemory(tid, address, bytes, 0, length) !== length) throw badAddress(address);
}

function badAddress(address: bigint): Errno {
  return new Errno('EFAULT', `bad address 0x${address.toString(16)}`);
}
