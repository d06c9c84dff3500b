/**
 * The verbs of the core (core/verbs.c): what holds for every driver. Objects count what refers to them; destroying
 * one that is referred to is EBUSY and changes nothing.
 */
import { Errno } from '../../devfs/errno.js';
import { LinkLayer } from './attributes.js';
import type { IbDevice } from './device.js';
import type { MrRequest, Rereg, SrqRequest } from './device-ops.js';
import {
  type CompletionQueue,
  type Flow,
  type FlowAttributes,
  type MemoryRegion,
  type MemoryWindow,
  type MulticastMembership,
  type ProtectionDomain,
  QpAttr,
  type QpAttributes,
  type QpInit,
  QpState,
  QpType,
  type QueuePair,
  type RdmaObject,
  type RwqIndTable,
  type SharedReceiveQueue,
  type Ucontext,
  type WorkQueue,
  type WorkQueueInit,
  type XrcDomain,
} from './objects.js';
import type { Udata } from './udata.js';

/** Objects that another one refers to while it exists. */
type References = (RdmaObject | undefined)[];

function hold(references: References): void {
  for (const object of references) if (object !== undefined) object.users++;
}

function drop(references: References): void {
  for (const object of references) if (object !== undefined) object.users--;
}

/** Throws EBUSY while something refers to the object. */
export function assertUnused(object: RdmaObject, name: string): void {
  if (object.users > 0) throw new Errno('EBUSY', `the ${name} is in use by ${object.users} other objects`);
}

/** The driver makes the object; then it holds its references. */
function create<T>(references: References, make: () => T): T {
  const object = make();
  hold(references);
  return object;
}

/** The driver destroys an unused object; then its references go. */
function destroy(object: RdmaObject, name: string, references: References, free: () => void): void {
  assertUnused(object, name);
  free();
  drop(references);
}

export function deallocPd(pd: ProtectionDomain): void {
  destroy(pd, 'PD', [], () => pd.context.device.ops.deallocPd(pd));
}

export function regUserMr(pd: ProtectionDomain, request: MrRequest, udata: Udata): MemoryRegion {
  return create([pd], () => pd.context.device.ops.regUserMr(pd, request, udata));
}

export function reregUserMr(mr: MemoryRegion, change: Rereg, udata: Udata): void {
  const before = mr.pd;
  mr.context.device.ops.reregUserMr(mr, change, udata);
  if (change.pd === undefined) return;
  before.users--;
  change.pd.users++;
}

export function deregMr(mr: MemoryRegion): void {
  destroy(mr, 'MR', [mr.pd], () => mr.context.device.ops.deregMr(mr));
}

export function allocMw(pd: ProtectionDomain, type: number, udata: Udata): MemoryWindow {
  const ops = required(pd.context.device.ops.memoryWindows);
  return create([pd], () => ops.allocMw(pd, type, udata));
}

export function deallocMw(mw: MemoryWindow): void {
  destroy(mw, 'MW', [mw.pd], () => required(mw.pd.context.device.ops.memoryWindows).deallocMw(mw));
}

export function destroyCq(cq: CompletionQueue): void {
  destroy(cq, 'CQ', [], () => cq.context.device.ops.destroyCq(cq));
}

export function createSrq(pd: ProtectionDomain, request: SrqRequest, udata: Udata): SharedReceiveQueue {
  return create([pd, request.xrcd, request.cq], () => pd.context.device.ops.createSrq(pd, request, udata));
}

export function destroySrq(srq: SharedReceiveQueue): void {
  destroy(srq, 'SRQ', [srq.pd, srq.xrcd, srq.cq], () => srq.pd.context.device.ops.destroySrq(srq));
}

function referencesOf(pd: ProtectionDomain | undefined, init: QpInit): References {
  return [pd, init.sendCq, init.recvCq, init.srq, init.indTable, init.xrcd];
}

export function createQp(
  context: Ucontext,
  pd: ProtectionDomain | undefined,
  init: QpInit,
  udata: Udata,
): QueuePair {
  const qp = create(referencesOf(pd, init), () => context.device.ops.createQp(context, pd, init, udata));
  init.xrcd?.targetQps.set(qp.qpNum, qp);
  return qp;
}

/** Also EBUSY while multicast groups are attached. */
export function destroyQp(device: IbDevice, qp: QueuePair): void {
  if (qp.multicast.length > 0) throw new Errno('EBUSY', 'multicast groups are attached to the QP');
  destroy(qp, 'QP', referencesOf(qp.pd, qp.init), () => device.ops.destroyQp(qp));
  qp.init.xrcd?.targetQps.delete(qp.qpNum);
}

const PSN_MASK = 0xff_ffff;

/** What XRC ignores of a connection's attributes, by side. */
const XRC_IGNORED: ReadonlyMap<number, number> = new Map<number, number>([
  [QpType.XRC_INI, QpAttr.MAX_DEST_RD_ATOMIC | QpAttr.MIN_RNR_TIMER],
  [QpType.XRC_TGT, QpAttr.MAX_QP_RD_ATOMIC | QpAttr.RETRY_CNT | QpAttr.RNR_RETRY],
]);

/** The path checks of ib_uverbs_modify_qp and ib_modify_qp_with_udata, then the driver's. */
export function modifyQp(device: IbDevice, qp: QueuePair, mask: number, given: QpAttributes): void {
  const attributes = { ...given, rqPsn: given.rqPsn & PSN_MASK, sqPsn: given.sqPsn & PSN_MASK };
  checkPath(device, mask, attributes.dest);
  if ((mask & QpAttr.ALT_PATH) !== 0) {
    checkAlternatePath(device, attributes.altDest.portNum);
    checkPath(device, QpAttr.AV, attributes.altDest);
  }
  device.ops.modifyQp(qp, mask & ~(XRC_IGNORED.get(qp.type) ?? 0), attributes);
  if ((mask & QpAttr.PORT) !== 0) qp.port = attributes.portNum;
}

function checkAlternatePath(device: IbDevice, port: number): void {
  if (device.ops.queryPort(port).linkLayer === LinkLayer.ETHERNET) {
    throw new Errno('EINVAL', 'an Ethernet port has no alternate path');
  }
}

/** With a GRH the source GID must be there: EINVAL beyond the table, ENODATA for an empty entry. */
function checkPath(device: IbDevice, mask: number, dest: QpAttributes['dest']): void {
  if ((mask & QpAttr.AV) === 0 || dest.isGlobal === 0) return;
  const { gidTblLen } = device.ops.queryPort(dest.portNum);
  if (dest.sgidIndex >= gidTblLen) throw new Errno('EINVAL', `there are ${gidTblLen} GIDs`);
  if (device.ops.queryGid(dest.portNum, dest.sgidIndex) === undefined) {
    throw new Errno('ENODATA', `GID ${dest.sgidIndex} is empty`);
  }
}

const FIRST_MULTICAST_LID = 0xc000;
const PERMISSIVE_LID = 0xffff;

/** Only UD, only multicast GIDs and, on InfiniBand, multicast LIDs (ib_attach_mcast, is_valid_mcast_lid). */
export function attachMcast(device: IbDevice, qp: QueuePair, membership: MulticastMembership): void {
  if (findMembership(qp, membership) !== undefined) return;
  assertMulticast(device, qp, membership);
  device.ops.attachMcast(qp, membership);
  qp.multicast.push(membership);
}

export function detachMcast(device: IbDevice, qp: QueuePair, membership: MulticastMembership): void {
  const found = findMembership(qp, membership);
  if (found === undefined) throw new Errno('EINVAL', 'the QP is not attached to that group');
  // The list entry goes before the driver is asked, as in the kernel.
  qp.multicast.splice(qp.multicast.indexOf(found), 1);
  device.ops.detachMcast(qp, found);
}

/**
 * Leaves every group, for a file that is being closed (ib_uverbs_detach_umcast). What the driver says to it is not
 * asked: two memberships with one GID are one to the adapter, so the second is unknown to it.
 */
export function detachAllMcast(device: IbDevice, qp: QueuePair): void {
  for (const membership of qp.multicast.splice(0)) {
    try {
      device.ops.detachMcast(qp, membership);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
  }
}

function findMembership(qp: QueuePair, { gid, lid }: MulticastMembership): MulticastMembership | undefined {
  return qp.multicast.find((other) => other.lid === lid && Buffer.compare(other.gid, gid) === 0);
}

function assertMulticast(device: IbDevice, qp: QueuePair, { gid, lid }: MulticastMembership): void {
  if (qp.type !== QpType.UD) throw new Errno('EINVAL', 'only a UD QP joins multicast groups');
  if (gid[0] !== 0xff) throw new Errno('EINVAL', 'the GID is not a multicast GID');
  if (isEthernet(device, qp)) return;
  if (lid < FIRST_MULTICAST_LID || lid === PERMISSIVE_LID)
    throw new Errno('EINVAL', 'the LID is not a multicast LID');
}

/** Before INIT a QP has no port: then any Ethernet port counts. */
function isEthernet(device: IbDevice, qp: QueuePair): boolean {
  const ports = qp.state === QpState.RESET ? device.ports : [qp.port];
  return ports.some((port) => device.ops.queryPort(port).linkLayer === LinkLayer.ETHERNET);
}

export function deallocXrcd(xrcd: XrcDomain): void {
  destroy(xrcd, 'XRC domain', [], () => required(xrcd.device.ops.xrc).deallocXrcd(xrcd));
}

export function createWq(pd: ProtectionDomain, init: WorkQueueInit, udata: Udata): WorkQueue {
  const ops = required(pd.context.device.ops.rss);
  return create([pd, init.cq], () => ops.createWq(pd, init, udata));
}

export function destroyWq(wq: WorkQueue): void {
  destroy(wq, 'WQ', [wq.pd, wq.cq], () => required(wq.pd.context.device.ops.rss).destroyWq(wq));
}

export function createRwqIndTable(
  context: Ucontext,
  logSize: number,
  wqs: WorkQueue[],
  udata: Udata,
): RwqIndTable {
  const ops = required(context.device.ops.rss);
  return create(wqs, () => ops.createRwqIndTable(context, logSize, wqs, udata));
}

export function destroyRwqIndTable(table: RwqIndTable): void {
  destroy(table, 'indirection table', table.wqs, () =>
    required(table.context.device.ops.rss).destroyRwqIndTable(table),
  );
}

export function createFlow(device: IbDevice, qp: QueuePair, attributes: FlowAttributes): Flow {
  const ops = required(device.ops.flows);
  return create([qp], () => ops.createFlow(qp, attributes));
}

export function destroyFlow(device: IbDevice, flow: Flow): void {
  destroy(flow, 'flow', [flow.qp], () => required(device.ops.flows).destroyFlow(flow));
}

/** Operations whose commands are unknown without the capability. */
function required<T>(ops: T | undefined): T {
  if (ops === undefined) throw new Errno('EOPNOTSUPP', 'the device has no such objects');
  return ops;
}
