import { constants } from 'node:os';

/** The kernel's error numbers by name (`errno.EINVAL` is 22). */
export const errno = constants.errno;
export type ErrnoName = keyof typeof errno;

const names = new Map<number, ErrnoName>(
  (Object.entries(errno) as [ErrnoName, number][]).map(([name, number]) => [number, name]),
);

/**
 * The error that a handler throws to answer a system call: `code` is what the client sees, `message` is the
 * sentence for the daemon's log.
 */
export class Errno extends Error {
  readonly code: ErrnoName;

  constructor(code: ErrnoName, message = '') {
    // Answering a client's mistake is ordinary work: taking a stack trace would cost more than the answer.
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = limit;
    this.code = code;
  }

  get errno(): number {
    return errno[this.code];
  }

  /** From a negative return value of the addon; unknown numbers become EIO. */
  static from(result: number, message?: string): Errno {
    return new Errno(names.get(-result) ?? 'EIO', message);
  }
}
