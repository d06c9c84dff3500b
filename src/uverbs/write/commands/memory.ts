/** Protection domains, memory regions and windows (core/uverbs_cmd.c). */
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { mrType, regMr, reregMr } from '../../operations/mr.js';
import { mwType, newMw } from '../../operations/mw.js';
import { allocPd, pdType } from '../../operations/pd.js';
import { legacy, type WriteCommand } from '../command.js';

const Cmd = abi.ibUverbsWriteCmds;

const hasMw = (ops: DeviceOps): boolean => ops.memoryWindows !== undefined;

export const memoryCommands: readonly WriteCommand[] = [
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
];
