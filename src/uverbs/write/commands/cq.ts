/** Completion queues (core/uverbs_cmd.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import { CompletionChannel } from '../../events/completion-channel.js';
import { type CqRequest, cqType, createCq, type UserCq } from '../../operations/cq.js';
import { type Command, extended, legacy, type WriteCommand } from '../command.js';
import { requireZero } from './require-zero.js';

const Cmd = abi.ibUverbsWriteCmds;
const ExCmd = abi.ibUserVerbsExCmd;

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

export const cqCommands: readonly WriteCommand[] = [
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_CQ,
    'CREATE_CQ',
    { request: abi.ibUverbsCreateCq, response: abi.ibUverbsCreateCqResp, udata: true },
    (command, request) => makeCq(command, { ...request, flags: 0 }),
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
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_CQ,
    'DESTROY_CQ',
    { request: abi.ibUverbsDestroyCq, response: abi.ibUverbsDestroyCqResp },
    (command, { cqHandle }) => {
      const { completions, events } = command.destroy(cqType, cqHandle);
      return { compEventsReported: completions.reported, asyncEventsReported: events.reported };
    },
  ),
];
