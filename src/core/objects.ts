/**
 * The objects of the verbs interface (include/rdma/ib_verbs.h), as far as the core and uverbs look at them. A driver
 * extends each with what its adapter needs.
 */
import type { IbUverbsModifyQp } from '../abi/index.js';
import type { IbDevice } from './device.js';

/** Pages that the client maps from its descriptor, and the daemon's view of them. */
export interface UserPages {
  readonly buffer: ArrayBuffer;
  /** Takes them away: a client that touches them gets SIGBUS. */
  revoke(): void;
}

/** A process whose memory the adapter works in. */
export interface ClientAddressSpace {
  readonly pid: number;
  readonly comm: string;
}

/** One client's use of a device (ib_ucontext). */
export interface Ucontext {
  readonly device: IbDevice;
  readonly pages: UserPages;
  readonly owner: ClientAddressSpace;
}

/** Every object counts what refers to it (usecnt): it cannot be destroyed while that is not 0. */
export interface RdmaObject {
  users: number;
}

export interface ProtectionDomain extends RdmaObject {
  readonly context: Ucontext;
}

export interface MemoryRegion extends RdmaObject {
  readonly context: Ucontext;
  pd: ProtectionDomain;
  readonly lkey: number;
  readonly rkey: number;
  /** Where the pages are in the client's memory. */
  start: bigint;
  length: bigint;
  /** The address that work requests use for `start`. */
  iova: bigint;
  /** IB_ACCESS_* bits. */
  access: number;
}

export interface MemoryWindow extends RdmaObject {
  readonly pd: ProtectionDomain;
  /** 1 or 2. */
  readonly type: number;
  rkey: number;
}

/** How a completion queue or another object tells its client: set by uverbs, called by the driver. */
export interface CompletionQueue extends RdmaObject {
  readonly context: Ucontext;
  /** Entries that the client can use. */
  cqe: number;
  readonly compVector: number;
  /** A completion that the client asked to be told of. */
  onCompletion: () => void;
  /** An asynchronous event of this object (EventType). */
  onEvent: (type: number) => void;
}

export const SrqType = { BASIC: 0, XRC: 1, TM: 2 } as const;

export interface SharedReceiveQueue extends RdmaObject {
  readonly pd: ProtectionDomain;
  readonly type: number;
  readonly xrcd: XrcDomain | undefined;
  readonly cq: CompletionQueue | undefined;
  readonly srqn: number;
  maxWr: number;
  maxSge: number;
  onEvent: (type: number) => void;
}

/** enum ib_qp_type. */
export const QpType = {
  SMI: 0,
  GSI: 1,
  RC: 2,
  UC: 3,
  UD: 4,
  RAW_PACKET: 8,
  XRC_INI: 9,
  XRC_TGT: 10,
  DRIVER: 0xff,
} as const;

/** enum ib_qp_state. */
export const QpState = { RESET: 0, INIT: 1, RTR: 2, RTS: 3, SQD: 4, SQE: 5, ERR: 6 } as const;
export type QpState = (typeof QpState)[keyof typeof QpState];

/** enum ib_qp_attr_mask; the bits that a client may set. */
export const QpAttr = {
  STATE: 1 << 0,
  CUR_STATE: 1 << 1,
  EN_SQD_ASYNC_NOTIFY: 1 << 2,
  ACCESS_FLAGS: 1 << 3,
  PKEY_INDEX: 1 << 4,
  PORT: 1 << 5,
  QKEY: 1 << 6,
  AV: 1 << 7,
  PATH_MTU: 1 << 8,
  TIMEOUT: 1 << 9,
  RETRY_CNT: 1 << 10,
  RNR_RETRY: 1 << 11,
  RQ_PSN: 1 << 12,
  MAX_QP_RD_ATOMIC: 1 << 13,
  ALT_PATH: 1 << 14,
  MIN_RNR_TIMER: 1 << 15,
  SQ_PSN: 1 << 16,
  MAX_DEST_RD_ATOMIC: 1 << 17,
  PATH_MIG_STATE: 1 << 18,
  CAP: 1 << 19,
  DEST_QPN: 1 << 20,
  RATE_LIMIT: 1 << 25,
} as const;

export interface QpCapabilities {
  maxSendWr: number;
  maxRecvWr: number;
  maxSendSge: number;
  maxRecvSge: number;
  maxInlineData: number;
}

/** Attributes of a QP as clients set and read them. */
export type QpAttributes = Omit<IbUverbsModifyQp, 'qpHandle' | 'attrMask' | 'reserved'>;

/** IB_QP_CREATE_* that a client may ask for. */
export const QpCreateFlag = {
  BLOCK_MULTICAST_LOOPBACK: 1 << 1,
  SCATTER_FCS: 1 << 8,
  CVLAN_STRIPPING: 1 << 9,
  SOURCE_QPN: 1 << 10,
  PCI_WRITE_END_PADDING: 1 << 11,
} as const;

export interface QpInit {
  type: number;
  sendCq: CompletionQueue | undefined;
  recvCq: CompletionQueue | undefined;
  srq: SharedReceiveQueue | undefined;
  xrcd: XrcDomain | undefined;
  indTable: RwqIndTable | undefined;
  cap: QpCapabilities;
  sqSigAll: boolean;
  createFlags: number;
}

export interface QueuePair extends RdmaObject {
  /** Without one: an XRC target. */
  readonly pd: ProtectionDomain | undefined;
  readonly context: Ucontext | undefined;
  readonly type: number;
  readonly qpNum: number;
  readonly init: QpInit;
  /** As answered: what the client may post. */
  readonly cap: QpCapabilities;
  state: QpState;
  /** Set by RESET to INIT. */
  port: number;
  readonly multicast: MulticastMembership[];
  onEvent: (type: number) => void;
}

export interface MulticastMembership {
  gid: Uint8Array;
  lid: number;
}

/** Shared between processes through an inode (core: ib_xrcd, found by it). */
export interface XrcDomain extends RdmaObject {
  readonly device: IbDevice;
  /** Its XRC target QPs by number, which other processes may open. */
  readonly targetQps: Map<number, QueuePair>;
}

export interface WorkQueue extends RdmaObject {
  readonly pd: ProtectionDomain;
  readonly cq: CompletionQueue;
  readonly wqNum: number;
  readonly maxWr: number;
  readonly maxSge: number;
  /** RESET 0, RDY 1, ERR 2. */
  state: number;
  onEvent: (type: number) => void;
}

export interface WorkQueueInit {
  /** 0: receive queue. */
  type: number;
  maxWr: number;
  maxSge: number;
  createFlags: number;
  cq: CompletionQueue;
}

export interface RwqIndTable extends RdmaObject {
  readonly context: Ucontext;
  readonly indTableNum: number;
  readonly wqs: WorkQueue[];
}

/** One parsed flow specification: what arrives must match `value` under `mask`. */
export interface FlowSpec {
  /** IB_FLOW_SPEC_*. */
  type: number;
  value: Uint8Array;
  mask: Uint8Array;
}

export interface FlowAttributes {
  /** IB_FLOW_ATTR_*: NORMAL 0, ALL_DEFAULT 1, MC_DEFAULT 2, SNIFFER 3. */
  type: number;
  priority: number;
  port: number;
  flags: number;
  specs: FlowSpec[];
}

export interface Flow extends RdmaObject {
  readonly qp: QueuePair;
}
