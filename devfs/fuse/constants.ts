/** Numbers of the FUSE protocol (include/uapi/linux/fuse.h), as far as the session uses them. */

export const FUSE_KERNEL_VERSION = 7;
/** The oldest minor version with passthrough (Linux 6.9). */
export const OLDEST_MINOR = 40;
/** The newest minor version whose structures this session knows. */
export const NEWEST_MINOR = 45;
export const FUSE_ROOT_ID = 1;

/** FUSE_INIT flags; numbers are bit positions in the 64-bit flag word. */
export const InitFlag = {
  ASYNC_READ: 0,
  ATOMIC_O_TRUNC: 3,
  BIG_WRITES: 5,
  DO_READDIRPLUS: 13,
  READDIRPLUS_AUTO: 14,
  ASYNC_DIO: 15,
  PARALLEL_DIROPS: 18,
  MAX_PAGES: 22,
  CACHE_SYMLINKS: 23,
  INIT_EXT: 30,
  PASSTHROUGH: 37,
} as const;

/** Reply flags of OPEN. */
export const OpenFlag = {
  DIRECT_IO: 1 << 0,
  NONSEEKABLE: 1 << 2,
  STREAM: 1 << 4,
  NOFLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
  PASSTHROUGH: 1 << 7,
} as const;

/** FATTR_* bits of SETATTR. */
export const SetAttr = { MODE: 1 << 0, UID: 1 << 1, GID: 1 << 2, SIZE: 1 << 3 } as const;

/** FUSE_POLL request flag: send FUSE_NOTIFY_POLL when the answer changes. */
export const POLL_SCHEDULE_NOTIFY = 1 << 0;

/** FUSE_READ request flag: a read(2) asks, not the page cache. */
export const READ_LOCKOWNER = 1 << 1;

/** Notification codes. */
export const Notify = { POLL: 1, INVAL_INODE: 2, INVAL_ENTRY: 3, DELETE: 6 } as const;

export const Opcode = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  IOCTL: 39,
  POLL: 40,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  RENAME2: 45,
  STATX: 52,
} as const;

/** Sizes of the wire structures. */
export const Size = {
  IN_HEADER: 40,
  OUT_HEADER: 16,
  ATTR: 88,
  ENTRY_OUT: 128,
  ATTR_OUT: 104,
  STATX_OUT: 288,
  OPEN_OUT: 16,
  INIT_OUT: 64,
  WRITE_IN: 40,
  WRITE_OUT: 8,
  IOCTL_IN: 32,
  IOCTL_OUT: 16,
  POLL_OUT: 8,
  STATFS_OUT: 80,
  DIRENT: 24,
} as const;
