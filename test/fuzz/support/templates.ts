/** Commands as they should be: what a fresh context is filled with, and what is then spoilt. */
import * as abi from '../../../src/abi/index.js';
import {
  ALLOC_PD,
  ASYNC_EVENT_ALLOC,
  CREATE_COMP_CHANNEL,
  createCq,
  deallocPd,
  deregMr,
  destroyCq,
  EX_QUERY_DEVICE,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
  QUERY_DEVICE,
  queryPort,
} from '../../uverbs/support/context.js';
import {
  attr,
  byIoctl,
  byWrite,
  type Command,
  extended,
  type Ioctl,
  ioctlMessage,
  legacy,
  type Message,
  structure,
  u32,
  u64,
} from '../../uverbs/support/messages.js';

export interface Template {
  readonly door: 'write' | 'ioctl';
  readonly message: Message;
  /** What an ioctl needs in the scratch buffer, by offset. */
  readonly fills: ReadonlyMap<number, Message>;
}

const Cmd = abi.ibUverbsWriteCmds;
const Ex = abi.ibUserVerbsExCmd;
const Obj = abi.uverbsDefaultObjects;

/** Handles of what the set-up makes, in its order. */
const PD = 0;
const CQ = 1;
const SRQ = 2;
const RC = 3;
const UD = 4;
const MR = 5;
const MW = 6;
const XRCD = 7;
const WQ = 8;
const TABLE = 9;

const buffers: Message = '@B_@B+65536;';
const qpInput: Message = `${buffers}0606000000000000`;

const regMr = legacy(
  Cmd.IB_USER_VERBS_CMD_REG_MR,
  abi.ibUverbsRegMr,
  { start: 0n, length: 8192n, hcaVa: 0n, pdHandle: PD, accessFlags: 7 },
  { response: abi.ibUverbsRegMrResp },
);
/** At the scratch buffer, which only a place can name: start is the second field, hca_va the fourth. */
const regMrOfScratch: Command = {
  ...regMr,
  request: `@R@B${u64(8192)}@B${u32(PD)}${u32(7)}`,
};

const createSrq = legacy(
  Cmd.IB_USER_VERBS_CMD_CREATE_SRQ,
  abi.ibUverbsCreateSrq,
  { userHandle: 1n, pdHandle: PD, maxWr: 15, maxSge: 1, srqLimit: 0 },
  { response: abi.ibUverbsCreateSrqResp, driverIn: buffers, driverOut: 8 },
);

const createXsrq = legacy(
  Cmd.IB_USER_VERBS_CMD_CREATE_XSRQ,
  abi.ibUverbsCreateXsrq,
  {
    userHandle: 1n,
    srqType: 1,
    pdHandle: PD,
    maxWr: 15,
    maxSge: 1,
    srqLimit: 0,
    maxNumTags: 0,
    xrcdHandle: XRCD,
    cqHandle: CQ,
  },
  { response: abi.ibUverbsCreateSrqResp, driverIn: buffers, driverOut: 8 },
);

const qpRequest = (qpType: number, parent: number) => ({
  userHandle: 1n,
  pdHandle: parent,
  sendCqHandle: CQ,
  recvCqHandle: CQ,
  srqHandle: 0,
  maxSendWr: 15,
  maxRecvWr: qpType > 8 ? 0 : 15,
  maxSendSge: 1,
  maxRecvSge: qpType > 8 ? 0 : 1,
  maxInlineData: 0,
  sqSigAll: 0,
  qpType,
  isSrq: 0,
});

const createQp = (qpType: number, parent = PD): Command =>
  legacy(Cmd.IB_USER_VERBS_CMD_CREATE_QP, abi.ibUverbsCreateQp, qpRequest(qpType, parent), {
    response: abi.ibUverbsCreateQpResp,
    driverIn: qpInput,
  });

const rest = { compMask: 0, createFlags: 0, rwqIndTblHandle: 0, sourceQpn: 0 };
const exCreateQp = extended(
  Ex.IB_USER_VERBS_EX_CMD_CREATE_QP,
  abi.ibUverbsExCreateQp,
  { ...qpRequest(4, PD), ...rest },
  { response: abi.ibUverbsExCreateQpResp, driverIn: qpInput },
);
const createRssQp = extended(
  Ex.IB_USER_VERBS_EX_CMD_CREATE_QP,
  abi.ibUverbsExCreateQp,
  {
    ...qpRequest(8, PD),
    ...rest,
    maxSendWr: 0,
    maxRecvWr: 0,
    maxRecvSge: 0,
    compMask: 1,
    rwqIndTblHandle: TABLE,
  },
  {
    response: abi.ibUverbsExCreateQpResp,
    driverIn: structure(abi.mlx4IbCreateQpRss, {
      rxHashFieldsMask: 3n,
      rxHashFunction: 1,
      rxHashKey: new Uint8Array(40),
      compMask: 0,
    }),
  },
);

const path: abi.IbUverbsQpDest = {
  dgid: new Uint8Array(16),
  flowLabel: 0,
  dlid: 2,
  reserved: 0,
  sgidIndex: 0,
  hopLimit: 1,
  trafficClass: 0,
  sl: 0,
  srcPathBits: 0,
  staticRate: 0,
  isGlobal: 1,
  portNum: 1,
};

const attributes = (qpHandle: number, attrMask: number, qpState: number) => ({
  dest: path,
  altDest: path,
  qpHandle,
  attrMask,
  qkey: 1,
  rqPsn: 1,
  sqPsn: 1,
  destQpNum: 1,
  qpAccessFlags: 0,
  pkeyIndex: 0,
  altPkeyIndex: 0,
  qpState,
  curQpState: 0,
  pathMtu: 3,
  pathMigState: 0,
  enSqdAsyncNotify: 1,
  maxRdAtomic: 1,
  maxDestRdAtomic: 1,
  minRnrTimer: 1,
  portNum: 1,
  timeout: 1,
  retryCnt: 1,
  rnrRetry: 1,
  altPortNum: 1,
  altTimeout: 1,
});
const modifyQp = (qpHandle: number, attrMask: number, qpState: number): Command =>
  legacy(Cmd.IB_USER_VERBS_CMD_MODIFY_QP, abi.ibUverbsModifyQp, attributes(qpHandle, attrMask, qpState));
const exModifyQp = extended(
  Ex.IB_USER_VERBS_EX_CMD_MODIFY_QP,
  abi.ibUverbsExModifyQp,
  { base: attributes(RC, 1, 0), rateLimit: 0 },
  { response: abi.ibUverbsExModifyQpResp },
);

const multicastGid = Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0xff : i));

const createWq = extended(
  Ex.IB_USER_VERBS_EX_CMD_CREATE_WQ,
  abi.ibUverbsExCreateWq,
  { compMask: 0, wqType: 0, userHandle: 1n, pdHandle: PD, cqHandle: CQ, maxWr: 7, maxSge: 1, createFlags: 0 },
  { response: abi.ibUverbsExCreateWqResp, driverIn: `${buffers}0000000000000000` },
);
const createTable: Command = {
  ...extended(
    Ex.IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL,
    abi.ibUverbsExCreateRwqIndTable,
    { compMask: 0, logIndTblSize: 0 },
    { response: abi.ibUverbsExCreateRwqIndTableResp },
  ),
  request: `${u64(0)}${u32(WQ)}${u32(0)}`,
};

/** One specification of 40 bytes: an Ethernet header, with its mask. */
const ethernetSpec: Message = `${u32(0x20)}28000000${'00'.repeat(32)}`;
const createFlow: Command = {
  ...extended(
    Ex.IB_USER_VERBS_EX_CMD_CREATE_FLOW,
    abi.ibUverbsCreateFlow,
    {
      compMask: 0,
      qpHandle: UD,
      flowAttr: { type: 0, size: 40, priority: 0, numOfSpecs: 1, port: 1, flags: 0 },
    },
    { response: abi.ibUverbsCreateFlowResp },
  ),
};
const createFlowWithSpec: Command = { ...createFlow, request: createFlow.request + ethernetSpec };

const openXrcd = legacy(
  Cmd.IB_USER_VERBS_CMD_OPEN_XRCD,
  abi.ibUverbsOpenXrcd,
  { fd: 0xffff_ffff, oflags: 0o100 },
  { response: abi.ibUverbsOpenXrcdResp },
);
const allocMw = legacy(
  Cmd.IB_USER_VERBS_CMD_ALLOC_MW,
  abi.ibUverbsAllocMw,
  { pdHandle: PD, mwType: 1 },
  { response: abi.ibUverbsAllocMwResp },
);

/** In this order on a fresh file; what the device has not fails, and the handles after it are others. */
const SETUP: Command[] = [
  GET_CONTEXT,
  ALLOC_PD,
  createCq(),
  createSrq,
  createQp(2),
  createQp(4),
  regMrOfScratch,
  allocMw,
  openXrcd,
  createWq,
  createTable,
];

const INIT = 1 | (1 << 3) | (1 << 4) | (1 << 5);
const RTR = 1 | (1 << 7) | (1 << 8) | (1 << 12) | (1 << 15) | (1 << 17) | (1 << 20);
const RTS = 1 | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 13) | (1 << 16);

const OTHERS: Command[] = [
  ...SETUP.slice(1),
  CREATE_COMP_CHANNEL,
  createCq({ compChannel: 4 }),
  deallocPd(PD),
  deregMr(MR),
  destroyCq(CQ),
  QUERY_DEVICE,
  queryPort(1),
  { ...EX_QUERY_DEVICE, driverOut: 48 },
  legacy(
    Cmd.IB_USER_VERBS_CMD_REREG_MR,
    abi.ibUverbsReregMr,
    { mrHandle: MR, flags: 6, start: 0n, length: 0n, hcaVa: 0n, pdHandle: PD, accessFlags: 1 },
    { response: abi.ibUverbsReregMrResp },
  ),
  legacy(Cmd.IB_USER_VERBS_CMD_DEALLOC_MW, abi.ibUverbsDeallocMw, { mwHandle: MW }),
  legacy(
    Cmd.IB_USER_VERBS_CMD_RESIZE_CQ,
    abi.ibUverbsResizeCq,
    { cqHandle: CQ, cqe: 63 },
    { response: abi.ibUverbsResizeCqResp, driverIn: '@B' },
  ),
  extended(Ex.IB_USER_VERBS_EX_CMD_MODIFY_CQ, abi.ibUverbsExModifyCq, {
    cqHandle: CQ,
    attrMask: 1,
    attr: { cqCount: 1, cqPeriod: 1 },
  }),
  extended(
    Ex.IB_USER_VERBS_EX_CMD_CREATE_CQ,
    abi.ibUverbsExCreateCq,
    { userHandle: 1n, cqe: 15, compVector: 0, compChannel: -1, compMask: 0, flags: 0 },
    { response: abi.ibUverbsExCreateCqResp, driverIn: buffers, driverOut: 8 },
  ),
  createXsrq,
  legacy(Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ, abi.ibUverbsModifySrq, {
    srqHandle: SRQ,
    attrMask: 2,
    maxWr: 0,
    srqLimit: 1,
  }),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_SRQ,
    abi.ibUverbsQuerySrq,
    { srqHandle: SRQ },
    { response: abi.ibUverbsQuerySrqResp },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_SRQ,
    abi.ibUverbsDestroySrq,
    { srqHandle: SRQ },
    { response: abi.ibUverbsDestroySrqResp },
  ),
  legacy(Cmd.IB_USER_VERBS_CMD_CLOSE_XRCD, abi.ibUverbsCloseXrcd, { xrcdHandle: XRCD }),
  createQp(10, XRCD),
  createQp(9),
  createQp(8),
  exCreateQp,
  createRssQp,
  legacy(
    Cmd.IB_USER_VERBS_CMD_OPEN_QP,
    abi.ibUverbsOpenQp,
    { userHandle: 1n, pdHandle: XRCD, qpn: 0x80_0209, qpType: 10 },
    { response: abi.ibUverbsCreateQpResp },
  ),
  modifyQp(RC, INIT, 1),
  modifyQp(RC, RTR, 2),
  modifyQp(RC, RTS, 3),
  modifyQp(RC, 1, 0),
  modifyQp(UD, 1, 6),
  exModifyQp,
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_QP,
    abi.ibUverbsQueryQp,
    { qpHandle: RC, attrMask: 0 },
    { response: abi.ibUverbsQueryQpResp },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_QP,
    abi.ibUverbsDestroyQp,
    { qpHandle: RC },
    { response: abi.ibUverbsDestroyQpResp },
  ),
  legacy(Cmd.IB_USER_VERBS_CMD_ATTACH_MCAST, abi.ibUverbsAttachMcast, {
    gid: multicastGid,
    qpHandle: UD,
    mlid: 0xc001,
  }),
  legacy(Cmd.IB_USER_VERBS_CMD_DETACH_MCAST, abi.ibUverbsDetachMcast, {
    gid: multicastGid,
    qpHandle: UD,
    mlid: 0xc001,
  }),
  createFlow,
  createFlowWithSpec,
  extended(Ex.IB_USER_VERBS_EX_CMD_DESTROY_FLOW, abi.ibUverbsDestroyFlow, { compMask: 0, flowHandle: 10 }),
  extended(
    Ex.IB_USER_VERBS_EX_CMD_MODIFY_WQ,
    abi.ibUverbsExModifyWq,
    { attrMask: 1, wqHandle: WQ, wqState: 1, currWqState: 0, flags: 0, flagsMask: 0 },
    { driverIn: u64(0) },
  ),
  extended(
    Ex.IB_USER_VERBS_EX_CMD_DESTROY_WQ,
    abi.ibUverbsExDestroyWq,
    { compMask: 0, wqHandle: WQ },
    { response: abi.ibUverbsExDestroyWqResp },
  ),
  extended(Ex.IB_USER_VERBS_EX_CMD_DESTROY_RWQ_IND_TBL, abi.ibUverbsExDestroyRwqIndTable, {
    compMask: 0,
    indTblHandle: TABLE,
  }),
];

const destroyMethod = (objectId: number, methodId: number, handle: number, response = 0): Ioctl =>
  ioctlMessage(objectId, methodId, [
    ...(response > 0 ? [attr.out(1, '@R', response)] : []),
    attr.handle(0, handle),
  ]);

const { UVERBS_ATTR_UHW_IN: UHW_IN, UVERBS_ATTR_UHW_OUT: UHW_OUT } = abi.uverbsAttrUhw;

/** Attributes by number, in rdma-core's order. */
const METHODS: Ioctl[] = [
  GET_CONTEXT_IOCTL,
  ASYNC_EVENT_ALLOC,
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, 1, [
    attr.const(0, 3),
    attr.out(1, '@R', 4),
    attr.out(2, '@R+8;', 64),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, 2, [attr.const(0, 1), attr.out(1, '@R', 48)]),
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, 4, [attr.out(0, '@R', 4), attr.out(1, '@R+8;', 8)]),
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, 5, [
    attr.const(0, 32),
    attr.in(1, u32(0)),
    attr.out(2, '@R+8;', 1024),
    attr.out(3, '@R', 8),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, 6, [
    attr.const(0, 1),
    attr.const(1, 0),
    attr.in(2, u32(0)),
    attr.out(3, '@R', 32),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_CQ, 0, [
    attr.newHandle(0),
    attr.out(6, '@R', 4),
    attr.in(1, u32(15)),
    attr.in(2, u64(1)),
    attr.handle(3, 4),
    attr.in(4, u32(0)),
    attr.handle(7, 3),
    attr.in(5, u32(0)),
    attr.in(UHW_IN, buffers),
    attr.out(UHW_OUT, '@R+8;', 8),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_QP, 0, [
    attr.handle(2, PD),
    attr.handle(4, CQ),
    attr.handle(5, CQ),
    attr.newHandle(0),
    attr.const(9, 2),
    attr.in(7, u64(1)),
    attr.in(8, [15, 15, 1, 1, 0].map(u32).join('')),
    attr.out(13, '@R', 20),
    attr.out(14, '@R+32;', 4),
    attr.in(UHW_IN, qpInput),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_SRQ, 0, [
    attr.newHandle(0),
    attr.const(9, 0),
    attr.in(4, u64(1)),
    attr.handle(1, PD),
    attr.in(5, u32(15)),
    attr.in(6, u32(1)),
    attr.in(7, u32(0)),
    attr.out(11, '@R', 4),
    attr.out(12, '@R+4;', 4),
    attr.in(UHW_IN, buffers),
    attr.out(UHW_OUT, '@R+8;', 8),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_WQ, 0, [
    attr.newHandle(0),
    attr.handle(1, PD),
    attr.handle(2, CQ),
    attr.in(3, u64(1)),
    attr.const(4, 0),
    attr.in(6, u32(7)),
    attr.in(7, u32(1)),
    attr.in(8, u32(0)),
    attr.out(9, '@R', 4),
    attr.out(10, '@R+4;', 4),
    attr.out(11, '@R+8;', 4),
    attr.in(UHW_IN, `${buffers}0000000000000000`),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_MR, 2, [
    attr.handle(0, PD),
    attr.const(1, 0),
    attr.in(2, u32(0)),
    attr.in(3, `@B${u64(4096)}`),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_MR, 3, [
    attr.handle(0, MR),
    attr.out(1, '@R', 4),
    attr.out(2, '@R+4;', 4),
    attr.out(3, '@R+8;', 8),
    attr.out(4, '@R+16;', 8),
  ]),
  ioctlMessage(Obj.UVERBS_OBJECT_MR, 4, [
    attr.newHandle(0),
    attr.handle(1, PD),
    attr.in(2, u64(0)),
    attr.in(3, u64(4096)),
    attr.in(4, u64(0)),
    attr.in(5, u32(0)),
    attr.in(6, u32(1)),
    attr.out(7, '@R', 4),
    attr.out(8, '@R+4;', 4),
  ]),
  destroyMethod(Obj.UVERBS_OBJECT_PD, 0, PD),
  destroyMethod(Obj.UVERBS_OBJECT_CQ, 1, CQ, 8),
  destroyMethod(Obj.UVERBS_OBJECT_QP, 1, RC, 4),
  destroyMethod(Obj.UVERBS_OBJECT_QP, 1, UD, 4),
  destroyMethod(Obj.UVERBS_OBJECT_SRQ, 1, SRQ, 4),
  destroyMethod(Obj.UVERBS_OBJECT_MR, 1, MR),
  destroyMethod(Obj.UVERBS_OBJECT_MW, 0, MW),
  destroyMethod(Obj.UVERBS_OBJECT_XRCD, 0, XRCD),
  destroyMethod(Obj.UVERBS_OBJECT_WQ, 1, WQ, 4),
  destroyMethod(Obj.UVERBS_OBJECT_RWQ_IND_TBL, 0, TABLE),
  destroyMethod(Obj.UVERBS_OBJECT_FLOW, 0, 10),
];

const written = (command: Command): Template => ({
  door: 'write',
  message: byWrite(command),
  fills: new Map(),
});
const called = (ioctl: Ioctl): Template => ({ door: 'ioctl', ...ioctl });

export const setup: readonly Template[] = SETUP.map(written);

export const templates: readonly Template[] = [
  ...OTHERS.map(written),
  ...OTHERS.map((command) => called(byIoctl(command))),
  ...METHODS.map(called),
];
