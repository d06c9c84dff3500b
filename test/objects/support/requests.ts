/**
 * A good request of every write command that is about objects, and what a test may change about it. Buffers lie in the
 * client's scratch memory; several objects may share them, as no work is posted.
 */
import * as abi from '../../../src/abi/index.js';
import { extended, legacy, type Message, u32, u64, zeroes } from '../../uverbs/support/messages.js';
import { type Build, builder } from './builder.js';
import type { Scene } from './scene.js';

const Cmd = abi.ibUverbsWriteCmds;
const Ex = abi.ibUserVerbsExCmd;

// Driver input: addresses of a queue's buffer and of its doorbell record

export const BUFFER = '@B';
export const DOORBELL = '@B+65536;';
/** `buf_addr`, `db_addr` of CREATE_CQ and CREATE_SRQ. */
export const QUEUE: Message = BUFFER + DOORBELL;
/** mlx4_ib_create_qp: a send queue of 64 entries of 64 bytes. */
export const qpQueues = ({
  buffer = BUFFER,
  doorbell = DOORBELL,
  logEntries = 6,
  logStride = 6,
  inlineReceive = 0,
} = {}): Message =>
  [buffer, doorbell, byte(logEntries), byte(logStride), '0000', u32(inlineReceive)].join('');
/** mlx4_ib_create_wq. */
export const wqQueue = ({
  buffer = BUFFER,
  doorbell = DOORBELL,
  logRange = 0,
  reserved = '000000',
  compMask = 0,
} = {}): Message => [buffer, doorbell, byte(logRange), reserved, u32(compMask)].join('');
/** mlx4_ib_create_qp_rss: Toeplitz over IPv4 addresses. */
export const rssHash = ({ fields = 3n, hash = 1, reserved = zeroes(7), compMask = 0 } = {}): Message =>
  [u64(fields), byte(hash), reserved, zeroes(40), u32(compMask), u32(0)].join('');

const byte = (value: number): Message => value.toString(16).padStart(2, '0');

export const QpType = { RC: 2, UC: 3, UD: 4, RAW_PACKET: 8, XRC_INI: 9, XRC_TGT: 10, DRIVER: 0xff } as const;
export const SrqType = { BASIC: 0, XRC: 1, TM: 2 } as const;

export const USER_HANDLE = 0x1122_3344_5566_7788n;

export const allocPd = builder(Cmd.IB_USER_VERBS_CMD_ALLOC_PD, {
  make: legacy,
  request: abi.ibUverbsAllocPd,
  good: () => ({}),
  response: abi.ibUverbsAllocPdResp,
  driverOut: abi.mlx4IbAllocPdResp.size,
});
export const deallocPd = builder(Cmd.IB_USER_VERBS_CMD_DEALLOC_PD, {
  make: legacy,
  request: abi.ibUverbsDeallocPd,
  good: ({ spare }) => ({ pdHandle: spare.pd }),
});

export const regMr = builder(Cmd.IB_USER_VERBS_CMD_REG_MR, {
  make: legacy,
  request: abi.ibUverbsRegMr,
  good: ({ memory, pd }) => ({
    start: memory,
    length: 8192n,
    hcaVa: memory,
    pdHandle: pd,
    accessFlags: 1,
  }),
  response: abi.ibUverbsRegMrResp,
});
export const reregMr = builder(Cmd.IB_USER_VERBS_CMD_REREG_MR, {
  make: legacy,
  request: abi.ibUverbsReregMr,
  good: ({ mr, memory, pd }) => ({
    mrHandle: mr,
    flags: 7,
    start: memory,
    length: 4096n,
    hcaVa: memory,
    pdHandle: pd,
    accessFlags: 1,
  }),
  response: abi.ibUverbsReregMrResp,
});
export const deregMr = builder(Cmd.IB_USER_VERBS_CMD_DEREG_MR, {
  make: legacy,
  request: abi.ibUverbsDeregMr,
  good: ({ mr }) => ({ mrHandle: mr }),
});
export const allocMw = builder(Cmd.IB_USER_VERBS_CMD_ALLOC_MW, {
  make: legacy,
  request: abi.ibUverbsAllocMw,
  good: ({ pd }) => ({ pdHandle: pd, mwType: 1 }),
  response: abi.ibUverbsAllocMwResp,
});
export const deallocMw = builder(Cmd.IB_USER_VERBS_CMD_DEALLOC_MW, {
  make: legacy,
  request: abi.ibUverbsDeallocMw,
  good: ({ mw }) => ({ mwHandle: mw }),
});

export const createCompChannel = builder(Cmd.IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL, {
  make: legacy,
  request: abi.ibUverbsCreateCompChannel,
  good: () => ({}),
  response: abi.ibUverbsCreateCompChannelResp,
});

export const createCq = builder(Cmd.IB_USER_VERBS_CMD_CREATE_CQ, {
  make: legacy,
  request: abi.ibUverbsCreateCq,
  good: ({ channel }) => ({ userHandle: USER_HANDLE, cqe: 100, compVector: 0, compChannel: channel }),
  response: abi.ibUverbsCreateCqResp,
  driverIn: QUEUE,
  driverOut: abi.mlx4IbCreateCqResp.size,
});
export const exCreateCq = builder(Ex.IB_USER_VERBS_EX_CMD_CREATE_CQ, {
  make: extended,
  request: abi.ibUverbsExCreateCq,
  good: ({ channel }) => ({
    userHandle: USER_HANDLE,
    cqe: 100,
    compVector: 1,
    compChannel: channel,
    compMask: 0,
    flags: 0,
  }),
  response: abi.ibUverbsExCreateCqResp,
  driverIn: QUEUE,
  driverOut: abi.mlx4IbCreateCqResp.size,
});
export const resizeCq = builder(Cmd.IB_USER_VERBS_CMD_RESIZE_CQ, {
  make: legacy,
  request: abi.ibUverbsResizeCq,
  good: ({ cq }) => ({ cqHandle: cq, cqe: 200 }),
  response: abi.ibUverbsResizeCqResp,
  driverIn: BUFFER,
});
export const modifyCq = builder(Ex.IB_USER_VERBS_EX_CMD_MODIFY_CQ, {
  make: extended,
  request: abi.ibUverbsExModifyCq,
  good: ({ cq }) => ({ cqHandle: cq, attrMask: 1, attr: { cqCount: 4, cqPeriod: 16 } }),
});
export const destroyCq = builder(Cmd.IB_USER_VERBS_CMD_DESTROY_CQ, {
  make: legacy,
  request: abi.ibUverbsDestroyCq,
  good: ({ spare }) => ({ cqHandle: spare.cq }),
  response: abi.ibUverbsDestroyCqResp,
});

/** Without a shared receive queue. */
const rcQp = ({ pd, cq, recvCq, srq }: Scene) => ({
  userHandle: USER_HANDLE,
  pdHandle: pd,
  sendCqHandle: cq,
  recvCqHandle: recvCq,
  srqHandle: srq,
  maxSendWr: 31,
  maxRecvWr: 10,
  maxSendSge: 1,
  maxRecvSge: 3,
  maxInlineData: 0,
  sqSigAll: 0,
  qpType: QpType.RC,
  isSrq: 0,
});

export const createQp = builder(Cmd.IB_USER_VERBS_CMD_CREATE_QP, {
  make: legacy,
  request: abi.ibUverbsCreateQp,
  good: rcQp,
  response: abi.ibUverbsCreateQpResp,
  driverIn: qpQueues(),
});
export const exCreateQp = builder(Ex.IB_USER_VERBS_EX_CMD_CREATE_QP, {
  make: extended,
  request: abi.ibUverbsExCreateQp,
  good: (scene) => ({
    ...rcQp(scene),
    reserved: 0,
    compMask: 0,
    createFlags: 0,
    rwqIndTblHandle: scene.table,
    sourceQpn: 0,
  }),
  response: abi.ibUverbsExCreateQpResp,
  driverIn: qpQueues(),
});
export const openQp = builder(Cmd.IB_USER_VERBS_CMD_OPEN_QP, {
  make: legacy,
  request: abi.ibUverbsOpenQp,
  good: ({ xrcd, targetQpn }) => ({
    userHandle: USER_HANDLE,
    pdHandle: xrcd,
    qpn: targetQpn,
    qpType: QpType.XRC_TGT,
  }),
  response: abi.ibUverbsCreateQpResp,
});
export const queryQp = builder(Cmd.IB_USER_VERBS_CMD_QUERY_QP, {
  make: legacy,
  request: abi.ibUverbsQueryQp,
  good: ({ qp }) => ({ qpHandle: qp, attrMask: 1 }),
  response: abi.ibUverbsQueryQpResp,
});
export const destroyQp = builder(Cmd.IB_USER_VERBS_CMD_DESTROY_QP, {
  make: legacy,
  request: abi.ibUverbsDestroyQp,
  good: ({ qp }) => ({ qpHandle: qp }),
  response: abi.ibUverbsDestroyQpResp,
});

export const QpMask = {
  STATE: 1 << 0,
  CUR: 1 << 1,
  EN_SQD: 1 << 2,
  ACC: 1 << 3,
  PKEY: 1 << 4,
  PORT: 1 << 5,
  QKEY: 1 << 6,
  AV: 1 << 7,
  MTU: 1 << 8,
  TMO: 1 << 9,
  RETRY: 1 << 10,
  RNR: 1 << 11,
  RQPSN: 1 << 12,
  MAXRD: 1 << 13,
  ALT: 1 << 14,
  MINRNR: 1 << 15,
  SQPSN: 1 << 16,
  MAXDRD: 1 << 17,
  MIG: 1 << 18,
  CAP: 1 << 19,
  DQPN: 1 << 20,
  RATE: 1 << 25,
} as const;

export const QpState = { RESET: 0, INIT: 1, RTR: 2, RTS: 3, SQD: 4, SQE: 5, ERR: 6 } as const;

/** An address on port 1, without a GRH. */
export const path = (change: Partial<abi.IbUverbsQpDest> = {}): abi.IbUverbsQpDest => ({
  dgid: new Uint8Array(16),
  flowLabel: 0,
  dlid: 5,
  reserved: 0,
  sgidIndex: 0,
  hopLimit: 0,
  trafficClass: 0,
  sl: 0,
  srcPathBits: 0,
  staticRate: 0,
  isGlobal: 0,
  portNum: 1,
  ...change,
});

/** Values that are good for every attribute; `attrMask` says which of them count. */
export const QP_ATTRIBUTES = {
  dest: path(),
  altDest: path(),
  attrMask: 0,
  qkey: 0x1234,
  rqPsn: 77,
  sqPsn: 88,
  destQpNum: 0x99,
  qpAccessFlags: 7,
  pkeyIndex: 0,
  altPkeyIndex: 0,
  qpState: 0,
  curQpState: 0,
  pathMtu: 3,
  pathMigState: 0,
  enSqdAsyncNotify: 0,
  maxRdAtomic: 4,
  maxDestRdAtomic: 4,
  minRnrTimer: 12,
  portNum: 1,
  timeout: 14,
  retryCnt: 7,
  rnrRetry: 6,
  altPortNum: 1,
  altTimeout: 14,
};

/** RESET to INIT of an RC QP. */
export const modifyQp = builder(Cmd.IB_USER_VERBS_CMD_MODIFY_QP, {
  make: legacy,
  request: abi.ibUverbsModifyQp,
  good: ({ qp }) => ({
    ...QP_ATTRIBUTES,
    qpHandle: qp,
    attrMask: QpMask.STATE | QpMask.PKEY | QpMask.PORT | QpMask.ACC,
    qpState: QpState.INIT,
  }),
});
const exModify = builder(Ex.IB_USER_VERBS_EX_CMD_MODIFY_QP, {
  make: extended,
  request: abi.ibUverbsExModifyQp,
  good: ({ qp }) => ({
    base: {
      ...QP_ATTRIBUTES,
      qpHandle: qp,
      attrMask: QpMask.STATE | QpMask.PKEY | QpMask.PORT | QpMask.ACC,
      qpState: QpState.INIT,
    },
    rateLimit: 0,
    reserved: 0,
  }),
  response: abi.ibUverbsExModifyQpResp,
});
/** The fields of the legacy command, in the extended one. */
export const exModifyQp: Build<Partial<Omit<abi.IbUverbsModifyQpInit, never>>> = (scene, change = {}) => {
  const { tail, driverIn, driverOut, coreOut, ...fields } = change;
  const rest = Object.fromEntries(
    Object.entries({ tail, driverIn, driverOut, coreOut }).filter(([, value]) => value !== undefined),
  );
  const base = {
    ...QP_ATTRIBUTES,
    qpHandle: scene.qp,
    attrMask: QpMask.STATE | QpMask.PKEY | QpMask.PORT | QpMask.ACC,
    qpState: QpState.INIT,
    ...fields,
  };
  return exModify(scene, { base, ...rest });
};

export const MGID = Uint8Array.of(0xff, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
export const attachMcast = builder(Cmd.IB_USER_VERBS_CMD_ATTACH_MCAST, {
  make: legacy,
  request: abi.ibUverbsAttachMcast,
  good: ({ ud }) => ({ gid: MGID, qpHandle: ud, mlid: 0xc001 }),
});
export const detachMcast = builder(Cmd.IB_USER_VERBS_CMD_DETACH_MCAST, {
  make: legacy,
  request: abi.ibUverbsDetachMcast,
  good: ({ ud }) => ({ gid: MGID, qpHandle: ud, mlid: 0xc001 }),
});

export const createSrq = builder(Cmd.IB_USER_VERBS_CMD_CREATE_SRQ, {
  make: legacy,
  request: abi.ibUverbsCreateSrq,
  good: ({ pd }) => ({ userHandle: USER_HANDLE, pdHandle: pd, maxWr: 20, maxSge: 2, srqLimit: 5 }),
  response: abi.ibUverbsCreateSrqResp,
  driverIn: QUEUE,
  driverOut: abi.mlx4IbCreateSrqResp.size,
});
export const createXsrq = builder(Cmd.IB_USER_VERBS_CMD_CREATE_XSRQ, {
  make: legacy,
  request: abi.ibUverbsCreateXsrq,
  good: ({ pd, xrcd, cq }) => ({
    userHandle: USER_HANDLE,
    srqType: SrqType.XRC,
    pdHandle: pd,
    maxWr: 20,
    maxSge: 2,
    srqLimit: 0,
    maxNumTags: 0,
    xrcdHandle: xrcd,
    cqHandle: cq,
  }),
  response: abi.ibUverbsCreateSrqResp,
  driverIn: QUEUE,
  driverOut: abi.mlx4IbCreateSrqResp.size,
});
export const modifySrq = builder(Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ, {
  make: legacy,
  request: abi.ibUverbsModifySrq,
  good: ({ srq }) => ({ srqHandle: srq, attrMask: 2, maxWr: 0, srqLimit: 7 }),
});
export const querySrq = builder(Cmd.IB_USER_VERBS_CMD_QUERY_SRQ, {
  make: legacy,
  request: abi.ibUverbsQuerySrq,
  good: ({ srq }) => ({ srqHandle: srq }),
  response: abi.ibUverbsQuerySrqResp,
});
export const destroySrq = builder(Cmd.IB_USER_VERBS_CMD_DESTROY_SRQ, {
  make: legacy,
  request: abi.ibUverbsDestroySrq,
  good: ({ srq }) => ({ srqHandle: srq }),
  response: abi.ibUverbsDestroySrqResp,
});

export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
/** A private domain. */
export const openXrcd = builder(Cmd.IB_USER_VERBS_CMD_OPEN_XRCD, {
  make: legacy,
  request: abi.ibUverbsOpenXrcd,
  good: () => ({ fd: 0xffff_ffff, oflags: O_CREAT }),
  response: abi.ibUverbsOpenXrcdResp,
});
export const closeXrcd = builder(Cmd.IB_USER_VERBS_CMD_CLOSE_XRCD, {
  make: legacy,
  request: abi.ibUverbsCloseXrcd,
  good: ({ spare }) => ({ xrcdHandle: spare.xrcd }),
});

/** ib_uverbs_flow_spec_eth of 40 bytes: one destination MAC. */
export const ETH_SPEC: Message = `20000000_2800_0000_0002c9000001${zeroes(10)}_ffffffffffff${zeroes(10)}`;
export const flowAttr = (change: Partial<abi.IbUverbsFlowAttr> = {}): abi.IbUverbsFlowAttr => ({
  type: 0,
  size: 40,
  priority: 0,
  numOfSpecs: 1,
  reserved: new Uint8Array(2),
  port: 1,
  flags: 0,
  ...change,
});
export const createFlow = builder(Ex.IB_USER_VERBS_EX_CMD_CREATE_FLOW, {
  make: extended,
  request: abi.ibUverbsCreateFlow,
  good: ({ raw }) => ({ compMask: 0, qpHandle: raw, flowAttr: flowAttr() }),
  tail: ETH_SPEC,
  response: abi.ibUverbsCreateFlowResp,
});
export const destroyFlow = builder(Ex.IB_USER_VERBS_EX_CMD_DESTROY_FLOW, {
  make: extended,
  request: abi.ibUverbsDestroyFlow,
  good: ({ flow }) => ({ compMask: 0, flowHandle: flow }),
});

export const createWq = builder(Ex.IB_USER_VERBS_EX_CMD_CREATE_WQ, {
  make: extended,
  request: abi.ibUverbsExCreateWq,
  good: ({ pd, cq }) => ({
    compMask: 0,
    wqType: 0,
    userHandle: USER_HANDLE,
    pdHandle: pd,
    cqHandle: cq,
    maxWr: 10,
    maxSge: 2,
    createFlags: 0,
    reserved: 0,
  }),
  response: abi.ibUverbsExCreateWqResp,
  driverIn: wqQueue(),
});
export const modifyWq = builder(Ex.IB_USER_VERBS_EX_CMD_MODIFY_WQ, {
  make: extended,
  request: abi.ibUverbsExModifyWq,
  good: ({ wq }) => ({ attrMask: 1, wqHandle: wq, wqState: 1, currWqState: 0, flags: 0, flagsMask: 0 }),
  driverIn: zeroes(8),
});
export const destroyWq = builder(Ex.IB_USER_VERBS_EX_CMD_DESTROY_WQ, {
  make: extended,
  request: abi.ibUverbsExDestroyWq,
  good: ({ spare }) => ({ compMask: 0, wqHandle: spare.wq }),
  response: abi.ibUverbsExDestroyWqResp,
});
export const createTable = builder(Ex.IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL, {
  make: extended,
  request: abi.ibUverbsExCreateRwqIndTable,
  good: () => ({ compMask: 0, logIndTblSize: 0 }),
  tail: ({ wq }) => u32(wq) + u32(0),
  response: abi.ibUverbsExCreateRwqIndTableResp,
});
export const destroyTable = builder(Ex.IB_USER_VERBS_EX_CMD_DESTROY_RWQ_IND_TBL, {
  make: extended,
  request: abi.ibUverbsExDestroyRwqIndTable,
  good: ({ table }) => ({ compMask: 0, indTblHandle: table }),
});
