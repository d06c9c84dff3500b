/**
 * Changes of a QP's state and attributes (hw/mlx4/qp.c: _mlx4_ib_modify_qp, __mlx4_ib_modify_qp), with the checks in
 * their order. The core has looked at ports and source GIDs.
 */
import { Errno } from '../../devfs/errno.js';
import { EventType } from '../core/events.js';
import { QpAttr, type QpAttributes, QpState, QpType, type QueuePair } from '../core/objects.js';
import { isTransitionAllowed } from '../core/qp-transitions.js';
import type { Adapter } from './adapter.js';
import type { Mlx4Qp } from './qp.js';
import { bringUpWqs } from './qp-rss.js';
import { applyAttributes, resetAttributes } from './qp-state.js';

/** IB_QP_ATTR_STANDARD_BITS: what there was before rate limits. */
const STANDARD_ATTRIBUTES = (1 << 21) - 1;
const RSS_ATTRIBUTES = QpAttr.STATE | QpAttr.PORT;
/** enum ib_mtu: 256 to 4096 bytes. */
const MTU_256 = 1;
const MTU_4096 = 5;
/** They have an MTU of their own, whatever the client says. */
const TYPES_WITHOUT_MTU: readonly number[] = [QpType.UD, QpType.RAW_PACKET];

interface Change {
  mask: number;
  given: QpAttributes;
  from: QpState;
  to: QpState;
}

export function modifyQp(adapter: Adapter, queuePair: QueuePair, mask: number, given: QpAttributes): void {
  const qp = queuePair as Mlx4Qp;
  if ((mask & ~STANDARD_ATTRIBUTES) !== 0) {
    throw new Errno('EOPNOTSUPP', `QP attributes 0x${(mask & ~STANDARD_ATTRIBUTES).toString(16)}`);
  }
  const from = ((mask & QpAttr.CUR_STATE) !== 0 ? given.curQpState : qp.state) as QpState;
  const to = ((mask & QpAttr.STATE) !== 0 ? given.qpState : from) as QpState;
  const change = { mask, given, from, to };
  if (!isTransitionAllowed(qp.type, from, to, mask)) {
    throw invalid(`no transition from state ${from} to ${to} with attributes 0x${mask.toString(16)}`);
  }
  if (qp.rss !== undefined) assertRssChange(change);
  assertLimits(adapter, qp, change);
  if (from === QpState.RESET && to === QpState.RESET) return;
  assertPath(adapter, qp, change);
  // What the client believes to be the state has passed so far; the adapter knows better.
  if (from !== qp.state) throw invalid(`the QP is in state ${qp.state}, not ${from}`);
  if (qp.rss !== undefined && to === QpState.INIT) bringUpWqs(qp.rss, given.portNum);
  apply(qp, change);
}

function assertRssChange({ mask, from, to }: Change): void {
  const isKnown =
    (from === QpState.RESET && to === QpState.INIT) || (from === QpState.INIT && to === QpState.RTR);
  if (isKnown && (mask & ~RSS_ATTRIBUTES) === 0) return;
  throw new Errno(
    'EOPNOTSUPP',
    `an RSS QP from state ${from} to ${to} with attributes 0x${mask.toString(16)}`,
  );
}

function assertLimits(adapter: Adapter, qp: Mlx4Qp, { mask, given }: Change): void {
  const { limits, ports } = adapter;
  const has = (bit: number): boolean => (mask & bit) !== 0;
  if (has(QpAttr.PORT)) {
    const port = ports[given.portNum - 1];
    if (port === undefined) throw invalid(`there is no port ${given.portNum}`);
    if (qp.type === QpType.RAW_PACKET && !port.isEthernet) throw invalid('raw packets need an Ethernet port');
  }
  if (has(QpAttr.PKEY_INDEX)) {
    const port = has(QpAttr.PORT) ? given.portNum : qp.port;
    assertPkeyIndex(adapter, port, given.pkeyIndex);
  }
  if (has(QpAttr.MAX_QP_RD_ATOMIC) && given.maxRdAtomic > limits.maxQpInitRdAtom) {
    throw invalid(`max_rd_atomic ${given.maxRdAtomic} is above ${limits.maxQpInitRdAtom}`);
  }
  if (has(QpAttr.MAX_DEST_RD_ATOMIC) && given.maxDestRdAtomic > limits.maxQpRdAtom) {
    throw invalid(`max_dest_rd_atomic ${given.maxDestRdAtomic} is above ${limits.maxQpRdAtom}`);
  }
}

function assertPkeyIndex({ ports, limits }: Adapter, port: number, index: number): void {
  if (ports[port - 1] === undefined || index >= limits.pkeyTableLength) {
    throw invalid(`there is no P_Key ${index} on port ${port}`);
  }
}

function assertPath(adapter: Adapter, qp: Mlx4Qp, { mask, given }: Change): void {
  const has = (bit: number): boolean => (mask & bit) !== 0;
  if (has(QpAttr.PATH_MTU) && !TYPES_WITHOUT_MTU.includes(qp.type)) {
    if (given.pathMtu < MTU_256 || given.pathMtu > MTU_4096) throw invalid(`a path MTU of ${given.pathMtu}`);
  }
  if (has(QpAttr.AV)) assertAddress(adapter, has(QpAttr.PORT) ? given.portNum : qp.port, given.dest);
  if (has(QpAttr.ALT_PATH)) {
    assertPkeyIndex(adapter, given.altPortNum, given.altPkeyIndex);
    assertAddress(adapter, given.altPortNum, given.altDest);
  }
}

function assertAddress({ ports, limits }: Adapter, port: number, path: QpAttributes['dest']): void {
  if (path.isGlobal === 0) {
    if (ports[port - 1]?.isEthernet) throw invalid('a path over Ethernet needs a GRH');
    return;
  }
  if (path.sgidIndex >= limits.gidTableLength) throw invalid(`there is no GID ${path.sgidIndex}`);
}

function apply(qp: Mlx4Qp, { mask, given, from, to }: Change): void {
  qp.state = to;
  if (to === QpState.RESET) {
    qp.attributes = resetAttributes();
    return;
  }
  qp.attributes = applyAttributes(qp.attributes, mask, given);
  if ((mask & QpAttr.PORT) !== 0) qp.port = given.portNum;
  // Nothing is under way in either queue.
  if (from === QpState.RTS && to === QpState.SQD && isNotified(mask, given)) qp.onEvent(EventType.SQ_DRAINED);
  if (from !== QpState.ERR && to === QpState.ERR && qp.init.srq !== undefined) {
    qp.onEvent(EventType.QP_LAST_WQE_REACHED);
  }
}

function isNotified(mask: number, { enSqdAsyncNotify }: QpAttributes): boolean {
  return (mask & QpAttr.EN_SQD_ASYNC_NOTIFY) !== 0 && enSqdAsyncNotify !== 0;
}

function invalid(why: string): Errno {
  return new Errno('EINVAL', why);
}
