/** Queue pairs and their multicast groups (core/uverbs_cmd.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { QpAttr } from '../../../core/objects.js';
import { attachMcast, detachMcast } from '../../../core/verbs.js';
import { modifyUserQp, openQp, qpType } from '../../operations/qp.js';
import { type Command, extended, legacy, type WriteCommand } from '../command.js';
import { createQpByWrite } from './create-qp.js';

const Cmd = abi.ibUverbsWriteCmds;
const ExCmd = abi.ibUserVerbsExCmd;

const hasXrc = (ops: DeviceOps): boolean => ops.xrc !== undefined;

/** The standard attributes of MODIFY_QP; the extended command knows the rate limit, too. */
const STANDARD_ATTRIBUTES = 2 * QpAttr.DEST_QPN - 1;

function modifyQp(
  command: Command,
  { qpHandle, attrMask, ...attributes }: abi.IbUverbsModifyQp,
  known: number,
): void {
  if ((attrMask & ~known) !== 0)
    throw new Errno('EOPNOTSUPP', `unknown attributes in 0x${attrMask.toString(16)}`);
  modifyUserQp(command, command.lookup(qpType, qpHandle), attrMask, attributes);
}

export const qpCommands: readonly WriteCommand[] = [
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_QP,
    'CREATE_QP',
    { request: abi.ibUverbsCreateQp, response: abi.ibUverbsCreateQpResp, udata: true },
    (command, request) =>
      createQpByWrite(command, { ...request, compMask: 0, createFlags: 0, rwqIndTblHandle: 0, sourceQpn: 0 }),
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
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_QP,
    'QUERY_QP',
    { request: abi.ibUverbsQueryQp, response: abi.ibUverbsQueryQpResp },
    (command, { qpHandle }) => {
      const { qp } = command.lookup(qpType, qpHandle);
      return command.device.ops.queryQp(qp);
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_MODIFY_QP,
    'MODIFY_QP',
    { request: abi.ibUverbsModifyQp },
    (command, request) => modifyQp(command, request, STANDARD_ATTRIBUTES),
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
    (command, { gid, qpHandle, mlid }) => {
      const { qp } = command.lookup(qpType, qpHandle);
      attachMcast(command.device, qp, { gid, lid: mlid });
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_DETACH_MCAST,
    'DETACH_MCAST',
    { request: abi.ibUverbsDetachMcast },
    (command, { gid, qpHandle, mlid }) => {
      const { qp } = command.lookup(qpType, qpHandle);
      detachMcast(command.device, qp, { gid, lid: mlid });
    },
  ),
];
