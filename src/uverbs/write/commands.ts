/** The write commands (core/uverbs_cmd.c, uverbs_def_write_intf), each a row. */
import { Errno } from '../../../devfs/index.js';
import * as abi from '../../abi/index.js';
import type { DeviceOps } from '../../core/device-ops.js';
import { QpAttr, SrqType } from '../../core/objects.js';
import { attachMcast, detachMcast } from '../../core/verbs.js';
import { CompletionChannel } from '../events/completion-channel.js';
import { getContext, newAsyncEventFile, newCompletionChannel } from '../operations/context.js';
import { type CqRequest, cqType, createCq, type UserCq } from '../operations/cq.js';
import { queryDevice, queryPort } from '../operations/device.js';
import { flowType, makeFlow } from '../operations/flow.js';
import { mrType, regMr, reregMr } from '../operations/mr.js';
import { mwType, newMw } from '../operations/mw.js';
import { allocPd, pdType } from '../operations/pd.js';
import { invalidUnlessFound, modifyUserQp, openQp, qpType } from '../operations/qp.js';
import { makeSrq, srqType } from '../operations/srq.js';
import { indTableType, makeIndTable, makeWq, modifyUserWq, wqType } from '../operations/wq.js';
import { openXrcd, xrcdType } from '../operations/xrcd.js';
import { type Command, extended, legacy, type WriteCommand } from './command.js';
import { createQpByWrite } from './create-qp.js';

const Cmd = abi.ibUverbsWriteCmds;
const ExCmd = abi.ibUserVerbsExCmd;

const hasMw = (ops: DeviceOps): boolean => ops.memoryWindows !== undefined;
const hasXrc = (ops: DeviceOps): boolean => ops.xrc !== undefined;
const hasFlows = (ops: DeviceOps): boolean => ops.flows !== undefined;
const hasRss = (ops: DeviceOps): boolean => ops.rss !== undefined;

/** The standard attributes of MODIFY_QP; the extended command knows the rate limit, too. */
const STANDARD_ATTRIBUTES = 2 * QpAttr.DEST_QPN - 1;

function requireZero(code: 'EINVAL' | 'EOPNOTSUPP', ...fields: number[]): void {
  if (fields.some((field) => field !== 0)) throw new Errno(code, 'comp_mask or a reserved field is set');
}

function makeCq(
  command: Command,
  request: CqRequest & { compChannel: number },
): { cqHandle: number; cqe: number } {
  let handle = -1;
  const { cq }: UserCq = createCq(
    command,
    request,
    () => {
      const uobject = command.create(cqType);
      handle = uobject.handle;
      return uobject;
    },
    () => (request.compChannel >= 0 ? command.eventFile(CompletionChannel, request.compChannel) : undefined),
    undefined,
  );
  return { cqHandle: handle, cqe: cq.cqe };
}

/** CREATE_SRQ and CREATE_XSRQ, which differ in what else the request names. */
function makeSrqByWrite(
  command: Command,
  request: Omit<abi.IbUverbsCreateXsrq, 'response'>,
): { srqHandle: number; maxWr: number; maxSge: number; srqn: number } {
  const uobject = command.create(srqType);
  const isXrc = request.srqType === SrqType.XRC;
  const xrcd = isXrc ? invalidUnlessFound(() => command.lookup(xrcdType, request.xrcdHandle)) : undefined;
  const cq = isXrc || request.srqType === SrqType.TM ? command.lookup(cqType, request.cqHandle) : undefined;
  const pd = command.lookup(pdType, request.pdHandle);
  const srq = makeSrq(
    command,
    uobject,
    { ...request, type: request.srqType },
    { pd, xrcd, cq, eventFile: undefined },
  );
  return { srqHandle: uobject.handle, maxWr: srq.maxWr, maxSge: srq.maxSge, srqn: isXrc ? srq.srqn : 0 };
}

function modifyQp(
  command: Command,
  { qpHandle, attrMask, ...attributes }: abi.IbUverbsModifyQp,
  known: number,
): void {
  if ((attrMask & ~known) !== 0)
    throw new Errno('EOPNOTSUPP', `unknown attributes in 0x${attrMask.toString(16)}`);
  modifyUserQp(command, command.lookup(qpType, qpHandle), attrMask, attributes);
}

export const commands: readonly WriteCommand[] = [
  legacy(
    Cmd.IB_USER_VERBS_CMD_GET_CONTEXT,
    'GET_CONTEXT',
    { request: abi.ibUverbsGetContext, response: abi.ibUverbsGetContextResp, udata: true },
    (command) => {
      const { numCompVectors } = command.device.ops;
      getContext(command);
      // The number is the first field of the response; the agent overwrites it.
      newAsyncEventFile(command, { address: command.responseAddress(0), width: 4 }, () =>
        command.file.dropContext(),
      );
      return { asyncFd: 0, numCompVectors };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE,
    'QUERY_DEVICE',
    { request: abi.ibUverbsQueryDevice, response: abi.ibUverbsQueryDeviceResp },
    (command) => queryDevice(command).base,
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_PORT,
    'QUERY_PORT',
    { request: abi.ibUverbsQueryPort, response: abi.ibUverbsQueryPortResp },
    (command, { portNum }) => queryPort(command, portNum),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_ALLOC_PD,
    'ALLOC_PD',
    { request: abi.ibUverbsAllocPd, response: abi.ibUverbsAllocPdResp, udata: true },
    (command) => ({ pdHandle: allocPd(command).handle }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DEALLOC_PD,
    'DEALLOC_PD',
    { request: abi.ibUverbsDeallocPd },
    (command, { pdHandle }) => command.destroy(pdType, pdHandle),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_REG_MR,
    'REG_MR',
    { request: abi.ibUverbsRegMr, response: abi.ibUverbsRegMrResp, udata: true },
    (command, { start, length, hcaVa, pdHandle, accessFlags }) => {
      const uobject = regMr(command, pdHandle, { start, length, iova: hcaVa, access: accessFlags });
      const { lkey = 0, rkey = 0 } = uobject.object ?? {};
      return { mrHandle: uobject.handle, lkey, rkey };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_REREG_MR,
    'REREG_MR',
    { request: abi.ibUverbsReregMr, response: abi.ibUverbsReregMrResp, udata: true },
    (command, { hcaVa, accessFlags, ...request }) => {
      const { lkey, rkey } = reregMr(command, { ...request, iova: hcaVa, access: accessFlags });
      return { lkey, rkey };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DEREG_MR,
    'DEREG_MR',
    { request: abi.ibUverbsDeregMr },
    (command, { mrHandle }) => command.destroy(mrType, mrHandle),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_ALLOC_MW,
    'ALLOC_MW',
    { request: abi.ibUverbsAllocMw, response: abi.ibUverbsAllocMwResp, udata: true, supported: hasMw },
    (command, { pdHandle, mwType: type }) => {
      const uobject = newMw(command, pdHandle, type);
      return { mwHandle: uobject.handle, rkey: uobject.object?.rkey ?? 0 };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DEALLOC_MW,
    'DEALLOC_MW',
    { request: abi.ibUverbsDeallocMw, supported: hasMw },
    (command, { mwHandle }) => command.destroy(mwType, mwHandle),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL,
    'CREATE_COMP_CHANNEL',
    { request: abi.ibUverbsCreateCompChannel, response: abi.ibUverbsCreateCompChannelResp },
    (command) => {
      newCompletionChannel(command, { address: command.responseAddress(0), width: 4 });
      return { fd: 0 };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_CQ,
    'CREATE_CQ',
    { request: abi.ibUverbsCreateCq, response: abi.ibUverbsCreateCqResp, udata: true },
    (command, request) => makeCq(command, { ...request, flags: 0 }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_RESIZE_CQ,
    'RESIZE_CQ',
    { request: abi.ibUverbsResizeCq, response: abi.ibUverbsResizeCqResp, udata: true },
    (command, { cqHandle, cqe }) => {
      const { cq } = command.lookup(cqType, cqHandle);
      command.device.ops.resizeCq(cq, cqe, command.udata);
      return { cqe: cq.cqe };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_CQ,
    'DESTROY_CQ',
    { request: abi.ibUverbsDestroyCq, response: abi.ibUverbsDestroyCqResp },
    (command, { cqHandle }) => {
      const { completions, events } = command.destroy(cqType, cqHandle);
      return { compEventsReported: completions.reported, asyncEventsReported: events.reported };
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_QP,
    'CREATE_QP',
    { request: abi.ibUverbsCreateQp, response: abi.ibUverbsCreateQpResp, udata: true },
    (command, request) =>
      createQpByWrite(command, { ...request, compMask: 0, createFlags: 0, rwqIndTblHandle: 0, sourceQpn: 0 }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_QP,
    'QUERY_QP',
    { request: abi.ibUverbsQueryQp, response: abi.ibUverbsQueryQpResp },
    (command, { qpHandle }) => command.device.ops.queryQp(command.lookup(qpType, qpHandle).qp),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_MODIFY_QP,
    'MODIFY_QP',
    { request: abi.ibUverbsModifyQp },
    (command, request) => modifyQp(command, request, STANDARD_ATTRIBUTES),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_QP,
    'DESTROY_QP',
    { request: abi.ibUverbsDestroyQp, response: abi.ibUverbsDestroyQpResp },
    (command, { qpHandle }) => ({ eventsReported: command.destroy(qpType, qpHandle).events.reported }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_ATTACH_MCAST,
    'ATTACH_MCAST',
    { request: abi.ibUverbsAttachMcast },
    (command, { gid, qpHandle, mlid }) =>
      attachMcast(command.device, command.lookup(qpType, qpHandle).qp, { gid, lid: mlid }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DETACH_MCAST,
    'DETACH_MCAST',
    { request: abi.ibUverbsDetachMcast },
    (command, { gid, qpHandle, mlid }) =>
      detachMcast(command.device, command.lookup(qpType, qpHandle).qp, { gid, lid: mlid }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_SRQ,
    'CREATE_SRQ',
    { request: abi.ibUverbsCreateSrq, response: abi.ibUverbsCreateSrqResp, udata: true },
    (command, request) =>
      makeSrqByWrite(command, {
        ...request,
        srqType: SrqType.BASIC,
        maxNumTags: 0,
        xrcdHandle: 0,
        cqHandle: 0,
      }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ,
    'MODIFY_SRQ',
    { request: abi.ibUverbsModifySrq, udata: true },
    (command, { srqHandle, attrMask, maxWr, srqLimit }) =>
      command.device.ops.modifySrq(command.lookup(srqType, srqHandle).srq, attrMask, { maxWr, srqLimit }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_SRQ,
    'QUERY_SRQ',
    { request: abi.ibUverbsQuerySrq, response: abi.ibUverbsQuerySrqResp },
    (command, { srqHandle }) => command.device.ops.querySrq(command.lookup(srqType, srqHandle).srq),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_SRQ,
    'DESTROY_SRQ',
    { request: abi.ibUverbsDestroySrq, response: abi.ibUverbsDestroySrqResp },
    (command, { srqHandle }) => ({ eventsReported: command.destroy(srqType, srqHandle).events.reported }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_OPEN_XRCD,
    'OPEN_XRCD',
    { request: abi.ibUverbsOpenXrcd, response: abi.ibUverbsOpenXrcdResp, udata: true, supported: hasXrc },
    (command, { fd, oflags }) => ({ xrcdHandle: openXrcd(command, fd | 0, oflags).handle }),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CLOSE_XRCD,
    'CLOSE_XRCD',
    { request: abi.ibUverbsCloseXrcd, supported: hasXrc },
    (command, { xrcdHandle }) => command.destroy(xrcdType, xrcdHandle),
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_XSRQ,
    'CREATE_XSRQ',
    { request: abi.ibUverbsCreateXsrq, response: abi.ibUverbsCreateSrqResp, udata: true },
    makeSrqByWrite,
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_OPEN_QP,
    'OPEN_QP',
    { request: abi.ibUverbsOpenQp, response: abi.ibUverbsCreateQpResp, udata: true, supported: hasXrc },
    (command, { pdHandle, qpn, qpType: type }) => ({
      qpHandle: openQp(command, { xrcdHandle: pdHandle, qpn, type }).handle,
      qpn,
      maxSendWr: 0,
      maxRecvWr: 0,
      maxSendSge: 0,
      maxRecvSge: 0,
      maxInlineData: 0,
    }),
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_QUERY_DEVICE,
    'EX_QUERY_DEVICE',
    { request: abi.ibUverbsExQueryDevice, response: abi.ibUverbsExQueryDeviceResp, udata: true },
    (command, { compMask, reserved }) => {
      const { ops } = command.context.device;
      requireZero('EINVAL', compMask, reserved);
      ops.queryDeviceUdata(command.udata);
      return {
        ...queryDevice(command),
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExQueryDeviceResp.size),
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_CREATE_CQ,
    'EX_CREATE_CQ',
    { request: abi.ibUverbsExCreateCq, response: abi.ibUverbsExCreateCqResp, udata: true },
    (command, { compMask, reserved, ...request }) => {
      requireZero('EINVAL', compMask, reserved);
      return {
        base: makeCq(command, request),
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExCreateCqResp.size),
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_CREATE_QP,
    'EX_CREATE_QP',
    { request: abi.ibUverbsExCreateQp, response: abi.ibUverbsExCreateQpResp, udata: true },
    (command, { reserved, ...request }) => {
      if ((request.compMask & ~abi.IB_UVERBS_CREATE_QP_SUP_COMP_MASK) !== 0 || reserved !== 0) {
        throw new Errno('EINVAL', 'comp_mask or a reserved field is set');
      }
      return {
        base: createQpByWrite(command, request),
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExCreateQpResp.size),
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_MODIFY_QP,
    'EX_MODIFY_QP',
    { request: abi.ibUverbsExModifyQp, response: abi.ibUverbsExModifyQpResp, udata: true },
    (command, { base }) => {
      modifyQp(command, base, STANDARD_ATTRIBUTES | QpAttr.RATE_LIMIT);
      return {
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExModifyQpResp.size),
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_CREATE_FLOW,
    'CREATE_FLOW',
    {
      request: abi.ibUverbsCreateFlow,
      response: abi.ibUverbsCreateFlowResp,
      tail: true,
      supported: hasFlows,
    },
    (command, request) => ({
      compMask: 0,
      flowHandle: makeFlow(command, request, command.requestTail(abi.ibUverbsCreateFlow)).handle,
    }),
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_DESTROY_FLOW,
    'DESTROY_FLOW',
    { request: abi.ibUverbsDestroyFlow, supported: hasFlows },
    (command, { compMask, flowHandle }) => {
      requireZero('EINVAL', compMask);
      command.destroy(flowType, flowHandle);
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_CREATE_WQ,
    'CREATE_WQ',
    { request: abi.ibUverbsExCreateWq, response: abi.ibUverbsExCreateWqResp, udata: true, supported: hasRss },
    (command, { compMask, wqType: type, pdHandle, cqHandle, ...request }) => {
      requireZero('EOPNOTSUPP', compMask);
      const uobject = command.create(wqType);
      const pd = command.lookup(pdType, pdHandle);
      const cq = command.lookup(cqType, cqHandle);
      const wq = makeWq(command, uobject, { ...request, type }, { pd, cq, eventFile: undefined });
      return {
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExCreateWqResp.size),
        wqHandle: uobject.handle,
        maxWr: wq.maxWr,
        maxSge: wq.maxSge,
        wqn: wq.wqNum,
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_MODIFY_WQ,
    'MODIFY_WQ',
    { request: abi.ibUverbsExModifyWq, udata: true, supported: hasRss },
    (command, { attrMask, wqHandle, wqState, currWqState, flags, flagsMask }) => {
      if (attrMask === 0 || attrMask > 7) throw new Errno('EINVAL', `attributes 0x${attrMask.toString(16)}`);
      const given = { state: wqState, currentState: currWqState, flags, flagsMask };
      modifyUserWq(command, command.lookup(wqType, wqHandle), attrMask, given);
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_DESTROY_WQ,
    'DESTROY_WQ',
    { request: abi.ibUverbsExDestroyWq, response: abi.ibUverbsExDestroyWqResp, supported: hasRss },
    (command, { compMask, wqHandle }) => {
      requireZero('EOPNOTSUPP', compMask);
      return {
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExDestroyWqResp.size),
        eventsReported: command.destroy(wqType, wqHandle).events.reported,
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL,
    'CREATE_RWQ_IND_TBL',
    {
      request: abi.ibUverbsExCreateRwqIndTable,
      response: abi.ibUverbsExCreateRwqIndTableResp,
      udata: true,
      tail: true,
      supported: hasRss,
    },
    (command, { compMask, logIndTblSize }) => {
      requireZero('EOPNOTSUPP', compMask);
      const tail = command.requestTail(abi.ibUverbsExCreateRwqIndTable);
      const uobject = makeIndTable(command, logIndTblSize, tail);
      return {
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExCreateRwqIndTableResp.size),
        indTblHandle: uobject.handle,
        indTblNum: uobject.object?.table.indTableNum ?? 0,
      };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_DESTROY_RWQ_IND_TBL,
    'DESTROY_RWQ_IND_TBL',
    { request: abi.ibUverbsExDestroyRwqIndTable, supported: hasRss },
    (command, { compMask, indTblHandle }) => {
      requireZero('EOPNOTSUPP', compMask);
      command.destroy(indTableType, indTblHandle);
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_MODIFY_CQ,
    'MODIFY_CQ',
    { request: abi.ibUverbsExModifyCq },
    (command, { cqHandle, attrMask, attr, reserved }) => {
      if (attrMask === 0 || reserved !== 0)
        throw new Errno('EINVAL', 'nothing to change, or reserved is set');
      if (attrMask > 1) throw new Errno('EOPNOTSUPP', `unknown attributes 0x${attrMask.toString(16)}`);
      const { cq } = command.lookup(cqType, cqHandle);
      command.device.ops.modifyCq(cq, attr.cqCount, attr.cqPeriod);
    },
  ),
];
