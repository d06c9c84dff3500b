/** INVOKE_WRITE: a write command whose parts are attributes (core/uverbs_std_types_device.c). */
import { Errno } from '../../../devfs/index.js';
import { uverbsAttrsInvokeWriteCmdAttrIds } from '../../abi/index.js';
import { Command } from '../write/command.js';
import type { MethodCall } from './method-call.js';

const { UVERBS_ATTR_CORE_IN, UVERBS_ATTR_CORE_OUT, UVERBS_ATTR_WRITE_CMD } = uverbsAttrsInvokeWriteCmdAttrIds;

/**
 * Throws as the write door does for an unknown or unsupported number; ENOSPC for a legacy command whose request or
 * room for the response is too short.
 */
export function invokeWrite(call: MethodCall): void {
  const word = call.u64(UVERBS_ATTR_WRITE_CMD);
  if (word > 0xffff_ffffn) throw new Errno('EINVAL', 'the command has unknown bits');
  const row = call.file.uapi.writeCommand(Number(word));
  if (row === undefined)
    throw new Errno('EOPNOTSUPP', `write command 0x${word.toString(16)} is not supported`);
  const request = call.has(UVERBS_ATTR_CORE_IN)
    ? call.bytesIn(UVERBS_ATTR_CORE_IN)
    : new DataView(new ArrayBuffer(0));
  const response = call.buffer(UVERBS_ATTR_CORE_OUT);
  if (!row.extended && (request.byteLength < row.requestSize || (response?.length ?? 0) < row.responseSize)) {
    throw new Errno('ENOSPC', `${row.name} is too short`);
  }
  call.delegate(new Command(call.file, call.call, call.udata, { request, response }), (command) => {
    row.run(command as Command);
    call.validOutput(UVERBS_ATTR_CORE_OUT);
  });
}
