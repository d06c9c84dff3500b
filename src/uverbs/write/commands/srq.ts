/** Shared receive queues and XRC domains (core/uverbs_cmd.c). */
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { SrqType } from '../../../core/objects.js';
import { cqType } from '../../operations/cq.js';
import { pdType } from '../../operations/pd.js';
import { invalidUnlessFound } from '../../operations/qp.js';
import { makeSrq, srqType } from '../../operations/srq.js';
import { openXrcd, xrcdType } from '../../operations/xrcd.js';
import { type Command, legacy, type WriteCommand } from '../command.js';

const Cmd = abi.ibUverbsWriteCmds;

const hasXrc = (ops: DeviceOps): boolean => ops.xrc !== undefined;

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

export const srqCommands: readonly WriteCommand[] = [
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
    Cmd.IB_USER_VERBS_CMD_CREATE_XSRQ,
    'CREATE_XSRQ',
    { request: abi.ibUverbsCreateXsrq, response: abi.ibUverbsCreateSrqResp, udata: true },
    makeSrqByWrite,
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ,
    'MODIFY_SRQ',
    { request: abi.ibUverbsModifySrq, udata: true },
    (command, { srqHandle, attrMask, maxWr, srqLimit }) => {
      const { srq } = command.lookup(srqType, srqHandle);
      command.device.ops.modifySrq(srq, attrMask, { maxWr, srqLimit });
    },
  ),
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_SRQ,
    'QUERY_SRQ',
    { request: abi.ibUverbsQuerySrq, response: abi.ibUverbsQuerySrqResp },
    (command, { srqHandle }) => {
      const { srq } = command.lookup(srqType, srqHandle);
      return command.device.ops.querySrq(srq);
    },
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
];
