/**
 * What a driver gives to the core (the kernel's ib_device_ops). Everything throws `Errno`, with nothing changed.
 * The core has checked references and counts them; a driver checks what its adapter can do.
 */
import type { DeviceAttributes, GidEntry, PortAttributes } from './attributes.js';
import type { IbDevice } from './device.js';
import type {
  ClientAddressSpace,
  CompletionQueue,
  Flow,
  FlowAttributes,
  MemoryRegion,
  MemoryWindow,
  MulticastMembership,
  ProtectionDomain,
  QpAttributes,
  QpInit,
  QueuePair,
  RwqIndTable,
  SharedReceiveQueue,
  Ucontext,
  UserPages,
  WorkQueue,
  WorkQueueInit,
  XrcDomain,
} from './objects.js';
import type { Udata } from './udata.js';

/** A memory region as the client asks for it. */
export interface MrRequest {
  start: bigint;
  length: bigint;
  iova: bigint;
  access: number;
}

/** What changes: fields that are left out stay. */
export interface Rereg {
  translation?: Omit<MrRequest, 'access'>;
  pd?: ProtectionDomain;
  access?: number;
}

export interface SrqRequest {
  type: number;
  maxWr: number;
  maxSge: number;
  srqLimit: number;
  xrcd: XrcDomain | undefined;
  cq: CompletionQueue | undefined;
}

/** Types that not every adapter has; their methods and commands are unknown without. */
export interface MemoryWindowOps {
  allocMw(pd: ProtectionDomain, type: number, udata: Udata): MemoryWindow;
  deallocMw(mw: MemoryWindow): void;
}

export interface XrcOps {
  allocXrcd(device: IbDevice, udata: Udata): XrcDomain;
  deallocXrcd(xrcd: XrcDomain): void;
}

export interface FlowOps {
  createFlow(qp: QueuePair, attributes: FlowAttributes): Flow;
  destroyFlow(flow: Flow): void;
}

/** Receive side scaling. */
export interface RssOps {
  createWq(pd: ProtectionDomain, init: WorkQueueInit, udata: Udata): WorkQueue;
  /** `attrMask`: STATE 1, CUR_STATE 2, FLAGS 4. */
  modifyWq(
    wq: WorkQueue,
    attrMask: number,
    attributes: { state: number; currentState: number; flags: number; flagsMask: number },
    udata: Udata,
  ): void;
  destroyWq(wq: WorkQueue): void;
  createRwqIndTable(context: Ucontext, logSize: number, wqs: WorkQueue[], udata: Udata): RwqIndTable;
  destroyRwqIndTable(table: RwqIndTable): void;
}

/**
 * A driver that leaves out `disassociateUcontext` makes removal wait until the last open file is closed.
 */
export interface DeviceOps {
  /** RDMA_DRIVER_*. */
  readonly driverId: number;
  /** `abi_version` of the uverbs device. */
  readonly uverbsAbiVersion: number;
  readonly numCompVectors: number;

  queryDevice(): DeviceAttributes;
  /** Writes the driver's private part of the extended query. */
  queryDeviceUdata(udata: Udata): void;
  /** `port` is valid. */
  queryPort(port: number): PortAttributes;
  /** `port` is valid; `index` is below gidTblLen. `undefined` for an empty entry. */
  queryGid(port: number, index: number): GidEntry | undefined;
  /** `port` is valid; `index` is below pkeyTblLen. */
  queryPkey(port: number, index: number): number;

  allocUcontext(device: IbDevice, owner: ClientAddressSpace, pages: UserPages, udata: Udata): Ucontext;
  deallocUcontext(context: Ucontext): void;
  /** Cuts a context off from the hardware; its client keeps its descriptors. */
  disassociateUcontext?(context: Ucontext): void;

  allocPd(context: Ucontext, udata: Udata): ProtectionDomain;
  deallocPd(pd: ProtectionDomain): void;

  regUserMr(pd: ProtectionDomain, request: MrRequest, udata: Udata): MemoryRegion;
  /** Keeps the keys. */
  reregUserMr(mr: MemoryRegion, change: Rereg, udata: Udata): void;
  deregMr(mr: MemoryRegion): void;

  createCq(
    context: Ucontext,
    request: { cqe: number; compVector: number; flags: number },
    udata: Udata,
  ): CompletionQueue;
  resizeCq(cq: CompletionQueue, cqe: number, udata: Udata): void;
  modifyCq(cq: CompletionQueue, count: number, period: number): void;
  destroyCq(cq: CompletionQueue): void;

  createSrq(pd: ProtectionDomain, request: SrqRequest, udata: Udata): SharedReceiveQueue;
  /** `attrMask`: MAX_WR 1, LIMIT 2. */
  modifySrq(srq: SharedReceiveQueue, attrMask: number, attributes: { maxWr: number; srqLimit: number }): void;
  querySrq(srq: SharedReceiveQueue): { maxWr: number; maxSge: number; srqLimit: number };
  destroySrq(srq: SharedReceiveQueue): void;

  /** `pd` and `context` are missing for an XRC target; `udata` is not used for it. */
  createQp(context: Ucontext, pd: ProtectionDomain | undefined, init: QpInit, udata: Udata): QueuePair;
  /** Checks the transition and the values, and makes the change. */
  modifyQp(qp: QueuePair, attrMask: number, attributes: QpAttributes): void;
  queryQp(qp: QueuePair): QpAttributes & QpCapabilitiesOut;
  destroyQp(qp: QueuePair): void;

  attachMcast(qp: QueuePair, membership: MulticastMembership): void;
  detachMcast(qp: QueuePair, membership: MulticastMembership): void;

  readonly memoryWindows?: MemoryWindowOps;
  readonly xrc?: XrcOps;
  readonly flows?: FlowOps;
  readonly rss?: RssOps;
}

/** What QUERY_QP answers beside the attributes. */
export interface QpCapabilitiesOut {
  maxSendWr: number;
  maxRecvWr: number;
  maxSendSge: number;
  maxRecvSge: number;
  maxInlineData: number;
  sqDraining: number;
  sqSigAll: number;
}
