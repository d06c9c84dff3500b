/**
 * Memory of a client that a device works in, as the kernel's pinned user memory (drivers/infiniband/core/umem.c):
 * nothing is held in place, but what may be pinned, and how much of it, is decided as there.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { Errno, errno } from '../errno.js';
import { readMounts } from '../mountinfo.js';
import { native } from '../native.js';
import { hasCapability } from './credentials.js';

export const PAGE_SIZE = 4096n;
const PAGE_MASK = PAGE_SIZE - 1n;
const ADDRESS_LIMIT = 1n << 64n;
const MAX_PAGES = 0xffff_ffffn;

/** One mapping of a process (a line of /proc/PID/maps). */
export interface Mapping {
  readonly start: bigint;
  /** First address behind it. */
  readonly end: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  /** What is mapped, as "major:minor" in decimal; undefined for anonymous memory. */
  readonly fileDevice: string | undefined;
}

/** Pages of a client that count against its RLIMIT_MEMLOCK until `unpin`. */
export interface Pinned {
  readonly pages: bigint;
  /** Whether the device may write there. */
  readonly writable: boolean;
  /** Idempotent. */
  unpin(): void;
}

export interface PinRequest {
  start: bigint;
  length: bigint;
  writable: boolean;
  /** The mappings of that range, if the caller has them already. */
  mappings?: Mapping[];
  /** Given back if the request succeeds; its pages do not count beside the new ones. */
  replaces?: Pinned;
}

/** Pages pinned by process (the kernel's mm->pinned_vm). */
const pinnedPages = new Map<number, bigint>();

export function pinnedPagesOf(pid: number): bigint {
  return pinnedPages.get(pid) ?? 0n;
}

/**
 * Pins what process `pid` has at `start` (ib_umem_get, in its order): EINVAL for a range that wraps or has no pages,
 * EPERM if the process may lock nothing, ENOMEM beyond its RLIMIT_MEMLOCK, EFAULT where nothing that is allowed is
 * mapped.
 */
export function pinPages(pid: number, request: PinRequest): Pinned {
  const { start, length, writable, replaces } = request;
  const from = start & ~PAGE_MASK;
  const to = (start + length + PAGE_MASK) & ~PAGE_MASK;
  if (to >= ADDRESS_LIMIT) throw new Errno('EINVAL', 'the range passes the end of the address space');
  const limit = lockLimit(pid);
  if (limit === 0n) throw new Errno('EPERM', `process ${pid} may not lock memory (RLIMIT_MEMLOCK is 0)`);
  const pages = (to - from) / PAGE_SIZE;
  if (pages === 0n || pages > MAX_PAGES) throw new Errno('EINVAL', `a range of ${pages} pages`);
  const before = pinnedPagesOf(pid) - (replaces?.pages ?? 0n);
  if (limit !== undefined && before + pages > limit / PAGE_SIZE) {
    throw new Errno(
      'ENOMEM',
      `process ${pid} may lock ${limit} bytes (RLIMIT_MEMLOCK), ${pages} pages asked for`,
    );
  }
  assertMapped(pid, from, to, writable, request.mappings ?? mappingsOf(pid, from, to));
  replaces?.unpin();
  return charge(pid, pages, writable);
}

function charge(pid: number, pages: bigint, writable: boolean): Pinned {
  pinnedPages.set(pid, pinnedPagesOf(pid) + pages);
  let held = true;
  return {
    pages,
    writable,
    unpin() {
      if (!held) return;
      held = false;
      const left = pinnedPagesOf(pid) - pages;
      if (left > 0n) pinnedPages.set(pid, left);
      else pinnedPages.delete(pid);
    },
  };
}

/** Bytes that a process may lock; undefined: any number. */
function lockLimit(pid: number): bigint | undefined {
  if (hasCapability(pid, 'CAP_IPC_LOCK')) return undefined;
  // Not prlimit(2), which needs CAP_SYS_RESOURCE for processes of other users.
  try {
    const limits = readFileSync(`/proc/${pid}/limits`, 'latin1');
    const soft = /^Max locked memory\s+(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : BigInt(soft);
  } catch {
    throw new Errno('EFAULT', `process ${pid} has no memory any more`);
  }
}

/** The mappings of a process that lie in [from, to), in ascending order; none if the process is gone. */
export function mappingsOf(pid: number, from: bigint, to: bigint): Mapping[] {
  const found: Mapping[] = [];
  for (let at = from; at < to; ) {
    const result = native.nextMapping(pid, at, queried);
    if (result === -errno.ENOTTY) return mappingsByText(pid, from, to);
    const mapping = result === 0 ? queriedMapping() : undefined;
    if (mapping === undefined || mapping.start >= to) break;
    found.push(mapping);
    at = mapping.end;
  }
  return found;
}

/** What `nextMapping` fills in: start, end, flags, inode, device major and minor. */
const queried = new BigUint64Array(6);

function queriedMapping(): Mapping {
  const [start = 0n, end = 0n, flags = 0n, inode, major, minor] = queried;
  return {
    start,
    end,
    readable: (flags & 1n) !== 0n,
    writable: (flags & 2n) !== 0n,
    fileDevice: inode === 0n ? undefined : `${major}:${minor}`,
  };
}

/** The same on kernels that cannot be asked for one mapping. */
function mappingsByText(pid: number, from: bigint, to: bigint): Mapping[] {
  const found: Mapping[] = [];
  const lowest = Number(from);
  for (const line of mapsLines(pid)) {
    // Most lines are of no interest: a number that is exact for every address of user space is enough to skip them.
    if (Number.parseInt(line.slice(line.indexOf('-') + 1), 16) <= lowest) continue;
    const mapping = parseMapping(line);
    if (mapping === undefined || mapping.start >= to) break;
    found.push(mapping);
  }
  return found;
}

/** Room for as many lines as the kernel gives in one read. */
const MAPS_CHUNK = 65536;

/** The lines of /proc/PID/maps, read only as far as they are asked for. */
function* mapsLines(pid: number): Generator<string> {
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/maps`, 'r');
  } catch {
    return;
  }
  try {
    const chunk = Buffer.allocUnsafe(MAPS_CHUNK);
    let rest = '';
    for (;;) {
      const length = readSync(fd, chunk, 0, chunk.length, null);
      if (length === 0) return;
      const lines = (rest + chunk.toString('latin1', 0, length)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    // The process went away between two reads.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  } finally {
    closeSync(fd);
  }
}

/** "start-end perms offset major:minor inode path"; a file has an inode number. */
function parseMapping(line: string): Mapping | undefined {
  const match = /^([0-9a-f]+)-([0-9a-f]+) (r|-)(w|-)\S+ [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+)/.exec(line);
  if (match === null) return undefined;
  const [, start, end, read, write, major = '', minor = '', inode] = match;
  return {
    start: BigInt(`0x${start}`),
    end: BigInt(`0x${end}`),
    readable: read === 'r',
    writable: write === 'w',
    fileDevice: inode === '0' ? undefined : `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`,
  };
}

function assertMapped(pid: number, from: bigint, to: bigint, writable: boolean, mappings: Mapping[]): void {
  let at = from;
  for (const mapping of mappings) {
    if (mapping.start > at || at >= to) break;
    if (!mapping.readable || (writable && !mapping.writable)) throw badMemory(at, writable);
    at = mapping.end < to ? mapping.end : to;
    if (mapping.fileDevice !== undefined) assertBacked(pid, mapping.fileDevice, at - PAGE_SIZE);
  }
  if (at < to) throw badMemory(at, writable);
}

/** Pages of a mapped file that lie beyond its end cannot be touched; if the last page can, all before it can. */
function assertBacked(pid: number, device: string, lastPage: bigint): void {
  // Reading a page of this daemon's own file system would wait for the daemon. What it offers for mapping are
  // device registers, which cannot be pinned anyhow.
  if (fuseDevices().has(device)) throw new Errno('EFAULT', 'device memory cannot be pinned');
  if (native.readMemory(pid, lastPage, new Uint8Array(1), 0, 1) !== 1) throw badMemory(lastPage, false);
}

/** FUSE file systems that the daemon sees, as "major:minor". */
function fuseDevices(): Set<string> {
  const mounts = readMounts().filter(({ type }) => type.startsWith('fuse'));
  return new Set(mounts.map(({ device }) => device));
}

function badMemory(address: bigint, writable: boolean): Errno {
  return new Errno('EFAULT', `no ${writable ? 'writable ' : ''}memory at 0x${address.toString(16)}`);
}
