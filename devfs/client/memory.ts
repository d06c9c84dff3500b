import { Errno } from '../errno.js';
import { native } from '../native.js';

/**
 * Copies `length` bytes from the memory of thread `tid`'s process. Throws EFAULT unless all of them can be read.
 * The result is the caller's own.
 */
export function copyFromUser(tid: number, address: bigint, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  readFromUser(tid, address, bytes, length);
  return bytes;
}

/** The same, to the start of `target`. */
export function readFromUser(tid: number, address: bigint, target: Uint8Array, length: number): void {
  if (pending.overlaps(address, length)) pending.flush();
  if (length > 0 && native.readMemory(tid, address, target, 0, length) !== length) throw badAddress(address);
}

/** Copies bytes to the memory of thread `tid`'s process. Throws EFAULT unless all of them can be written. */
export function copyToUser(tid: number, address: bigint, bytes: Uint8Array): void {
  pending.flush();
  const length = bytes.byteLength;
  if (length > 0 && native.writeMemory(tid, address, bytes, 0, length) !== length) throw badAddress(address);
}

/**
 * The same, put off until `finishCopies`, so that all that a command answers costs one system call. The client cannot
 * tell: copies are carried out in their order up to the first bad address, before any other write, and before a read
 * of the same memory. `bytes` can be used again at once. Throws EFAULT if an earlier copy fails.
 */
export function copyToUserLater(tid: number, address: bigint, bytes: Uint8Array): void {
  const length = bytes.byteLength;
  if (length > PendingCopies.BYTES) {
    copyToUser(tid, address, bytes);
  } else {
    pending.bytes.set(bytes, pending.room(tid, length));
    pending.add(address, length);
  }
}

/**
 * The same for bytes that are made in place: offset in `outgoing` where the next copy's bytes, at most `size` (up to
 * 4096) of them, are to be written; `copyOutgoing` then says where they go. Throws EFAULT if an earlier copy fails.
 */
export function outgoingRoom(tid: number, size: number): number {
  return pending.room(tid, size);
}

/** Puts off the copy of the first `length` bytes in the room that was just asked for. */
export function copyOutgoing(address: bigint, length: number): void {
  pending.add(address, length);
}

/**
 * Carries out what was put off; whoever puts off does this before its caller is answered. Throws EFAULT at the first
 * copy that fails, and forgets those behind it.
 */
export function finishCopies(): void {
  pending.flush();
}

/** Copies to one thread's process that are still to be made. There are few, so they are looked through one by one. */
class PendingCopies {
  static readonly BYTES = 8192;
  static readonly COUNT = 64;

  readonly bytes = new Uint8Array(PendingCopies.BYTES);
  readonly view = new DataView(this.bytes.buffer);
  /** Pairs of address and length, and the same as words: a length is the third of four. */
  readonly #vectors = new BigUint64Array(2 * PendingCopies.COUNT);
  readonly #words = new Uint32Array(this.#vectors.buffer);
  readonly #write = native.vectorWriter(this.bytes, this.#vectors);
  #tid = 0;
  #count = 0;
  #length = 0;

  /** Where the bytes of the next copy are to be. */
  room(tid: number, size: number): number {
    const isFull = this.#count === PendingCopies.COUNT || this.#length + size > PendingCopies.BYTES;
    if (isFull || tid !== this.#tid) this.flush();
    this.#tid = tid;
    return this.#length;
  }

  add(address: bigint, length: number): void {
    if (length === 0) return;
    this.#vectors[2 * this.#count] = address;
    this.#words[4 * this.#count + 2] = length;
    this.#length += length;
    this.#count++;
  }

  overlaps(address: bigint, length: number): boolean {
    for (let i = 0; i < this.#count; i++) {
      const start = this.#vectors[2 * i] as bigint;
      const end = start + (this.#vectors[2 * i + 1] as bigint);
      if (address < end && start < address + BigInt(length)) return true;
    }
    return false;
  }

  flush(): void {
    if (this.#count === 0) return;
    const length = this.#length;
    const done = this.#write(this.#tid, this.#count);
    this.#count = 0;
    this.#length = 0;
    if (done !== length) throw badAddress(this.#addressAt(done));
  }

  /** Address of the copy of which byte `at` (0 for a negative one) was a part. */
  #addressAt(at: number): bigint {
    let i = 0;
    for (let left = at; left >= (this.#words[4 * i + 2] as number); i++)
      left -= this.#words[4 * i + 2] as number;
    return this.#vectors[2 * i] as bigint;
  }
}

const pending = new PendingCopies();

/** The bytes of copies that were put off, and of the next one. */
export const outgoing: DataView = pending.view;

function badAddress(address: bigint): Errno {
  const minor = native.takeAbortedFileSystem();
  const why = minor === 0 ? '' : `: the FUSE file system 0:${minor} behind it did not answer and was aborted`;
  return new Errno('EFAULT', `bad address 0x${address.toString(16)}${why}`);
}
