/**
 * Which CPUs a server and its client run on. Whether a wake-up crosses CPUs can matter more than all that a server
 * does, so two servers are compared in the same placement only.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Placement {
  readonly name: string;
  /** CPU lists as taskset(1) takes them. */
  readonly server: string;
  readonly client: string;
}

/** "0-2,5" as [0, 1, 2, 5]. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The CPUs that this process may use, as a list. */
function allowedCpus(): string {
  const status = readFileSync('/proc/self/status', 'utf8');
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
}

/** Wherever the scheduler likes. */
export function unpinned(): Placement {
  const all = allowedCpus();
  return { name: 'unpinned', server: all, client: all };
}

export function sameCpu(): Placement {
  const [first = 0] = parseCpuList(allowedCpus());
  return { name: 'same CPU', server: String(first), client: String(first) };
}

/** All three; a machine with one CPU has no two different ones. */
export function placements(): Placement[] {
  const [first, second] = parseCpuList(allowedCpus());
  const across = { name: 'different CPUs', server: String(first), client: String(second) };
  return [unpinned(), sameCpu(), ...(second === undefined ? [] : [across])];
}

/** Moves all threads of a server; those it starts later follow. */
export function place(pid: number, { server }: Placement): void {
  execFileSync('taskset', ['-acp', server, String(pid)], { stdio: 'ignore' });
}

/** The command line that runs a client where it belongs. */
export function placed({ client }: Placement, file: string, args: string[]): [string, string[]] {
  return ['taskset', ['-c', client, file, ...args]];
}
