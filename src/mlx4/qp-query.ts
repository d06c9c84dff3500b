/** What a QP answers about itself (hw/mlx4/qp.c, mlx4_ib_query_qp): what fits the fields of its hardware context. */
import { Errno } from '../../devfs/errno.js';
import { ibUverbsAccessFlags } from '../abi/index.js';
import type { QpCapabilitiesOut } from '../core/device-ops.js';
import { type QpAttributes, QpState, QpType, type QueuePair } from '../core/objects.js';
import type { Adapter } from './adapter.js';
import { powerOfTwoCeil } from './power-of-two.js';
import type { Mlx4Qp } from './qp.js';
import { resetAttributes } from './qp-state.js';

const MTU_4096 = 5;
const RAW_PACKET_MTU = 7;

/** Types with a path of their own. */
const CONNECTED: readonly number[] = [QpType.RC, QpType.UC, QpType.XRC_INI, QpType.XRC_TGT];

const A = ibUverbsAccessFlags;
const REMOTE_ACCESS =
  A.IB_UVERBS_ACCESS_REMOTE_READ | A.IB_UVERBS_ACCESS_REMOTE_WRITE | A.IB_UVERBS_ACCESS_REMOTE_ATOMIC;

export function queryQp(adapter: Adapter, queuePair: QueuePair): QpAttributes & QpCapabilitiesOut {
  const qp = queuePair as Mlx4Qp;
  if (qp.rss !== undefined) throw new Errno('EOPNOTSUPP', 'an RSS QP cannot be queried');
  const attributes = qp.state === QpState.RESET ? resetAttributes() : hardwareContext(adapter, qp);
  return {
    ...attributes,
    qpState: qp.state,
    curQpState: qp.state,
    // Only the client's library knows the send limits.
    maxSendWr: 0,
    maxSendSge: 0,
    maxInlineData: 0,
    maxRecvWr: qp.cap.maxRecvWr,
    maxRecvSge: qp.cap.maxRecvSge,
    sqDraining: 0,
    sqSigAll: qp.init.sqSigAll ? 1 : 0,
  };
}

function hardwareContext(adapter: Adapter, qp: Mlx4Qp): QpAttributes {
  const set = qp.attributes;
  return {
    ...set,
    ...pathsOf(adapter, qp),
    pathMtu: mtuOf(qp),
    pathMigState: set.pathMigState & 3,
    destQpNum: set.destQpNum & 0xff_ffff,
    qpAccessFlags: accessOf(set),
    pkeyIndex: set.pkeyIndex & 0x7f,
    portNum: qp.port,
    enSqdAsyncNotify: 0,
    // Kept as a power of two, and none as one.
    maxRdAtomic: powerOfTwoCeil(set.maxRdAtomic),
    maxDestRdAtomic: powerOfTwoCeil(set.maxDestRdAtomic),
    minRnrTimer: set.minRnrTimer & 0x1f,
    timeout: set.timeout & 0x1f,
    retryCnt: set.retryCnt & 7,
    rnrRetry: set.rnrRetry & 7,
    altTimeout: set.altTimeout & 0x1f,
  };
}

function mtuOf({ type, attributes }: Mlx4Qp): number {
  if (type === QpType.UD) return MTU_4096;
  return type === QpType.RAW_PACKET ? RAW_PACKET_MTU : attributes.pathMtu;
}

/** Without responder resources only writes are allowed. */
function accessOf({ qpAccessFlags, maxDestRdAtomic }: QpAttributes): number {
  return qpAccessFlags & (maxDestRdAtomic === 0 ? A.IB_UVERBS_ACCESS_REMOTE_WRITE : REMOTE_ACCESS);
}

function pathsOf(
  adapter: Adapter,
  { type, attributes }: Mlx4Qp,
): Pick<QpAttributes, 'dest' | 'altDest' | 'altPortNum' | 'altPkeyIndex'> {
  if (!CONNECTED.includes(type)) {
    const { dest, altDest } = resetAttributes();
    return { dest, altDest, altPortNum: 0, altPkeyIndex: 0 };
  }
  const altDest = pathOf(adapter, attributes.altDest);
  return {
    dest: pathOf(adapter, attributes.dest),
    altDest,
    altPortNum: altDest.portNum,
    altPkeyIndex: attributes.altPkeyIndex & 0x7f,
  };
}

/** A path that was never set reads as one over port 1. */
function pathOf(adapter: Adapter, path: QpAttributes['dest']): QpAttributes['dest'] {
  const isEthernet = adapter.ports[path.portNum - 1]?.isEthernet ?? false;
  const route = path.isGlobal === 0 ? resetAttributes().dest : path;
  return {
    dgid: route.dgid,
    flowLabel: route.flowLabel & 0xf_ffff,
    sgidIndex: route.sgidIndex,
    hopLimit: route.hopLimit,
    trafficClass: route.trafficClass,
    dlid: path.dlid,
    reserved: 0,
    sl: path.sl & (isEthernet ? 7 : 0xf),
    srcPathBits: path.srcPathBits & 0x7f,
    staticRate: path.staticRate,
    isGlobal: path.isGlobal === 0 ? 0 : 1,
    portNum: path.portNum === 2 ? 2 : 1,
  };
}
