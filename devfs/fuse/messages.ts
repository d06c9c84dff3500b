/**
 * The wire structures of the FUSE protocol that carry more than a field or two. Offsets are those of
 * include/uapi/linux/fuse.h; all integers are in host byte order (little-endian here).
 */
import type { Node, Timestamp } from '../nodes.js';
import { FUSE_KERNEL_VERSION, InitFlag, NEWEST_MINOR, OLDEST_MINOR, Size } from './constants.js';
import type { Inode } from './inodes.js';

/** Reads a u64 that is known to be below 2^53 (node ids, handles, offsets of small files). */
export function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

/** File type bits by kind of node; a device is a regular file to FUSE (nodes.ts says why). */
const TYPE = {
  directory: S_IFDIR,
  symlink: S_IFLNK,
  attribute: S_IFREG,
  device: S_IFREG,
  descriptor: S_IFREG,
} as const satisfies Record<Node['kind'], number>;

/**
 * Direct writes of one inode run in parallel only below the file's size, so a device claims more than any
 * position that its descriptor can reach.
 */
const DEVICE_SIZE = Number.MAX_SAFE_INTEGER;

/** sysfs shows one page for every attribute. */
const ATTRIBUTE_SIZE = 4096;

function sizeOf(node: Node): number {
  switch (node.kind) {
    case 'device':
      return DEVICE_SIZE;
    case 'attribute':
      return ATTRIBUTE_SIZE;
    case 'symlink':
      return Buffer.byteLength(node.target);
    default:
      // A descriptor's file must be empty: a private mapping of it would otherwise read pages from the daemon,
      // and the daemon could come to wait for itself when a command names such a page.
      return 0;
  }
}

/** How long the kernel may keep an entry or attributes without asking, in seconds. */
const FOREVER = 1 << 30;

/** Devices must be looked up for each open; all other entries are taken back by notification. */
export function entryValidity(node: Node): number {
  return node.kind === 'device' || node.kind === 'descriptor' ? 0 : FOREVER;
}

/** A directory's times change with its entries. */
export function attributeValidity(node: Node): number {
  return node.kind === 'directory' ? 0 : FOREVER;
}

/** struct fuse_attr (88 bytes). */
export function writeAttr(view: DataView, at: number, { node, nodeid }: Inode): void {
  setU64(view, at, nodeid);
  setU64(view, at + 8, sizeOf(node));
  setU64(view, at + 16, 0);
  for (const field of [24, 32, 40]) setU64(view, at + field, node.mtime.seconds);
  for (const field of [48, 52, 56]) view.setUint32(at + field, node.mtime.nanoseconds, true);
  view.setUint32(at + 60, TYPE[node.kind] | node.mode, true);
  view.setUint32(at + 64, node.kind === 'directory' ? 2 : 1, true);
  view.setUint32(at + 68, node.uid, true);
  view.setUint32(at + 72, node.gid, true);
  view.setUint32(at + 76, 0, true);
  view.setUint32(at + 80, 4096, true);
  view.setUint32(at + 84, 0, true);
}

/** struct fuse_entry_out (128 bytes). */
export function writeEntry(view: DataView, at: number, inode: Inode): void {
  setU64(view, at, inode.nodeid);
  setU64(view, at + 8, 0);
  setU64(view, at + 16, entryValidity(inode.node));
  setU64(view, at + 24, attributeValidity(inode.node));
  view.setUint32(at + 32, 0, true);
  view.setUint32(at + 36, 0, true);
  writeAttr(view, at + 40, inode);
}

/** struct fuse_attr_out (104 bytes). */
export function writeAttrOut(view: DataView, at: number, inode: Inode): void {
  setU64(view, at, attributeValidity(inode.node));
  setU64(view, at + 8, 0);
  writeAttr(view, at + 16, inode);
}

/** STATX_BASIC_STATS. */
const STATX_BASIC_STATS = 0x7ff;

/** struct fuse_statx_out (288 bytes). */
export function writeStatxOut(view: DataView, at: number, inode: Inode): void {
  const { node } = inode;
  for (let i = 0; i < Size.STATX_OUT; i += 8) setU64(view, at + i, 0);
  setU64(view, at, attributeValidity(node));
  const stat = at + 32;
  view.setUint32(stat, STATX_BASIC_STATS, true);
  view.setUint32(stat + 4, 4096, true);
  view.setUint32(stat + 16, node.kind === 'directory' ? 2 : 1, true);
  view.setUint32(stat + 20, node.uid, true);
  view.setUint32(stat + 24, node.gid, true);
  view.setUint16(stat + 28, TYPE[node.kind] | node.mode, true);
  setU64(view, stat + 32, inode.nodeid);
  setU64(view, stat + 40, sizeOf(node));
  for (const field of [64, 96, 112]) writeTime(view, stat + field, node.mtime);
}

function writeTime(view: DataView, at: number, time: Timestamp): void {
  setU64(view, at, time.seconds);
  view.setUint32(at + 8, time.nanoseconds, true);
}

/** DT_* of a directory entry. */
export function direntType(node: Node): number {
  return TYPE[node.kind] >> 12;
}

/** The largest write that reaches the daemon in one piece: more than the longest command (2 x 65535 words of 8). */
export const MAX_PAGES = 256;
export const MAX_WRITE = MAX_PAGES * 4096;

const WANTED_FLAGS = [
  InitFlag.ASYNC_READ,
  InitFlag.ATOMIC_O_TRUNC,
  InitFlag.BIG_WRITES,
  InitFlag.DO_READDIRPLUS,
  InitFlag.READDIRPLUS_AUTO,
  InitFlag.ASYNC_DIO,
  InitFlag.PARALLEL_DIROPS,
  InitFlag.MAX_PAGES,
  InitFlag.CACHE_SYMLINKS,
  InitFlag.INIT_EXT,
  InitFlag.PASSTHROUGH,
].reduce((flags, bit) => flags | (1n << BigInt(bit)), 0n);

const REQUIRED_FLAGS = [InitFlag.INIT_EXT, InitFlag.PASSTHROUGH].reduce(
  (flags, bit) => flags | (1n << BigInt(bit)),
  0n,
);

/**
 * Answers struct fuse_init_in at `at` of `view` into `out`: the length of the answer, or the reason why this
 * kernel cannot carry the session.
 */
export function negotiate(view: DataView, at: number, out: DataView, outAt: number): number | string {
  const major = view.getUint32(at, true);
  const minor = view.getUint32(at + 4, true);
  if (major > FUSE_KERNEL_VERSION) {
    // The kernel sends INIT again with the version that we name here.
    out.setUint32(outAt, FUSE_KERNEL_VERSION, true);
    out.setUint32(outAt + 4, NEWEST_MINOR, true);
    return 8;
  }
  if (major < FUSE_KERNEL_VERSION || minor < OLDEST_MINOR) {
    return `the kernel speaks FUSE ${major}.${minor}; ${FUSE_KERNEL_VERSION}.${OLDEST_MINOR} (Linux 6.9) is needed`;
  }
  const offered = BigInt(view.getUint32(at + 12, true)) | (BigInt(view.getUint32(at + 16, true)) << 32n);
  if ((offered & REQUIRED_FLAGS) !== REQUIRED_FLAGS) {
    return 'the kernel offers no FUSE passthrough (CONFIG_FUSE_PASSTHROUGH)';
  }
  const flags = offered & WANTED_FLAGS;
  for (let i = 0; i < Size.INIT_OUT; i += 8) setU64(out, outAt + i, 0);
  out.setUint32(outAt, FUSE_KERNEL_VERSION, true);
  out.setUint32(outAt + 4, Math.min(minor, NEWEST_MINOR), true);
  out.setUint32(outAt + 8, view.getUint32(at + 8, true), true);
  out.setUint32(outAt + 12, Number(flags & 0xffff_ffffn), true);
  out.setUint16(outAt + 16, 1024, true); // max_background
  out.setUint16(outAt + 18, 768, true); // congestion_threshold
  out.setUint32(outAt + 20, MAX_WRITE, true);
  out.setUint32(outAt + 24, 1, true); // time granularity in nanoseconds
  out.setUint16(outAt + 28, MAX_PAGES, true);
  out.setUint32(outAt + 32, Number(flags >> 32n), true);
  out.setUint32(outAt + 36, 1, true); // max_stack_depth: backing files lie on an ordinary file system
  return Size.INIT_OUT;
}
