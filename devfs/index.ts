/** devfs: character devices in user space over FUSE. */
export { Call } from './call.js';
export { type Capability, hasCapability } from './client/credentials.js';
export { descriptorName, inodeKey } from './client/descriptors.js';
export {
  copyFromUser,
  copyOutgoing,
  copyToUser,
  copyToUserLater,
  finishCopies,
  outgoing,
  outgoingRoom,
  readFromUser,
} from './client/memory.js';
export {
  type Mapping,
  mappingsOf,
  PAGE_SIZE,
  type Pinned,
  type PinRequest,
  pinnedPagesOf,
  pinPages,
} from './client/pinned-memory.js';
export { ClientProcess, threadGroupOf } from './client/process.js';
export { type BlockedSyscall, blockedSyscall, Syscall } from './client/syscall.js';
export { Errno, type ErrnoName, errno } from './errno.js';
export {
  DEFAULT_POLLMASK,
  DescriptorReply,
  type FileOperations,
  type OpenRequest,
  POLLERR,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
  POLLWRNORM,
  type PollTable,
  type Result,
} from './file.js';
export { Session, type SessionOptions } from './fuse/session.js';
export { type Log, silentLog } from './log.js';
export { isMounted, type Mount, parseMountinfo, readMounts } from './mountinfo.js';
export { Attribute, CharacterDevice, Directory, Symlink } from './nodes.js';
export { SharedPages } from './shared-pages.js';
export { WaitQueue } from './wait-queue.js';
