/** CREATE_QP over the write door, legacy and extended (core/uverbs_cmd.c, create_qp). */
import { Errno } from '../../../../devfs/index.js';
import type { IbUverbsExCreateQp } from '../../../abi/index.js';
import { QpCreateFlag, QpType, SrqType } from '../../../core/objects.js';
import { cqType } from '../../operations/cq.js';
import { pdType } from '../../operations/pd.js';
import { invalidUnlessFound, makeQp, type QpParents, qpType } from '../../operations/qp.js';
import { srqType } from '../../operations/srq.js';
import { indTableType } from '../../operations/wq.js';
import { xrcdType } from '../../operations/xrcd.js';
import type { Command } from '../command.js';

export type CreateQpRequest = Omit<IbUverbsExCreateQp, 'reserved'>;

/** IB_UVERBS_CREATE_QP_MASK_IND_TABLE. */
const MASK_IND_TABLE = 1;

const CREATABLE: readonly number[] = [
  QpType.RC,
  QpType.UC,
  QpType.UD,
  QpType.XRC_INI,
  QpType.XRC_TGT,
  QpType.RAW_PACKET,
  QpType.DRIVER,
];

const KNOWN_FLAGS =
  QpCreateFlag.BLOCK_MULTICAST_LOOPBACK |
  QpCreateFlag.SCATTER_FCS |
  QpCreateFlag.CVLAN_STRIPPING |
  QpCreateFlag.SOURCE_QPN |
  QpCreateFlag.PCI_WRITE_END_PADDING;

/** The answer, the same for both forms. */
export interface CreateQpResponse {
  qpHandle: number;
  qpn: number;
  maxSendWr: number;
  maxRecvWr: number;
  maxSendSge: number;
  maxRecvSge: number;
  maxInlineData: number;
}

export function createQpByWrite(command: Command, request: CreateQpRequest): CreateQpResponse {
  const { qpType: type, createFlags } = request;
  if (type === QpType.RAW_PACKET && !command.hasCapability('CAP_NET_RAW')) {
    throw new Errno('EPERM', 'a raw packet QP needs CAP_NET_RAW');
  }
  if (!CREATABLE.includes(type)) throw new Errno('EINVAL', `clients cannot make a QP of type ${type}`);
  const uobject = command.create(qpType);
  const parents = findParents(command, request);
  if ((createFlags & ~KNOWN_FLAGS) !== 0) throw new Errno('EINVAL', 'unknown create_flags');
  if ((createFlags & QpCreateFlag.SOURCE_QPN) !== 0 && !command.hasCapability('CAP_NET_RAW')) {
    throw new Errno('EPERM', 'choosing the source QPN needs CAP_NET_RAW');
  }
  const hasReceiveQueue = type !== QpType.XRC_INI && type !== QpType.XRC_TGT;
  const cap = {
    maxSendWr: request.maxSendWr,
    maxRecvWr: hasReceiveQueue ? request.maxRecvWr : 0,
    maxSendSge: request.maxSendSge,
    maxRecvSge: hasReceiveQueue ? request.maxRecvSge : 0,
    maxInlineData: request.maxInlineData,
  };
  const parameters = {
    type,
    cap,
    sqSigAll: request.sqSigAll !== 0,
    createFlags,
    userHandle: request.userHandle,
  };
  const qp = makeQp(command, uobject, parameters, parents);
  return { qpHandle: uobject.handle, qpn: qp.qpNum, ...qp.cap };
}

function findParents(command: Command, request: CreateQpRequest): QpParents {
  const parents: QpParents = {
    pd: undefined,
    xrcd: undefined,
    sendCq: undefined,
    recvCq: undefined,
    srq: undefined,
    indTable: undefined,
    eventFile: undefined,
  };
  const withTable = (request.compMask & MASK_IND_TABLE) !== 0;
  if (withTable) parents.indTable = command.lookup(indTableType, request.rwqIndTblHandle);
  if (withTable && (request.maxRecvWr !== 0 || request.maxRecvSge !== 0 || request.isSrq !== 0)) {
    throw new Errno('EINVAL', 'a QP with an indirection table has no receive queue of its own');
  }
  if (request.qpType === QpType.XRC_TGT) {
    parents.xrcd = invalidUnlessFound(() => command.lookup(xrcdType, request.pdHandle));
    return parents;
  }
  const receives = request.qpType !== QpType.XRC_INI;
  if (receives && request.isSrq !== 0) {
    parents.srq = command.lookup(srqType, request.srqHandle);
    if (parents.srq.srq.type === SrqType.XRC)
      throw new Errno('EINVAL', 'an XRC SRQ cannot be attached to a QP');
  }
  if (receives && !withTable && request.recvCqHandle !== request.sendCqHandle) {
    parents.recvCq = command.lookup(cqType, request.recvCqHandle);
  }
  const sends = !withTable || request.maxSendWr !== 0;
  if (sends) parents.sendCq = command.lookup(cqType, request.sendCqHandle);
  if (receives && !withTable) parents.recvCq ??= parents.sendCq;
  parents.pd = command.lookup(pdType, request.pdHandle);
  return parents;
}
