import type { Call } from './call.js';
import type { SharedPages } from './shared-pages.js';
import type { WaitQueue } from './wait-queue.js';

/** What a handler may return: the value, or a promise of it when the caller has to wait. */
export type Result<T> = T | Promise<T>;

/**
 * A handler's wish that its caller shall get a new descriptor, which only the client agent can give.
 * The handler has done everything else; `finished` is called exactly once with the outcome.
 */
export class DescriptorReply {
  /** The open file behind the new descriptor. */
  readonly file: FileOperations;
  /** The result of the system call itself, when the descriptor could be installed. */
  readonly result: number;
  /** Where the number goes in the caller's memory, little-endian, zero-extended. */
  readonly writes: { address: bigint; width: 4 | 8 }[];
  /**
   * Told the descriptor number, or the negative errno that the caller got instead, and the file's `descriptorName`;
   * the caller goes on when this returns. After an errno `release` of the file is called only if it had been opened.
   */
  readonly finished: (descriptor: number, name: string) => void;

  constructor(
    file: FileOperations,
    result: number,
    writes: { address: bigint; width: 4 | 8 }[],
    finished: (descriptor: number, name: string) => void,
  ) {
    this.file = file;
    this.result = result;
    this.writes = writes;
    this.finished = finished;
  }

  /** The same, for a call that did something before: its result counts both. */
  after(done: number): DescriptorReply {
    return new DescriptorReply(this.file, done + this.result, this.writes, this.finished);
  }
}

/** Registers the wait queues on which the readiness of a file depends; present only while somebody polls. */
export interface PollTable {
  add(queue: WaitQueue): void;
}

/**
 * An open file, as the kernel's file_operations: what is left out behaves as in the kernel (no read: EINVAL; no
 * write: EINVAL; no ioctl: ENOTTY; no poll: always ready). Handlers throw `Errno`.
 */
export interface FileOperations {
  /** At most `count` bytes. */
  read?(call: Call, count: number): Result<Uint8Array>;
  /** `data` is only valid until the handler returns or first waits. The result is the return value of write(2). */
  write?(call: Call, data: Buffer): Result<number | DescriptorReply>;
  /** `header` holds the _IOC_SIZE bytes that the kernel copied; `arg` is the caller's pointer. */
  ioctl?(call: Call, command: number, arg: bigint, header: Buffer): Result<number | DescriptorReply>;
  /** The poll(2) bits that hold now. */
  poll?(call: Call, table: PollTable): number;
  /** The last descriptor is gone. Must not throw. */
  release?(): void;
}

/** What a device learns about an open. */
export interface OpenRequest {
  call: Call;
  /** The pages that the client will see when it maps the descriptor. */
  pages: SharedPages;
}

/** poll(2) bits. */
export const POLLIN = 0x001;
export const POLLOUT = 0x004;
export const POLLERR = 0x008;
export const POLLRDNORM = 0x040;
export const POLLWRNORM = 0x100;
/** What a file without a poll handler answers (the kernel's DEFAULT_POLLMASK). */
export const DEFAULT_POLLMASK = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
