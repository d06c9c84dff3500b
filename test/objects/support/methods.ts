/** A good call of every ioctl method that is about objects. */
import * as abi from '../../../src/abi/index.js';
import { type Message, u32, zeroes } from '../../uverbs/support/messages.js';
import { attribute, type MethodCall, named, optional } from './attributes.js';
import { QpType, QUEUE, qpQueues, SrqType, USER_HANDLE, wqQueue } from './requests.js';
import type { Scene } from './scene.js';

const Obj = abi.uverbsDefaultObjects;

const Cq = abi.uverbsAttrsCreateCqCmdAttrIds;
export const cqCreate: MethodCall = {
  name: 'CQ CREATE',
  objectId: Obj.UVERBS_OBJECT_CQ,
  methodId: abi.uverbsMethodsCq.UVERBS_METHOD_CQ_CREATE,
  good: ({ channel, asyncFd }) => ({
    handle: attribute.made(Cq.UVERBS_ATTR_CREATE_CQ_HANDLE),
    respCqe: attribute.out(Cq.UVERBS_ATTR_CREATE_CQ_RESP_CQE, 4),
    cqe: attribute.in32(Cq.UVERBS_ATTR_CREATE_CQ_CQE, 100),
    userHandle: attribute.in64(Cq.UVERBS_ATTR_CREATE_CQ_USER_HANDLE, USER_HANDLE),
    channel: attribute.eventFd(Cq.UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, channel),
    compVector: attribute.in32(Cq.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, 1),
    eventFd: attribute.eventFd(Cq.UVERBS_ATTR_CREATE_CQ_EVENT_FD, asyncFd),
    flags: optional(attribute.flags(Cq.UVERBS_ATTR_CREATE_CQ_FLAGS, 0)),
    driverIn: attribute.driverIn(QUEUE),
    driverOut: attribute.driverOut(abi.mlx4IbCreateCqResp.size),
  }),
};
export const cqDestroy: MethodCall = {
  name: 'CQ DESTROY',
  objectId: Obj.UVERBS_OBJECT_CQ,
  methodId: abi.uverbsMethodsCq.UVERBS_METHOD_CQ_DESTROY,
  good: ({ spare }) => ({
    resp: attribute.out(abi.uverbsAttrsDestroyCqCmdAttrIds.UVERBS_ATTR_DESTROY_CQ_RESP, 8),
    handle: attribute.destroyed(abi.uverbsAttrsDestroyCqCmdAttrIds.UVERBS_ATTR_DESTROY_CQ_HANDLE, spare.cq),
  }),
};

const Qp = abi.uverbsAttrsCreateQpCmdAttrIds;
/** struct ib_uverbs_qp_cap. */
export const qpCap = ({ sendWr = 31, recvWr = 10, sendSge = 1, recvSge = 3, inline = 0 } = {}): Message =>
  u32(sendWr) + u32(recvWr) + u32(sendSge) + u32(recvSge) + u32(inline);
export const qpCreate: MethodCall = {
  name: 'QP CREATE',
  objectId: Obj.UVERBS_OBJECT_QP,
  methodId: abi.uverbsMethodsQp.UVERBS_METHOD_QP_CREATE,
  good: ({ pd, cq, recvCq, asyncFd }) => ({
    xrcd: optional(named(Qp.UVERBS_ATTR_CREATE_QP_XRCD_HANDLE, 'use', 0, undefined)),
    pd: optional(attribute.used(Qp.UVERBS_ATTR_CREATE_QP_PD_HANDLE, pd), 'ENOENT'),
    table: optional(named(Qp.UVERBS_ATTR_CREATE_QP_IND_TABLE_HANDLE, 'use', 0, undefined)),
    sendCq: optional(attribute.used(Qp.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, cq), 'ENOENT'),
    recvCq: optional(attribute.used(Qp.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, recvCq), 'ENOENT'),
    handle: attribute.made(Qp.UVERBS_ATTR_CREATE_QP_HANDLE),
    type: attribute.const(Qp.UVERBS_ATTR_CREATE_QP_TYPE, QpType.RC),
    userHandle: attribute.in64(Qp.UVERBS_ATTR_CREATE_QP_USER_HANDLE, USER_HANDLE),
    cap: { ...attribute.input(Qp.UVERBS_ATTR_CREATE_QP_CAP, qpCap()), zeroTail: true },
    eventFd: attribute.eventFd(Qp.UVERBS_ATTR_CREATE_QP_EVENT_FD, asyncFd),
    sourceQpn: optional(named(Qp.UVERBS_ATTR_CREATE_QP_SOURCE_QPN, 'in', 4, undefined)),
    flags: optional(attribute.flags(Qp.UVERBS_ATTR_CREATE_QP_FLAGS, 0)),
    srq: optional(named(Qp.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE, 'use', 0, undefined)),
    respCap: { ...attribute.out(Qp.UVERBS_ATTR_CREATE_QP_RESP_CAP, 20), roomy: true },
    qpNum: attribute.out(Qp.UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, 4),
    driverIn: attribute.driverIn(qpQueues()),
  }),
};
export const qpDestroy: MethodCall = {
  name: 'QP DESTROY',
  objectId: Obj.UVERBS_OBJECT_QP,
  methodId: abi.uverbsMethodsQp.UVERBS_METHOD_QP_DESTROY,
  good: ({ qp }) => ({
    resp: attribute.out(abi.uverbsAttrsDestroyQpCmdAttrIds.UVERBS_ATTR_DESTROY_QP_RESP, 4),
    handle: attribute.destroyed(abi.uverbsAttrsDestroyQpCmdAttrIds.UVERBS_ATTR_DESTROY_QP_HANDLE, qp),
  }),
};

const Srq = abi.uverbsAttrsCreateSrqCmdAttrIds;
/** An XRC SRQ, which has everything. */
export const srqCreate: MethodCall = {
  name: 'SRQ CREATE',
  objectId: Obj.UVERBS_OBJECT_SRQ,
  methodId: abi.uverbsMethodsSrq.UVERBS_METHOD_SRQ_CREATE,
  good: ({ pd, xrcd, cq, asyncFd }) => ({
    xrcd: optional(attribute.used(Srq.UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE, xrcd), 'ENOENT'),
    cq: optional(attribute.used(Srq.UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE, cq), 'ENOENT'),
    srqNum: optional(attribute.out(Srq.UVERBS_ATTR_CREATE_SRQ_RESP_SRQ_NUM, 4)),
    handle: attribute.made(Srq.UVERBS_ATTR_CREATE_SRQ_HANDLE),
    type: attribute.const(Srq.UVERBS_ATTR_CREATE_SRQ_TYPE, SrqType.XRC),
    userHandle: attribute.in64(Srq.UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, USER_HANDLE),
    pd: attribute.used(Srq.UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, pd),
    maxWr: attribute.in32(Srq.UVERBS_ATTR_CREATE_SRQ_MAX_WR, 20),
    maxSge: attribute.in32(Srq.UVERBS_ATTR_CREATE_SRQ_MAX_SGE, 2),
    limit: attribute.in32(Srq.UVERBS_ATTR_CREATE_SRQ_LIMIT, 5),
    maxNumTags: optional(attribute.in32(Srq.UVERBS_ATTR_CREATE_SRQ_MAX_NUM_TAGS, 0)),
    eventFd: attribute.eventFd(Srq.UVERBS_ATTR_CREATE_SRQ_EVENT_FD, asyncFd),
    respMaxWr: attribute.out(Srq.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, 4),
    respMaxSge: attribute.out(Srq.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, 4),
    driverIn: attribute.driverIn(QUEUE),
    driverOut: attribute.driverOut(abi.mlx4IbCreateSrqResp.size),
  }),
};
export const srqDestroy: MethodCall = {
  name: 'SRQ DESTROY',
  objectId: Obj.UVERBS_OBJECT_SRQ,
  methodId: abi.uverbsMethodsSrq.UVERBS_METHOD_SRQ_DESTROY,
  good: ({ srq }) => ({
    resp: attribute.out(abi.uverbsAttrsDestroySrqCmdAttrIds.UVERBS_ATTR_DESTROY_SRQ_RESP, 4),
    handle: attribute.destroyed(abi.uverbsAttrsDestroySrqCmdAttrIds.UVERBS_ATTR_DESTROY_SRQ_HANDLE, srq),
  }),
};

const Wq = abi.uverbsAttrsCreateWqCmdAttrIds;
export const wqCreate: MethodCall = {
  name: 'WQ CREATE',
  objectId: Obj.UVERBS_OBJECT_WQ,
  methodId: abi.uverbsMethodsWq.UVERBS_METHOD_WQ_CREATE,
  good: ({ pd, cq, asyncFd }) => ({
    handle: attribute.made(Wq.UVERBS_ATTR_CREATE_WQ_HANDLE),
    userHandle: attribute.in64(Wq.UVERBS_ATTR_CREATE_WQ_USER_HANDLE, USER_HANDLE),
    pd: attribute.used(Wq.UVERBS_ATTR_CREATE_WQ_PD_HANDLE, pd),
    cq: optional(attribute.used(Wq.UVERBS_ATTR_CREATE_WQ_CQ_HANDLE, cq), 'ENOENT'),
    type: attribute.const(Wq.UVERBS_ATTR_CREATE_WQ_TYPE, 0),
    maxWr: attribute.in32(Wq.UVERBS_ATTR_CREATE_WQ_MAX_WR, 10),
    maxSge: attribute.in32(Wq.UVERBS_ATTR_CREATE_WQ_MAX_SGE, 2),
    eventFd: attribute.eventFd(Wq.UVERBS_ATTR_CREATE_WQ_EVENT_FD, asyncFd),
    flags: attribute.flags(Wq.UVERBS_ATTR_CREATE_WQ_FLAGS, 0),
    respMaxWr: attribute.out(Wq.UVERBS_ATTR_CREATE_WQ_RESP_MAX_WR, 4),
    respMaxSge: attribute.out(Wq.UVERBS_ATTR_CREATE_WQ_RESP_MAX_SGE, 4),
    wqNum: optional(attribute.out(Wq.UVERBS_ATTR_CREATE_WQ_RESP_WQ_NUM, 4)),
    driverIn: optional(attribute.driverIn(wqQueue()), 'EINVAL'),
  }),
};
export const wqDestroy: MethodCall = {
  name: 'WQ DESTROY',
  objectId: Obj.UVERBS_OBJECT_WQ,
  methodId: abi.uverbsMethodsWq.UVERBS_METHOD_WQ_DESTROY,
  good: ({ spare }) => ({
    resp: attribute.out(abi.uverbsAttrsDestroyWqCmdAttrIds.UVERBS_ATTR_DESTROY_WQ_RESP, 4),
    handle: attribute.destroyed(abi.uverbsAttrsDestroyWqCmdAttrIds.UVERBS_ATTR_DESTROY_WQ_HANDLE, spare.wq),
  }),
};

/** A method that only destroys. */
function destroyMethod(
  name: string,
  objectId: number,
  methodId: number,
  id: number,
  handle: (scene: Scene) => number,
): MethodCall {
  return { name, objectId, methodId, good: (scene) => ({ handle: attribute.destroyed(id, handle(scene)) }) };
}

export const pdDestroy = destroyMethod(
  'PD DESTROY',
  Obj.UVERBS_OBJECT_PD,
  abi.uverbsMethodsPd.UVERBS_METHOD_PD_DESTROY,
  abi.uverbsAttrsPdDestroyIds.UVERBS_ATTR_DESTROY_PD_HANDLE,
  ({ spare }) => spare.pd,
);
export const mrDestroy = destroyMethod(
  'MR DESTROY',
  Obj.UVERBS_OBJECT_MR,
  abi.uverbsMethodsMr.UVERBS_METHOD_MR_DESTROY,
  abi.uverbsAttrsMrDestroyIds.UVERBS_ATTR_DESTROY_MR_HANDLE,
  ({ mr }) => mr,
);
export const mwDestroy = destroyMethod(
  'MW DESTROY',
  Obj.UVERBS_OBJECT_MW,
  abi.uverbsMethodsMw.UVERBS_METHOD_MW_DESTROY,
  abi.uverbsAttrsMwDestroyIds.UVERBS_ATTR_DESTROY_MW_HANDLE,
  ({ mw }) => mw,
);
export const xrcdDestroy = destroyMethod(
  'XRCD DESTROY',
  Obj.UVERBS_OBJECT_XRCD,
  abi.uverbsMethodsXrcd.UVERBS_METHOD_XRCD_DESTROY,
  abi.uverbsAttrsXrcdDestroyIds.UVERBS_ATTR_DESTROY_XRCD_HANDLE,
  ({ spare }) => spare.xrcd,
);
export const flowDestroy = destroyMethod(
  'FLOW DESTROY',
  Obj.UVERBS_OBJECT_FLOW,
  abi.uverbsMethodsFlow.UVERBS_METHOD_FLOW_DESTROY,
  abi.uverbsAttrsFlowDestroyIds.UVERBS_ATTR_DESTROY_FLOW_HANDLE,
  ({ flow }) => flow,
);
export const tableDestroy = destroyMethod(
  'RWQ_IND_TBL DESTROY',
  Obj.UVERBS_OBJECT_RWQ_IND_TBL,
  abi.uverbsMethodsRwqIndTbl.UVERBS_METHOD_RWQ_IND_TBL_DESTROY,
  abi.uverbsAttrsRwqIndTblDestroyIds.UVERBS_ATTR_DESTROY_RWQ_IND_TBL_HANDLE,
  ({ table }) => table,
);

const Query = abi.uverbsAttrsQueryMrCmdAttrIds;
export const mrQuery: MethodCall = {
  name: 'MR QUERY',
  objectId: Obj.UVERBS_OBJECT_MR,
  methodId: abi.uverbsMethodsMr.UVERBS_METHOD_QUERY_MR,
  good: ({ mr }) => ({
    handle: attribute.used(Query.UVERBS_ATTR_QUERY_MR_HANDLE, mr),
    lkey: attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LKEY, 4),
    rkey: attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_RKEY, 4),
    length: attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LENGTH, 8),
    iova: optional(attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_IOVA, 8)),
  }),
};

const Advise = abi.uverbsAttrsAdviseMrCmdAttrIds;
/** Parsed like any method, then unsupported by the driver. */
export const mrAdvise: MethodCall = {
  name: 'MR ADVISE',
  result: 'EOPNOTSUPP',
  objectId: Obj.UVERBS_OBJECT_MR,
  methodId: abi.uverbsMethodsMr.UVERBS_METHOD_ADVISE_MR,
  good: ({ pd }) => ({
    pd: attribute.used(Advise.UVERBS_ATTR_ADVISE_MR_PD_HANDLE, pd),
    advice: attribute.const(Advise.UVERBS_ATTR_ADVISE_MR_ADVICE, 0),
    flags: attribute.flags(Advise.UVERBS_ATTR_ADVISE_MR_FLAGS, 0),
    sges: { ...attribute.input(Advise.UVERBS_ATTR_ADVISE_MR_SGE_LIST, zeroes(16)), open: true },
  }),
};

const Dmabuf = abi.uverbsAttrsRegDmabufMrCmdAttrIds;
/** The same; a handle is reserved and given back. */
export const mrDmabuf: MethodCall = {
  name: 'MR REG_DMABUF',
  result: 'EOPNOTSUPP',
  objectId: Obj.UVERBS_OBJECT_MR,
  methodId: abi.uverbsMethodsMr.UVERBS_METHOD_REG_DMABUF_MR,
  good: ({ pd }) => ({
    handle: attribute.made(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_HANDLE),
    pd: attribute.used(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, pd),
    offset: attribute.in64(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 0n),
    length: attribute.in64(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, 4096n),
    iova: attribute.in64(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_IOVA, 0n),
    fd: attribute.in32(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_FD, 0),
    access: attribute.flags(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, 1),
    lkey: attribute.out(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, 4),
    rkey: attribute.out(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, 4),
  }),
};
