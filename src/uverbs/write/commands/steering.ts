/** Flow rules, and work queues with their indirection tables (core/uverbs_cmd.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { cqType } from '../../operations/cq.js';
import { flowType, makeFlow } from '../../operations/flow.js';
import { pdType } from '../../operations/pd.js';
import { indTableType, makeIndTable, makeWq, modifyUserWq, wqType } from '../../operations/wq.js';
import { extended, type WriteCommand } from '../command.js';
import { requireZero } from './require-zero.js';

const ExCmd = abi.ibUserVerbsExCmd;

const hasFlows = (ops: DeviceOps): boolean => ops.flows !== undefined;
const hasRss = (ops: DeviceOps): boolean => ops.rss !== undefined;

export const steeringCommands: readonly WriteCommand[] = [
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
];
