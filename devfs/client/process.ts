import { readFileSync } from 'node:fs';
import { Errno } from '../errno.js';
import { native } from '../native.js';

/**
 * A client process, held by a pidfd so that a reused process id is never mistaken for it.
 */
export class ClientProcess {
  /** Process id (thread group id) in the daemon's pid namespace. */
  readonly pid: number;
  /** Name of the thread that was seen first, as in /proc/PID/comm. */
  readonly comm: string;
  #pidfd: number;

  private constructor(pid: number, comm: string, pidfd: number) {
    this.pid = pid;
    this.comm = comm;
    this.#pidfd = pidfd;
  }

  /** The process that thread `tid` belongs to. Throws EPERM if the daemon cannot see that thread. */
  static ofThread(tid: number): ClientProcess {
    const status = tid > 0 ? readStatus(tid) : undefined;
    if (status === undefined) {
      throw new Errno('EPERM', 'the caller is not visible in the pid namespace of the daemon');
    }
    const pid = Number(/^Tgid:\t(\d+)$/m.exec(status)?.[1]);
    const comm = /^Name:\t(.*)$/m.exec(status)?.[1] ?? '';
    const pidfd = native.pidfdOpen(pid);
    if (pidfd < 0) throw Errno.from(pidfd, `pidfd_open of process ${pid}`);
    return new ClientProcess(pid, comm, pidfd);
  }

  get alive(): boolean {
    return this.#pidfd >= 0 && native.pidfdAlive(this.#pidfd);
  }

  /** Whether `tid` is one of this process's threads. */
  hasThread(tid: number): boolean {
    return tid === this.pid ? this.alive : native.isThreadOf(this.pid, tid);
  }

  /** Gives the pidfd back. Idempotent. */
  close(): void {
    if (this.#pidfd >= 0) native.closeFd(this.#pidfd);
    this.#pidfd = -1;
  }
}

function readStatus(tid: number): string | undefined {
  try {
    return readFileSync(`/proc/${tid}/status`, 'latin1');
  } catch {
    return undefined;
  }
}
