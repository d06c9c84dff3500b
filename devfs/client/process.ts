import { readFileSync } from 'node:fs';
import { Errno } from '../errno.js';
import { native } from '../native.js';

/**
 * A client process, held by a pidfd so that a reused process id is never mistaken for it. All files that a process
 * opens share one.
 */
export class ClientProcess {
  static readonly #known = new Map<number, ClientProcess>();

  /** Process id (thread group id) in the daemon's pid namespace. */
  readonly pid: number;
  /** Name of the thread that was seen first, as in /proc/PID/comm. */
  readonly comm: string;
  #pidfd: number;
  #holders = 1;
  #running = false;
  #stopWatching: (() => void) | undefined;

  private constructor(pid: number, comm: string, pidfd: number) {
    this.pid = pid;
    this.comm = comm;
    this.#pidfd = pidfd;
  }

  /**
   * The process that thread `tid` belongs to, until the caller closes it. Throws EPERM if the daemon cannot see that
   * thread.
   */
  static ofThread(tid: number): ClientProcess {
    const status = tid > 0 ? readStatus(tid) : undefined;
    if (status === undefined) {
      throw new Errno('EPERM', 'the caller is not visible in the pid namespace of the daemon');
    }
    const pid = threadGroupIn(status);
    const known = ClientProcess.#known.get(pid);
    if (known?.alive) {
      known.#holders++;
      return known;
    }
    const comm = /^Name:\t(.*)$/m.exec(status)?.[1] ?? '';
    const pidfd = native.pidfdOpen(pid);
    if (pidfd < 0) throw Errno.from(pidfd, `pidfd_open of process ${pid}`);
    const process = new ClientProcess(pid, comm, pidfd);
    ClientProcess.#known.set(pid, process);
    return process;
  }

  get alive(): boolean {
    return this.#pidfd >= 0 && native.pidfdAlive(this.#pidfd);
  }

  /**
   * Whether `tid` is one of this process's threads. Asked for every command, so the process is watched from the
   * first time on, instead of being looked at each time.
   */
  hasThread(tid: number): boolean {
    this.#stopWatching ??= this.#watch();
    return this.#running && (tid === this.pid || native.isThreadOf(this.pid, tid));
  }

  #watch(): () => void {
    this.#running = this.alive;
    const stop = native.onProcessExit(this.#pidfd, () => {
      this.#running = false;
    });
    return typeof stop === 'function' ? stop : () => {};
  }

  /** To be called once for each `ofThread`; the last gives the pidfd back. */
  close(): void {
    if (--this.#holders > 0) return;
    this.#stopWatching?.();
    this.#running = false;
    native.closeFd(this.#pidfd);
    this.#pidfd = -1;
    if (ClientProcess.#known.get(this.pid) === this) ClientProcess.#known.delete(this.pid);
  }
}

function threadGroupIn(status: string): number {
  return Number(/^Tgid:\t(\d+)$/m.exec(status)?.[1]);
}

/** The process that thread `tid` belongs to; the thread itself if it is gone. */
export function threadGroupOf(tid: number): number {
  const status = readStatus(tid);
  return status === undefined ? tid : threadGroupIn(status);
}

function readStatus(tid: number): string | undefined {
  try {
    return readFileSync(`/proc/${tid}/status`, 'latin1');
  } catch {
    return undefined;
  }
}
