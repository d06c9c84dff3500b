/**
 * The typed contract of the addon (devfs/native/*.cc) and its loader. The addon holds only system calls that
 * Node cannot make; policy lives on this side. Functions that can fail in the kernel return a negative errno
 * instead of throwing, so that the caller can turn it into the wire error without the price of an exception.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What became of one agent job (see `agentPatchStat`, `agentInstallDescriptor`). */
export interface AgentResult {
  /** 0, or the negative errno of the step that failed. */
  error: number;
  /** The step that failed, a short phrase for the log ("seize", "openat in the client"); '' when error is 0. */
  step: string;
  /** Whether the FUSE reply was sent by the agent. If false, the caller still owes the kernel a reply. */
  replied: boolean;
  /** agentInstallDescriptor: the descriptor number in the client; else -1. */
  descriptor: number;
}

export interface PatchStatJob {
  /** Thread id (as in fuse_in_header.pid) of the caller, blocked in the request being answered. */
  tid: number;
  /** The /dev/fuse descriptor and the complete reply message to write there once the thread is seized. */
  fuseFd: number;
  reply: Uint8Array;
  /** What the next fstat/newfstatat/statx on the descriptor shall report. */
  mode: number;
  rdevMajor: number;
  rdevMinor: number;
  /** Give up (detach, leave the client as it is) when it makes no system call for this long. */
  timeoutMs: number;
}

export interface InstallDescriptorJob {
  tid: number;
  fuseFd: number;
  reply: Uint8Array;
  /** Absolute paths, tried in this order while openat answers ENOENT. */
  paths: string[];
  /** Open flags of the injected openat; O_CLOEXEC is always added. */
  openFlags: number;
  /** Where the number goes in the client's memory: little-endian, zero-extended, `width` 4 or 8 bytes. */
  writes: { address: bigint; width: 4 | 8 }[];
  timeoutMs: number;
}

export interface Native {
  // fuse.cc
  /** Opens /dev/fuse (O_NONBLOCK, O_CLOEXEC) and mounts it at `mountpoint`; the descriptor or -errno. */
  mountFuse(mountpoint: string, fsname: string, options: string): number;
  /**
   * Calls `onRequest(length)` for every message read into `buffer`, and `onClose(errno)` once when the
   * connection ends (0: unmounted). Reads until the queue is empty, then for `spinMicroseconds` longer,
   * then goes back to the event loop.
   */
  startSession(
    fd: number,
    buffer: Uint8Array,
    spinMicroseconds: number,
    onRequest: (length: number) => void,
    onClose: (errno: number) => void,
  ): unknown;
  /** Stops reading and closes the descriptor. Idempotent. */
  stopSession(session: unknown): void;
  /** Writes buffer[0..length) to /dev/fuse: 0 or -errno. */
  fuseReply(fd: number, buffer: Uint8Array, length: number): number;
  /** Sends notifications one after the other in another thread, then calls back. */
  fuseNotify(fd: number, messages: Uint8Array[], done: () => void): void;
  /** FUSE_DEV_IOC_BACKING_OPEN: the backing id (> 0) or -errno. */
  backingOpen(fuseFd: number, fd: number): number;
  /** FUSE_DEV_IOC_BACKING_CLOSE: 0 or -errno. */
  backingClose(fuseFd: number, backingId: number): number;

  // guard.cc
  /**
   * Starts a process that unmounts `mountpoint` by force when this one dies, however it dies: its pid or -errno.
   */
  startGuard(mountpoint: string): number;
  /** Ends a guard without any unmounting. */
  stopGuard(pid: number): void;

  // memory.cc
  /** A new memfd of `bytes` zero bytes; the descriptor (CLOEXEC) or -errno. */
  memfd(name: string, bytes: number): number;
  /** Maps `bytes` of `fd` shared and writable; the mapping lives as long as the buffer. Throws Error on failure. */
  mapShared(fd: number, bytes: number): ArrayBuffer;
  /** process_vm_readv into target[offset..offset+length): bytes read (short at a bad page) or -errno. */
  readMemory(tid: number, address: bigint, target: Uint8Array, offset: number, length: number): number;
  /** process_vm_writev from source[offset..offset+length): bytes written or -errno. */
  writeMemory(tid: number, address: bigint, source: Uint8Array, offset: number, length: number): number;
  /**
   * Makes a function that writes the first of `bytes` to several places by one process_vm_writev, in their order, up
   * to the first bad one: bytes written or -errno. The places are the first `count` pairs of address and length in
   * `vectors`. Both arrays are kept for good.
   */
  vectorWriter(bytes: Uint8Array, vectors: BigUint64Array): (tid: number, count: number) => number;

  /** Minor device number of the FUSE file system that was cut off because a copy waited for it, once; else 0. */
  takeAbortedFileSystem(): number;

  // process.cc
  /** A pidfd (CLOEXEC) for a process or -errno. */
  pidfdOpen(pid: number): number;
  /** Whether the process behind the pidfd has not been reaped. */
  pidfdAlive(pidfd: number): boolean;
  /** Calls back once, when the process behind the pidfd has exited. Does not keep the event loop alive. */
  onProcessExit(pidfd: number, callback: () => void): (() => void) | number;
  /** Whether thread `tid` belongs to process `tgid` (tgkill with signal 0). */
  isThreadOf(tgid: number, tid: number): boolean;
  /** flock(LOCK_EX | LOCK_NB): 0 or -errno. */
  lockFile(fd: number): number;
  /** Raises RLIMIT_NOFILE to its hard limit (as root: to fs.nr_open) and returns the new soft limit. */
  raiseFileLimit(): number;
  /** Whether the thread has the capability with this number in effect; false if it is gone. */
  hasCapability(tid: number, capability: number): boolean;
  /**
   * The mapping of process `pid` at or behind an address (PROCMAP_QUERY, Linux 6.11): 0 with start, end, flags
   * (1 readable, 2 writable), inode, device major and minor in `out`; -ENOENT: none; -ENOTTY: an older kernel.
   */
  nextMapping(pid: number, address: bigint, out: BigUint64Array): number;
  closeFd(fd: number): number;

  // agent.cc
  agentPatchStat(job: PatchStatJob, done: (result: AgentResult) => void): void;
  /** The client goes on when `done` has returned. */
  agentInstallDescriptor(job: InstallDescriptorJob, done: (result: AgentResult) => void): void;

  // namespace.cc
  /** unshare(CLONE_NEWNS) for the calling thread, then makes `/` recursively slave: 0 or -errno. */
  unshareMounts(): number;
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  umount(target: string, flags: number): number;
  /** Installs the seccomp filter that fails socket(AF_NETLINK, *, NETLINK_RDMA) with EPROTONOSUPPORT: 0 or -errno. */
  denyNetlinkRdma(): number;
  /** Replaces the process, with default signal dispositions and an empty mask. Only returns to fail: -errno. */
  exec(file: string, argv: string[], env: string[]): number;
  readonly MS_BIND: number;
  readonly MS_REC: number;
  readonly MS_RDONLY: number;
  readonly MS_NOSUID: number;
  readonly MS_NODEV: number;
  readonly MS_NOEXEC: number;
  readonly MS_SLAVE: number;
  readonly MNT_FORCE: number;
  readonly MNT_DETACH: number;
}

function load(): Native {
  const here = dirname(fileURLToPath(import.meta.url));
  // Compiled files live in dist/devfs, sources in devfs; the addon is built beside package.json in both cases.
  const candidates = [
    join(here, '..', '..', 'build', 'Release', 'devfs.node'),
    join(here, '..', 'build', 'Release', 'devfs.node'),
    join(here, '..', '..', 'prebuilds', `${process.platform}-${process.arch}`, 'devfs.node'),
  ];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      `the devfs addon is not built: run "npm run build:native" (needs a C++ compiler); looked for ${candidates.join(', ')}`,
    );
  }
  return createRequire(import.meta.url)(found) as Native;
}

export const native: Native = load();
