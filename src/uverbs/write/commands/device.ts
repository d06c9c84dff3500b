/** The device, a client's context on it, and its completion channels (core/uverbs_cmd.c). */
import * as abi from '../../../abi/index.js';
import { getContext, newAsyncEventFile, newCompletionChannel } from '../../operations/context.js';
import { queryDevice, queryPort } from '../../operations/device.js';
import { extended, legacy, type WriteCommand } from '../command.js';
import { requireZero } from './require-zero.js';

const Cmd = abi.ibUverbsWriteCmds;
const ExCmd = abi.ibUserVerbsExCmd;

export const deviceCommands: readonly WriteCommand[] = [
  legacy(
    Cmd.IB_USER_VERBS_CMD_GET_CONTEXT,
    'GET_CONTEXT',
    { request: abi.ibUverbsGetContext, response: abi.ibUverbsGetContextResp, udata: true },
    (command) => {
      const { numCompVectors } = command.device.ops;
      // The descriptor's number is the first field of the response; the agent overwrites it.
      command.respond(abi.ibUverbsGetContextResp, { asyncFd: 0, numCompVectors });
      getContext(command);
      newAsyncEventFile(command, { address: command.responseAddress(0), width: 4 }, () =>
        command.file.dropContext(),
      );
      return undefined;
    },
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
    Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE,
    'QUERY_DEVICE',
    { request: abi.ibUverbsQueryDevice, response: abi.ibUverbsQueryDeviceResp },
    (command) => queryDevice(command).base,
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
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_PORT,
    'QUERY_PORT',
    { request: abi.ibUverbsQueryPort, response: abi.ibUverbsQueryPortResp },
    (command, { portNum }) => queryPort(command, portNum),
  ),
];
