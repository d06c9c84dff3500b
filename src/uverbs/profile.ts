/**
 * Kernels that a device can behave as. What differs between them is a value here, so that the rest asks for the
 * behaviour and not for a version.
 */
import { type ErrnoName, POLLERR } from '../../devfs/index.js';
import { type HandleSpaces, oneSpace, spacePerType } from './handle-space.js';

export interface KernelProfile {
  /** Whether RDMA_VERBS_IOCTL exists; else ENOTTY. */
  readonly ioctl: boolean;
  /** Whether write(2) is refused to other credentials than the opener's (EACCES). */
  readonly checksCredentials: boolean;
  /** Where the handles of a newly opened file come from. */
  readonly handleSpaces: () => HandleSpaces;
  /** What a handle means that is not in use. */
  readonly unknownHandle: ErrnoName;
  /** Whether a removed device answers EIO to every command whose header can be read, also to destroying. */
  readonly removedBeforeFraming: boolean;
  /**
   * Whether DEVICE_FATAL is queued before the objects of a file go, and every event file ends when all files are cut
   * off; else a completion channel ends in its turn, and DEVICE_FATAL is the last thing that happens to a file.
   */
  readonly fatalFirst: boolean;
  /** What a client finds in its mappings after removal: pages that lead nowhere, or SIGBUS. */
  readonly mappings: 'dummy' | 'sigbus';
  /** How event files end at removal. */
  readonly closedQueue: ClosedQueue;
}

export interface ClosedQueue {
  /** Whether unread events can still be read. */
  readonly keepsEvents: boolean;
  /** What an empty queue answers under O_NONBLOCK; blocking readers get EIO. */
  readonly nonblocking: ErrnoName;
  /** poll(2) bits of an empty queue. */
  readonly pollBits: number;
}

/** The handles of all files and devices, by type (core/uverbs_main.c of 4.3: ib_uverbs_pd_idr and its like). */
const globalSpaces = spacePerType();

export const profiles = {
  '6.12': {
    ioctl: true,
    checksCredentials: true,
    handleSpaces: oneSpace,
    unknownHandle: 'ENOENT',
    removedBeforeFraming: false,
    fatalFirst: false,
    mappings: 'dummy',
    closedQueue: { keepsEvents: false, nonblocking: 'EIO', pollBits: POLLERR },
  },
  '4.3': {
    ioctl: false,
    checksCredentials: false,
    handleSpaces: () => globalSpaces,
    unknownHandle: 'EINVAL',
    removedBeforeFraming: true,
    fatalFirst: true,
    mappings: 'sigbus',
    closedQueue: { keepsEvents: true, nonblocking: 'EAGAIN', pollBits: 0 },
  },
} as const satisfies Record<string, KernelProfile>;

export type ProfileName = keyof typeof profiles;
