import { readFileSync } from 'node:fs';

/** System calls that write (x86-64). */
export const Syscall = { WRITE: 1, WRITEV: 20, PWRITE64: 18, PWRITEV: 296, PWRITEV2: 328 } as const;

/** How often to look again at a thread that has not quite fallen asleep in its request. */
const ATTEMPTS = 1000;

export interface BlockedSyscall {
  number: number;
  /** Its first six arguments. */
  args: bigint[];
}

/**
 * The system call that a thread waits in for our answer. It tells what FUSE does not: where the caller's buffer
 * lies, and whether it was one buffer. `undefined` if the thread is not blocked in one.
 */
export function blockedSyscall(tid: number): BlockedSyscall | undefined {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let text: string;
    try {
      text = readFileSync(`/proc/${tid}/syscall`, 'latin1');
    } catch {
      return undefined;
    }
    if (text.startsWith('running')) continue;
    const [number = '-1', ...words] = text.trim().split(' ');
    return { number: Number(number), args: words.slice(0, 6).map(BigInt) };
  }
  return undefined;
}
