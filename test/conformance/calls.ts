/** Commands by what they do to a device, for a client that has an object of every kind on Ethernet. */
import * as abi from '../../src/abi/index.js';
import { callMethod, type MethodCall } from '../objects/support/attributes.js';
import type { Build } from '../objects/support/builder.js';
import * as methods from '../objects/support/methods.js';
import * as requests from '../objects/support/requests.js';
import type { Scene } from '../objects/support/scene.js';
import { type Result, resultOf } from '../objects/support/table.js';
import {
  ASYNC_EVENT_ALLOC,
  EX_QUERY_DEVICE,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
  QUERY_DEVICE,
  queryPort,
} from '../uverbs/support/context.js';
import type { Answer } from '../uverbs/support/door.js';
import {
  attr,
  byWrite,
  type Command,
  type Ioctl,
  ioctlMessage,
  type Message,
  u16,
  u32,
  zeroes,
} from '../uverbs/support/messages.js';
import { type Cell, shown } from './table.js';

const Cmd = abi.ibUverbsWriteCmds;
const Obj = abi.uverbsDefaultObjects;
const Device = abi.uverbsMethodsDevice;

type Send = (scene: Scene) => Promise<Answer>;
/** A call, and what it comes to on a device that is there. */
type Call = readonly [name: string, send: Send, usual: Result];
export type Group = readonly Call[];

/** The calls of each group, one after another, all come to the result given, or to what they always come to. */
export const inTurn = (...steps: readonly (readonly [Group, Result?])[]): Cell =>
  shown(async (t, world) => {
    const scene = await world.client({ link_layer: 'ethernet' });
    await world.remove();
    for (const [calls, result] of steps) {
      for (const [name, send, usual] of calls) t.equal(resultOf(await send(scene)), result ?? usual, name);
    }
  });

export const all = (calls: Group, result?: Result): Cell =>
  inTurn(result === undefined ? [calls] : [calls, result]);

const command =
  (build: (scene: Scene) => Command): Send =>
  (scene) =>
    scene.door.command(scene.fd, build(scene));
const message =
  (text: Message): Send =>
  ({ door, fd }) =>
    door.write(fd, text, 512);
const ioctl =
  (build: (scene: Scene) => Ioctl): Send =>
  (scene) =>
    scene.door.ioctl(scene.fd, build(scene), 1024);
const method =
  (call: MethodCall, handle?: (scene: Scene) => number): Send =>
  (scene) =>
    callMethod(call, scene, handle && { handle: handle(scene) });

// Framing

const CLOSED = 999;
export const unreadable: Group = [
  ['4 bytes', message(zeroes(4)), 'EINVAL'],
  ['where nothing is mapped', ({ door, fd }) => door.ask('write-at', fd, '@U', 8), 'EFAULT'],
];
export const misframed: Group = [
  ['in_words that counts wrong', message(byWrite(QUERY_DEVICE, { inWords: 3 })), 'EINVAL'],
  ['too little room for the response', message(byWrite(QUERY_DEVICE, { outWords: 1 })), 'ENOSPC'],
  ['an extended command that is too short', message(u32(0x8000_0000 + 1) + u16(1) + u16(0)), 'EINVAL'],
  ['cmd_hdr_reserved', message(byWrite(EX_QUERY_DEVICE, { reserved: 1 })), 'EINVAL'],
];
/** What a handler looks at before it makes or looks up anything. */
export const wrongInThemselves: Group = [
  ['REG_MR, pages that differ', command((s) => requests.regMr(s, { hcaVa: s.memory + 1n })), 'EINVAL'],
  ['CREATE_CQ, no such vector', command((s) => requests.createCq(s, { compVector: 99 })), 'EINVAL'],
  ['CREATE_QP, no such type', command((s) => requests.createQp(s, { qpType: 99 })), 'EINVAL'],
  ['OPEN_XRCD, not open', command((s) => requests.openXrcd(s, { fd: CLOSED })), 'EBADF'],
  ['CREATE_FLOW, comp_mask', command((s) => requests.createFlow(s, { compMask: 1 })), 'EINVAL'],
];

const HEADER = (number: number, bytes: number): Message =>
  u32(number) + u16((8 + bytes) / 4) + u16(0) + zeroes(bytes);
export const unsupported: Group = [
  ['CREATE_AH', message(HEADER(Cmd.IB_USER_VERBS_CMD_CREATE_AH, 64)), 'EOPNOTSUPP'],
  ['a number beyond the table', message(HEADER(200, 64)), 'EOPNOTSUPP'],
  ['CREATE_AH that counts wrong', message(u32(Cmd.IB_USER_VERBS_CMD_CREATE_AH) + u32(1)), 'EINVAL'],
];
export const unsupportedMethods: Group = [
  ['an unknown object', ioctl(() => ioctlMessage(99, 0, [])), 'EPROTONOSUPPORT'],
  ['an unknown method', ioctl(() => ioctlMessage(Obj.UVERBS_OBJECT_PD, 99, [])), 'EPROTONOSUPPORT'],
  ['a header that is wrong', ioctl(() => ioctlMessage(0, 0, [], { length: 40 })), 'EINVAL'],
];

// By handle

interface Named {
  name: string;
  build: (scene: Scene, handle: number) => Command;
  own: (scene: Scene) => number;
}

/** A builder of commands that name an object by `field`. */
const by = <K extends string>(
  name: string,
  build: Build<Record<K, number>>,
  field: K,
  own: (scene: Scene) => number,
): Named => ({
  name,
  build: (scene, handle) => build(scene, { [field]: handle } as Record<K, number>),
  own,
});

const USES: readonly Named[] = [
  by('REREG_MR', requests.reregMr, 'mrHandle', ({ mr }) => mr),
  by('RESIZE_CQ', requests.resizeCq, 'cqHandle', ({ cq }) => cq),
  by('MODIFY_CQ', requests.modifyCq, 'cqHandle', ({ cq }) => cq),
  by('QUERY_QP', requests.queryQp, 'qpHandle', ({ qp }) => qp),
  by('MODIFY_QP', requests.modifyQp, 'qpHandle', ({ qp }) => qp),
  by('EX_MODIFY_QP', requests.exModifyQp, 'qpHandle', ({ qp }) => qp),
  by('ATTACH_MCAST', requests.attachMcast, 'qpHandle', ({ ud }) => ud),
  by('DETACH_MCAST', requests.detachMcast, 'qpHandle', ({ ud }) => ud),
  by('MODIFY_SRQ', requests.modifySrq, 'srqHandle', ({ srq }) => srq),
  by('QUERY_SRQ', requests.querySrq, 'srqHandle', ({ srq }) => srq),
  by('MODIFY_WQ', requests.modifyWq, 'wqHandle', ({ wq }) => wq),
];

/** What refers to others goes before them. */
const DESTROYS: readonly Named[] = [
  by('DESTROY_FLOW', requests.destroyFlow, 'flowHandle', ({ flow }) => flow),
  by('DESTROY_QP, raw', requests.destroyQp, 'qpHandle', ({ raw }) => raw),
  by('DESTROY_RWQ_IND_TBL', requests.destroyTable, 'indTblHandle', ({ table }) => table),
  by('DESTROY_WQ', requests.destroyWq, 'wqHandle', ({ wq }) => wq),
  by('DESTROY_WQ', requests.destroyWq, 'wqHandle', ({ spare }) => spare.wq),
  by('DESTROY_QP, XRC target', requests.destroyQp, 'qpHandle', ({ target }) => target),
  by('DESTROY_SRQ, XRC', requests.destroySrq, 'srqHandle', ({ xsrq }) => xsrq),
  by('CLOSE_XRCD', requests.closeXrcd, 'xrcdHandle', ({ xrcd }) => xrcd),
  by('CLOSE_XRCD', requests.closeXrcd, 'xrcdHandle', ({ spare }) => spare.xrcd),
  by('DESTROY_QP, UD', requests.destroyQp, 'qpHandle', ({ ud }) => ud),
  by('DESTROY_QP', requests.destroyQp, 'qpHandle', ({ qp }) => qp),
  by('DESTROY_SRQ', requests.destroySrq, 'srqHandle', ({ srq }) => srq),
  by('DEALLOC_MW', requests.deallocMw, 'mwHandle', ({ mw }) => mw),
  by('DEREG_MR', requests.deregMr, 'mrHandle', ({ mr }) => mr),
  by('DESTROY_CQ', requests.destroyCq, 'cqHandle', ({ cq }) => cq),
  by('DESTROY_CQ', requests.destroyCq, 'cqHandle', ({ recvCq }) => recvCq),
  by('DESTROY_CQ', requests.destroyCq, 'cqHandle', ({ spare }) => spare.cq),
  by('DEALLOC_PD', requests.deallocPd, 'pdHandle', ({ pd }) => pd),
  by('DEALLOC_PD', requests.deallocPd, 'pdHandle', ({ spare }) => spare.pd),
];

const NONE = 9999;
const named = (commands: readonly Named[], usual: Result, handle?: number): Group =>
  commands.map(({ name, build, own }) => [name, command((s) => build(s, handle ?? own(s))), usual]);

export const uses: Group = named(USES, 'ok');
export const usesOfNothing: Group = named([...USES, ...DESTROYS], 'ENOENT', NONE);
export const usesOfAnotherType: Group = [
  ['QUERY_QP of a PD', command((s) => requests.queryQp(s, { qpHandle: s.pd })), 'EINVAL'],
  ['DEALLOC_PD of an MR', command((s) => requests.deallocPd(s, { pdHandle: s.mr })), 'EINVAL'],
];
export const destroys: Group = named(DESTROYS, 'ok');
/** Each before what refers to it. */
export const destroysOfWhatIsUsed: Group = named(
  [
    by('DEALLOC_PD', requests.deallocPd, 'pdHandle', ({ pd }) => pd),
    by('DESTROY_CQ', requests.destroyCq, 'cqHandle', ({ cq }) => cq),
    by('CLOSE_XRCD', requests.closeXrcd, 'xrcdHandle', ({ xrcd }) => xrcd),
    by('DESTROY_WQ', requests.destroyWq, 'wqHandle', ({ wq }) => wq),
  ],
  'EBUSY',
);
export const destroysAgain: Group = named(DESTROYS, 'ENOENT');

// Creations and queries

const CREATES: readonly [string, Build<object>][] = [
  ['ALLOC_PD', requests.allocPd],
  ['REG_MR', requests.regMr],
  ['ALLOC_MW', requests.allocMw],
  ['CREATE_COMP_CHANNEL', requests.createCompChannel],
  ['CREATE_CQ', requests.createCq],
  ['EX_CREATE_CQ', requests.exCreateCq],
  ['CREATE_SRQ', requests.createSrq],
  ['CREATE_XSRQ', requests.createXsrq],
  ['CREATE_QP', requests.createQp],
  ['EX_CREATE_QP', (scene) => requests.exCreateQp(scene, { rwqIndTblHandle: 0 })],
  ['OPEN_QP', requests.openQp],
  ['OPEN_XRCD', requests.openXrcd],
  ['CREATE_WQ', requests.createWq],
  ['CREATE_RWQ_IND_TBL', requests.createTable],
  ['CREATE_FLOW', requests.createFlow],
];
export const creations: Group = [
  ...CREATES.map(([name, build]): Call => [name, command((s) => build(s)), 'ok']),
  ['GET_CONTEXT', command(() => GET_CONTEXT), 'EINVAL'],
];
export const queries: Group = [
  ['QUERY_DEVICE', command(() => QUERY_DEVICE), 'ok'],
  ['EX_QUERY_DEVICE', command(() => EX_QUERY_DEVICE), 'ok'],
  ['QUERY_PORT', command(() => queryPort(1)), 'ok'],
];

// Through ioctl

const Port = abi.uverbsAttrsQueryPortCmdAttrIds;
const Invoke = abi.uverbsAttrsInvokeWriteCmdAttrIds;
const invoke =
  (build: Build<object>): Send =>
  (scene) =>
    scene.door.invoke(scene.fd, build(scene));

export const probe: Group = [
  [
    "libibverbs' probe",
    ioctl(() =>
      ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_INVOKE_WRITE, [
        attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE),
      ]),
    ),
    'ENOSPC',
  ],
];
export const creationsByIoctl: Group = [
  ...CREATES.map(([name, build]): Call => [`INVOKE_WRITE of ${name}`, invoke(build), 'ok']),
  ['GET_CONTEXT', ioctl(() => GET_CONTEXT_IOCTL), 'EINVAL'],
  ['ASYNC_EVENT_ALLOC', ioctl(() => ASYNC_EVENT_ALLOC), 'ok'],
  ['CQ CREATE', method(methods.cqCreate), 'ok'],
  ['QP CREATE', method(methods.qpCreate), 'ok'],
  ['SRQ CREATE', method(methods.srqCreate), 'ok'],
  ['WQ CREATE', method(methods.wqCreate), 'ok'],
  [
    'QUERY_PORT',
    ioctl(() =>
      ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_QUERY_PORT, [
        attr.const(Port.UVERBS_ATTR_QUERY_PORT_PORT_NUM, 1),
        attr.out(Port.UVERBS_ATTR_QUERY_PORT_RESP, '@R', 48),
      ]),
    ),
    'ok',
  ],
];
export const usesByIoctl: Group = [
  ['MR QUERY', method(methods.mrQuery), 'ok'],
  ['INVOKE_WRITE of QUERY_QP', invoke(requests.queryQp), 'ok'],
];
export const usesOfNothingByIoctl: Group = [
  ['MR QUERY', method(methods.mrQuery, () => NONE), 'ENOENT'],
  ['PD DESTROY', method(methods.pdDestroy, () => NONE), 'ENOENT'],
  ['INVOKE_WRITE of QUERY_QP', invoke((s) => requests.queryQp(s, { qpHandle: NONE })), 'ENOENT'],
];
const DESTROY_METHODS: readonly [MethodCall, (scene: Scene) => number][] = [
  [methods.flowDestroy, ({ flow }) => flow],
  [methods.qpDestroy, ({ qp }) => qp],
  [methods.tableDestroy, ({ table }) => table],
  [methods.wqDestroy, ({ spare }) => spare.wq],
  [methods.srqDestroy, ({ xsrq }) => xsrq],
  [methods.xrcdDestroy, ({ spare }) => spare.xrcd],
  [methods.mwDestroy, ({ mw }) => mw],
  [methods.mrDestroy, ({ mr }) => mr],
  [methods.cqDestroy, ({ spare }) => spare.cq],
  [methods.pdDestroy, ({ spare }) => spare.pd],
];
const destroyMethods = (usual: Result): Group =>
  DESTROY_METHODS.map(([call, handle]) => [call.name, method(call, handle), usual]);
export const destroysByIoctl: Group = destroyMethods('ok');
export const destroysAgainByIoctl: Group = destroyMethods('ENOENT');
