/** Methods of queue pairs (core/uverbs_std_types_qp.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import { type QpCapabilities, QpCreateFlag, QpType, SrqType } from '../../../core/objects.js';
import { AsyncEventFile } from '../../events/async-event-file.js';
import { cqType } from '../../operations/cq.js';
import { pdType } from '../../operations/pd.js';
import { makeQp, type QpParents, qpType } from '../../operations/qp.js';
import { srqType } from '../../operations/srq.js';
import { indTableType } from '../../operations/wq.js';
import { xrcdType } from '../../operations/xrcd.js';
import { attribute, type Method, method } from '../method.js';
import type { MethodCall } from '../method-call.js';

const Create = abi.uverbsAttrsCreateQpCmdAttrIds;
const Destroy = abi.uverbsAttrsDestroyQpCmdAttrIds;

/** IB_UVERBS_QP_CREATE_SQ_SIG_ALL, which only this door has among the flags. */
const SQ_SIG_ALL = 1 << 12;
const RAW_PACKET_FLAGS = QpCreateFlag.SCATTER_FCS | QpCreateFlag.CVLAN_STRIPPING;
const CREATE_FLAGS =
  QpCreateFlag.BLOCK_MULTICAST_LOOPBACK | RAW_PACKET_FLAGS | QpCreateFlag.PCI_WRITE_END_PADDING | SQ_SIG_ALL;

const WITH_PD: readonly number[] = [
  QpType.RC,
  QpType.UC,
  QpType.UD,
  QpType.XRC_INI,
  QpType.RAW_PACKET,
  QpType.DRIVER,
];

/** Which of the attributes that name objects a type takes, and the objects. */
function findParents(call: MethodCall, type: number, cap: QpCapabilities): QpParents {
  const parents: QpParents = {
    pd: undefined,
    xrcd: undefined,
    sendCq: undefined,
    recvCq: undefined,
    srq: undefined,
    indTable: undefined,
    eventFile: call.eventFileOf<AsyncEventFile>(Create.UVERBS_ATTR_CREATE_QP_EVENT_FD),
  };
  const hasAny = (...ids: number[]): boolean => ids.some((id) => call.has(id));
  if (type === QpType.XRC_TGT) {
    const excluded = hasAny(
      Create.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE,
      Create.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE,
      Create.UVERBS_ATTR_CREATE_QP_PD_HANDLE,
      Create.UVERBS_ATTR_CREATE_QP_IND_TABLE_HANDLE,
    );
    if (excluded) throw new Errno('EINVAL', 'an XRC target has no PD and no CQ');
    parents.xrcd = call.object(Create.UVERBS_ATTR_CREATE_QP_XRCD_HANDLE, xrcdType);
    return parents;
  }
  if (type === QpType.RAW_PACKET && !call.hasCapability('CAP_NET_RAW')) {
    throw new Errno('EPERM', 'a raw packet QP needs CAP_NET_RAW');
  }
  if (!WITH_PD.includes(type)) throw new Errno('EINVAL', `clients cannot make a QP of type ${type}`);
  const noSrq = type === QpType.XRC_INI && call.has(Create.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE);
  if (call.has(Create.UVERBS_ATTR_CREATE_QP_XRCD_HANDLE) || noSrq) {
    throw new Errno('EINVAL', 'the type of QP does not go with that object');
  }
  parents.pd = call.object(Create.UVERBS_ATTR_CREATE_QP_PD_HANDLE, pdType);
  parents.indTable = call.optionalObject(Create.UVERBS_ATTR_CREATE_QP_IND_TABLE_HANDLE, indTableType);
  if (parents.indTable === undefined) {
    parents.sendCq = call.object(Create.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, cqType);
    if (type !== QpType.XRC_INI) {
      parents.recvCq = call.object(Create.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, cqType);
    }
    return parents;
  }
  const receives = hasAny(
    Create.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE,
    Create.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE,
  );
  if (cap.maxRecvWr !== 0 || cap.maxRecvSge !== 0 || receives) {
    throw new Errno('EINVAL', 'a QP with an indirection table has no receive queue of its own');
  }
  if (cap.maxSendWr !== 0) parents.sendCq = call.object(Create.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, cqType);
  return parents;
}

/** check_creation_flags. */
function checkFlags(type: number, flags: number): void {
  if (flags === 0 || type === QpType.DRIVER) return;
  if (type !== QpType.RAW_PACKET && type !== QpType.UD)
    throw new Errno('EINVAL', 'flags are for UD and raw QPs');
  if ((flags & RAW_PACKET_FLAGS) !== 0 && type !== QpType.RAW_PACKET) {
    throw new Errno('EINVAL', 'these flags are for raw packet QPs');
  }
}

function createQp(call: MethodCall): void {
  const cap = abi.ibUverbsQpCap.read(call.bytesIn(Create.UVERBS_ATTR_CREATE_QP_CAP), 0);
  const userHandle = call.u64In(Create.UVERBS_ATTR_CREATE_QP_USER_HANDLE);
  const type = call.number(Create.UVERBS_ATTR_CREATE_QP_TYPE);
  const parents = findParents(call, type, cap);
  const flags = call.flags(Create.UVERBS_ATTR_CREATE_QP_FLAGS);
  let createFlags = flags & ~SQ_SIG_ALL;
  checkFlags(type, createFlags);
  if (call.has(Create.UVERBS_ATTR_CREATE_QP_SOURCE_QPN)) createFlags |= QpCreateFlag.SOURCE_QPN;
  parents.srq = call.optionalObject(Create.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE, srqType);
  if (parents.srq !== undefined && (parents.srq.srq.type === SrqType.XRC) !== (type === QpType.XRC_TGT)) {
    throw new Errno('EINVAL', 'an XRC SRQ goes with an XRC target only');
  }
  const qp = makeQp(
    call,
    call.uobject(Create.UVERBS_ATTR_CREATE_QP_HANDLE, qpType),
    { type, cap, sqSigAll: (flags & SQ_SIG_ALL) !== 0, createFlags, userHandle },
    parents,
  );
  call.structOut(Create.UVERBS_ATTR_CREATE_QP_RESP_CAP, abi.ibUverbsQpCap, qp.cap);
  call.u32Out(Create.UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, qp.qpNum);
}

export const qpMethods: readonly Method[] = [
  method(
    qpType.id,
    abi.uverbsMethodsQp.UVERBS_METHOD_QP_CREATE,
    'QP create',
    {
      attributes: [
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_HANDLE, 'new', qpType),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_XRCD_HANDLE, 'use', xrcdType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_PD_HANDLE, 'use', pdType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE, 'use', srqType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, 'use', cqType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, 'use', cqType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_QP_IND_TABLE_HANDLE, 'use', indTableType, false),
        attribute.in(Create.UVERBS_ATTR_CREATE_QP_USER_HANDLE, 8),
        attribute.inStruct(Create.UVERBS_ATTR_CREATE_QP_CAP, abi.ibUverbsQpCap.size),
        attribute.u32(Create.UVERBS_ATTR_CREATE_QP_TYPE),
        attribute.flags(Create.UVERBS_ATTR_CREATE_QP_FLAGS, CREATE_FLAGS, false),
        attribute.in(Create.UVERBS_ATTR_CREATE_QP_SOURCE_QPN, 4, false),
        attribute.eventFile(Create.UVERBS_ATTR_CREATE_QP_EVENT_FD, AsyncEventFile),
        attribute.outMin(Create.UVERBS_ATTR_CREATE_QP_RESP_CAP, abi.ibUverbsQpCap.size, true),
        attribute.out(Create.UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, 4),
      ],
      uhw: true,
    },
    createQp,
  ),
  method(
    qpType.id,
    abi.uverbsMethodsQp.UVERBS_METHOD_QP_DESTROY,
    'QP destroy',
    {
      attributes: [
        attribute.handle(Destroy.UVERBS_ATTR_DESTROY_QP_HANDLE, 'destroy', qpType),
        attribute.out(Destroy.UVERBS_ATTR_DESTROY_QP_RESP, abi.ibUverbsDestroyQpResp.size),
      ],
    },
    (call) => {
      const { events } = call.object(Destroy.UVERBS_ATTR_DESTROY_QP_HANDLE, qpType);
      call.u32Out(Destroy.UVERBS_ATTR_DESTROY_QP_RESP, events.reported);
    },
  ),
];
