import { ClientProcess } from './client/process.js';
import { Errno } from './errno.js';

/**
 * One system call of a client that waits for its answer: who calls, and how to learn that the caller gave up.
 * Valid until it is answered.
 */
export class Call {
  /** Thread id of the caller (`fuse_in_header.pid`), in the daemon's pid namespace; 0 if it has none there. */
  readonly tid: number;
  /** File system uid and gid of the caller. */
  readonly uid: number;
  readonly gid: number;
  /** Open flags of the descriptor (`O_NONBLOCK` is current, not that of the open). */
  readonly flags: number;
  #interrupt: (() => void) | undefined;
  #interrupted = false;

  constructor(tid: number, uid: number, gid: number, flags: number) {
    this.tid = tid;
    this.uid = uid;
    this.gid = gid;
    this.flags = flags;
  }

  /** The process of the caller. Reads /proc, so keep the result. Throws EPERM if it cannot be seen. */
  process(): ClientProcess {
    return ClientProcess.ofThread(this.tid);
  }

  /**
   * Registers what ends the wait when a signal arrives, or has arrived already; without it a signal does not disturb
   * the call.
   */
  onInterrupt(callback: (() => void) | undefined): void {
    this.#interrupt = callback;
    if (this.#interrupted) callback?.();
  }

  /** Called by the session on FUSE_INTERRUPT. */
  interrupt(): void {
    this.#interrupted = true;
    this.#interrupt?.();
  }
}

/** The error of an interrupted wait. FUSE has no restart codes, so it is EINTR even under SA_RESTART. */
export function interrupted(): Errno {
  return new Errno('EINTR');
}
