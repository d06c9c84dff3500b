/**
 * What FUSE hides of a write(2): the address of the caller's buffer, and the elements of a writev(2). Looked up only
 * for the rare commands that depend on it.
 */
import { blockedSyscall, type Call, copyFromUser, Syscall } from '../../../devfs/index.js';

const IOVEC_SIZE = 16;
const MAX_IOVECS = 1024;

/** Address of the buffer of a plain write; `undefined` for any other call. */
export function bufferAddress({ tid }: Call): bigint | undefined {
  const syscall = blockedSyscall(tid);
  const isPlain = syscall?.number === Syscall.WRITE || syscall?.number === Syscall.PWRITE64;
  return isPlain ? syscall.args[1] : undefined;
}

/**
 * The elements of a writev(2), as views of the joined bytes; `undefined` if the caller used write(2), or if the
 * bytes are only part of what it writes.
 */
export function vectorElements({ tid }: Call, data: Buffer): Buffer[] | undefined {
  const syscall = blockedSyscall(tid);
  const vectored: number[] = [Syscall.WRITEV, Syscall.PWRITEV, Syscall.PWRITEV2];
  if (syscall === undefined || !vectored.includes(syscall.number)) return undefined;
  const [, address = 0n, count = 0n] = syscall.args;
  if (count > MAX_IOVECS) return undefined;
  const iovecs = copyFromUser(tid, address, Number(count) * IOVEC_SIZE);
  const elements: Buffer[] = [];
  let at = 0;
  for (let i = 0; i < iovecs.length; i += IOVEC_SIZE) {
    const length = Number(iovecs.readBigUInt64LE(i + 8));
    elements.push(data.subarray(at, at + length));
    at += length;
  }
  return at === data.length ? elements : undefined;
}
