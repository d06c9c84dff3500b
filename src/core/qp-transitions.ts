/**
 * The state machine of a queue pair (core/verbs.c, qp_state_table and ib_modify_qp_is_ok): which transitions there
 * are, and which attributes each takes by type of QP.
 */
import { QpAttr, QpState, QpType } from './objects.js';

type TypeName = 'RC' | 'UC' | 'UD' | 'XI' | 'XT' | 'RAW';

const TYPE_NAMES: ReadonlyMap<number, TypeName> = new Map([
  [QpType.RC, 'RC'],
  [QpType.UC, 'UC'],
  [QpType.UD, 'UD'],
  [QpType.XRC_INI, 'XI'],
  [QpType.XRC_TGT, 'XT'],
  [QpType.RAW_PACKET, 'RAW'],
]);

/** Attributes beside the state; a type that is not named takes none. */
type Masks = Partial<Record<TypeName, number>>;

interface Transition {
  required?: Masks;
  optional?: Masks;
}

const A = QpAttr;

const CONNECTED_INIT = A.PKEY_INDEX | A.PORT | A.ACCESS_FLAGS;
const DATAGRAM_INIT = A.PKEY_INDEX | A.PORT | A.QKEY;
const INIT_SETS = {
  RC: CONNECTED_INIT,
  UC: CONNECTED_INIT,
  XI: CONNECTED_INIT,
  XT: CONNECTED_INIT,
  UD: DATAGRAM_INIT,
};
const PATH = A.AV | A.PATH_MTU | A.DEST_QPN | A.RQ_PSN;
const RESPONDER_PATH = PATH | A.MAX_DEST_RD_ATOMIC | A.MIN_RNR_TIMER;
const RTR_OPTIONAL = A.ALT_PATH | A.ACCESS_FLAGS | A.PKEY_INDEX;
const REQUESTER = A.TIMEOUT | A.RETRY_CNT | A.RNR_RETRY | A.SQ_PSN | A.MAX_QP_RD_ATOMIC;
const RTS_OPTIONAL = A.CUR_STATE | A.ALT_PATH | A.ACCESS_FLAGS | A.PATH_MIG_STATE;
const SQD_PATH = A.AV | A.ALT_PATH | A.ACCESS_FLAGS | A.PKEY_INDEX | A.PATH_MIG_STATE;
const SQD_REQUESTER = SQD_PATH | A.PORT | A.TIMEOUT | A.RETRY_CNT | A.RNR_RETRY | A.MAX_QP_RD_ATOMIC;

const S = QpState;
const key = (from: QpState, to: QpState): number => from * 8 + to;

const toRtsAgain: Transition = {
  optional: {
    RC: RTS_OPTIONAL | A.MIN_RNR_TIMER,
    XT: RTS_OPTIONAL | A.MIN_RNR_TIMER,
    UC: RTS_OPTIONAL,
    XI: RTS_OPTIONAL,
    UD: A.CUR_STATE | A.QKEY,
    RAW: A.RATE_LIMIT,
  },
};

const drain: Transition = {
  optional: {
    RC: A.EN_SQD_ASYNC_NOTIFY,
    UC: A.EN_SQD_ASYNC_NOTIFY,
    UD: A.EN_SQD_ASYNC_NOTIFY,
    XI: A.EN_SQD_ASYNC_NOTIFY,
    XT: A.EN_SQD_ASYNC_NOTIFY,
  },
};

/** Every transition but those to RESET and ERR, which take no attributes. */
const TRANSITIONS: ReadonlyMap<number, Transition> = new Map([
  [key(S.RESET, S.INIT), { required: { ...INIT_SETS, RAW: A.PORT } }],
  [key(S.INIT, S.INIT), { optional: INIT_SETS }],
  [
    key(S.INIT, S.RTR),
    {
      required: { RC: RESPONDER_PATH, XT: RESPONDER_PATH, UC: PATH, XI: PATH },
      optional: {
        RC: RTR_OPTIONAL,
        XT: RTR_OPTIONAL,
        UC: RTR_OPTIONAL,
        XI: RTR_OPTIONAL,
        UD: A.PKEY_INDEX | A.QKEY,
      },
    },
  ],
  [
    key(S.RTR, S.RTS),
    {
      required: {
        RC: REQUESTER,
        XI: REQUESTER,
        XT: A.TIMEOUT | A.SQ_PSN,
        UC: A.SQ_PSN,
        UD: A.SQ_PSN,
      },
      optional: {
        RC: RTS_OPTIONAL | A.MIN_RNR_TIMER,
        XI: RTS_OPTIONAL,
        XT: RTS_OPTIONAL | A.MIN_RNR_TIMER,
        UC: RTS_OPTIONAL,
        UD: A.CUR_STATE | A.QKEY,
        RAW: A.RATE_LIMIT,
      },
    },
  ],
  [key(S.RTS, S.RTS), toRtsAgain],
  [key(S.RTS, S.SQD), drain],
  [
    key(S.SQD, S.RTS),
    {
      optional: {
        RC: RTS_OPTIONAL | A.MIN_RNR_TIMER,
        XT: RTS_OPTIONAL | A.MIN_RNR_TIMER,
        UC: RTS_OPTIONAL,
        XI: RTS_OPTIONAL,
        UD: A.CUR_STATE | A.QKEY,
      },
    },
  ],
  [
    key(S.SQD, S.SQD),
    {
      optional: {
        RC: SQD_REQUESTER | A.MAX_DEST_RD_ATOMIC | A.MIN_RNR_TIMER,
        XI: SQD_REQUESTER,
        XT: SQD_PATH | A.PORT | A.TIMEOUT | A.MAX_DEST_RD_ATOMIC | A.MIN_RNR_TIMER,
        UC: SQD_PATH,
        UD: A.PKEY_INDEX | A.QKEY,
      },
    },
  ],
  [key(S.SQE, S.RTS), { optional: { UD: A.CUR_STATE | A.QKEY, UC: A.CUR_STATE | A.ACCESS_FLAGS } }],
]);

function transition(from: QpState, to: QpState): Transition | undefined {
  if (to === S.RESET) return {};
  if (to === S.ERR) return from === S.RESET ? undefined : {};
  return TRANSITIONS.get(key(from, to));
}

/** States in which a client may tell the driver which one it believes the QP to be in. */
const CUR_STATE_ALLOWED: readonly QpState[] = [S.RTR, S.RTS, S.SQD, S.SQE];

/** Whether a QP of this type may go from one state to the other with exactly these attributes. */
export function isTransitionAllowed(type: number, from: QpState, to: QpState, attrMask: number): boolean {
  if ((attrMask & A.CUR_STATE) !== 0 && !CUR_STATE_ALLOWED.includes(from)) return false;
  const found = transition(from, to);
  if (found === undefined) return false;
  const name = TYPE_NAMES.get(type);
  const required = (name && found.required?.[name]) ?? 0;
  const optional = (name && found.optional?.[name]) ?? 0;
  if ((attrMask & required) !== required) return false;
  return (attrMask & ~(required | optional | A.STATE)) === 0;
}
