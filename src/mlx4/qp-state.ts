/** The attributes of a QP as the adapter keeps them, and which bit of a modify command sets which of them. */
import { QpAttr, type QpAttributes } from '../core/objects.js';

const noPath = (): QpAttributes['dest'] => ({
  dgid: new Uint8Array(16),
  flowLabel: 0,
  dlid: 0,
  reserved: 0,
  sgidIndex: 0,
  hopLimit: 0,
  trafficClass: 0,
  sl: 0,
  srcPathBits: 0,
  staticRate: 0,
  isGlobal: 0,
  portNum: 0,
});

/** Those of a QP in RESET. */
export function resetAttributes(): QpAttributes {
  return {
    dest: noPath(),
    altDest: noPath(),
    qkey: 0,
    rqPsn: 0,
    sqPsn: 0,
    destQpNum: 0,
    qpAccessFlags: 0,
    pkeyIndex: 0,
    altPkeyIndex: 0,
    qpState: 0,
    curQpState: 0,
    pathMtu: 0,
    pathMigState: 0,
    enSqdAsyncNotify: 0,
    maxRdAtomic: 0,
    maxDestRdAtomic: 0,
    minRnrTimer: 0,
    portNum: 0,
    timeout: 0,
    retryCnt: 0,
    rnrRetry: 0,
    altPortNum: 0,
    altTimeout: 0,
  };
}

const FIELDS: readonly [bit: number, fields: readonly (keyof QpAttributes)[]][] = [
  [QpAttr.ACCESS_FLAGS, ['qpAccessFlags']],
  [QpAttr.PKEY_INDEX, ['pkeyIndex']],
  [QpAttr.PORT, ['portNum']],
  [QpAttr.QKEY, ['qkey']],
  [QpAttr.AV, ['dest']],
  [QpAttr.PATH_MTU, ['pathMtu']],
  [QpAttr.TIMEOUT, ['timeout']],
  [QpAttr.RETRY_CNT, ['retryCnt']],
  [QpAttr.RNR_RETRY, ['rnrRetry']],
  [QpAttr.RQ_PSN, ['rqPsn']],
  [QpAttr.MAX_QP_RD_ATOMIC, ['maxRdAtomic']],
  [QpAttr.ALT_PATH, ['altDest', 'altPkeyIndex', 'altPortNum', 'altTimeout']],
  [QpAttr.MIN_RNR_TIMER, ['minRnrTimer']],
  [QpAttr.SQ_PSN, ['sqPsn']],
  [QpAttr.MAX_DEST_RD_ATOMIC, ['maxDestRdAtomic']],
  [QpAttr.PATH_MIG_STATE, ['pathMigState']],
  [QpAttr.DEST_QPN, ['destQpNum']],
];

/** `before`, with what the mask names taken from `given`. */
export function applyAttributes(before: QpAttributes, mask: number, given: QpAttributes): QpAttributes {
  const changed = FIELDS.filter(([bit]) => (mask & bit) !== 0).flatMap(([, fields]) => fields);
  return { ...before, ...Object.fromEntries(changed.map((field) => [field, given[field]])) };
}
