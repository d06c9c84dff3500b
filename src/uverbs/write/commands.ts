/** The write commands (core/uverbs_cmd.c, uverbs_def_write_intf), each a row. */
import { Errno } from '../../../devfs/index.js';
import * as abi from '../../abi/index.js';
import { getContext, newAsyncEventFile, newCompletionChannel } from '../operations/context.js';
import { queryDevice, queryPort } from '../operations/device.js';
import { allocPd, pdType } from '../operations/pd.js';
import { extended, legacy, type WriteCommand } from './command.js';

const Cmd = abi.ibUverbsWriteCmds;
const ExCmd = abi.ibUserVerbsExCmd;

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
    Cmd.IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL,
    'CREATE_COMP_CHANNEL',
    { request: abi.ibUverbsCreateCompChannel, response: abi.ibUverbsCreateCompChannelResp },
    (command) => {
      newCompletionChannel(command, { address: command.responseAddress(0), width: 4 });
      return { fd: 0 };
    },
  ),
  extended(
    ExCmd.IB_USER_VERBS_EX_CMD_QUERY_DEVICE,
    'EX_QUERY_DEVICE',
    { request: abi.ibUverbsExQueryDevice, response: abi.ibUverbsExQueryDeviceResp, udata: true },
    (command, { compMask, reserved }) => {
      const { ops } = command.context.device;
      if (compMask !== 0 || reserved !== 0) throw new Errno('EINVAL', 'comp_mask or reserved is set');
      ops.queryDeviceUdata(command.udata);
      return {
        ...queryDevice(command),
        compMask: 0,
        responseLength: Math.min(command.responseLength, abi.ibUverbsExQueryDeviceResp.size),
      };
    },
  ),
];
