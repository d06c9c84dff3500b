/**
 * The write(2) door (core/uverbs_main.c, ib_uverbs_write): headers, their checks in the kernel's order, and
 * where the parts of a command lie. Nothing here needs the device, so it answers the same after removal.
 */
import { type Call, type DescriptorReply, Errno } from '../../../devfs/index.js';
import { ibUverbsWriteCmds } from '../../abi/index.js';
import type { UserBuffer } from '../bundle.js';
import type { UverbsFile } from '../file.js';
import { ClientUdata, type UdataInput } from '../udata.js';
import { Command, type CorePart, type WriteCommand } from './command.js';

/** struct ib_uverbs_cmd_hdr: u32 command, u16 in_words, u16 out_words. */
const HEADER_SIZE = 8;
/** struct ib_uverbs_ex_cmd_hdr: u64 response, u16 provider_in_words, u16 provider_out_words, u32 reserved. */
const EX_HEADER_SIZE = 16;
/** Beyond it lies no user memory (TASK_SIZE_MAX of x86-64 with four-level page tables). */
const USER_SPACE_END = 0x7fff_ffff_f000n;

interface Parts {
  core: CorePart;
  input: UdataInput | undefined;
  output: UserBuffer | undefined;
}

/** Executes one command; the result is that of write(2). */
export function runWrite(file: UverbsFile, call: Call, data: Buffer): number | DescriptorReply {
  if (!file.hasCredentialsOf(call)) throw new Errno('EACCES', 'the file was opened with other credentials');
  if (data.length < HEADER_SIZE) throw new Errno('EINVAL', 'a command is at least 8 bytes long');
  const word = data.readUInt32LE(0);
  const row = file.uapi.writeCommand(word);
  // A number in the table without a command behind it is checked as a legacy one, even an extended number.
  const parts = row?.extended === true ? extendedParts(data) : legacyParts(data, row);
  if (row === undefined)
    throw new Errno('EOPNOTSUPP', `write command 0x${word.toString(16)} is not supported`);
  return execute(file, call, row, parts, data.length);
}

/** Runs a command whose parts are known. */
export function execute(
  file: UverbsFile,
  call: Call,
  row: WriteCommand,
  { core, input, output }: Parts,
  result: number,
): number | DescriptorReply {
  const command = new Command(
    file,
    call,
    new ClientUdata(
      call.tid,
      () => input,
      () => output,
    ),
    core,
  );
  try {
    row.run(command);
    return command.finish(result);
  } catch (error) {
    command.abort();
    throw error;
  }
}

function legacyParts(data: Buffer, row: WriteCommand | undefined): Parts {
  const inWords = data.readUInt16LE(4);
  const outLength = data.readUInt16LE(6) * 4;
  if (inWords * 4 !== data.length)
    throw new Errno('EINVAL', `in_words says ${inWords * 4} of ${data.length} bytes`);
  const requestSize = row?.requestSize ?? 0;
  const responseSize = row?.responseSize ?? 0;
  if (data.length < HEADER_SIZE + requestSize) {
    // An early libibverbs counted DESTROY_CQ wrongly; the kernel lets exactly that pass, and looks no further.
    const tolerated = row?.number === ibUverbsWriteCmds.IB_USER_VERBS_CMD_DESTROY_CQ && data.length === 16;
    if (!tolerated) throw new Errno('ENOSPC', 'the request is too short');
  } else if (outLength < responseSize) {
    throw new Errno('ENOSPC', 'there is too little room for the response');
  }
  const request = Buffer.from(data.buffer, data.byteOffset + HEADER_SIZE, data.length - HEADER_SIZE);
  const coreLength = row?.udata === true ? Math.min(requestSize, request.length) : request.length;
  const core: CorePart = {
    request: new DataView(request.buffer, request.byteOffset, coreLength),
    response: undefined,
  };
  if (responseSize === 0) return { core, input: undefined, output: undefined };
  const address = responseAddress(request);
  if (row?.udata !== true) {
    core.response = { address, length: outLength };
    return { core, input: undefined, output: undefined };
  }
  core.response = { address, length: responseSize };
  return {
    core,
    input: request.subarray(requestSize),
    output: { address: address + BigInt(responseSize), length: outLength - responseSize },
  };
}

/** Every legacy request with a response begins with its address. */
function responseAddress(request: Buffer): bigint {
  if (request.length < 8) throw new Errno('EFAULT', 'the response address lies outside the request');
  return request.readBigUInt64LE(0);
}

function extendedParts(data: Buffer): Parts {
  if (data.length < HEADER_SIZE + EX_HEADER_SIZE) {
    throw new Errno('EINVAL', 'an extended command is at least 24 bytes long');
  }
  const coreIn = data.readUInt16LE(4) * 8;
  const coreOut = data.readUInt16LE(6) * 8;
  const address = data.readBigUInt64LE(8);
  const driverIn = data.readUInt16LE(16) * 8;
  const driverOut = data.readUInt16LE(18) * 8;
  if (coreIn + driverIn !== data.length - HEADER_SIZE - EX_HEADER_SIZE) {
    throw new Errno('EINVAL', 'the words of the headers do not add up to the length of the write');
  }
  if (data.readUInt32LE(20) !== 0) throw new Errno('EINVAL', 'cmd_hdr_reserved is set');
  const outLength = coreOut + driverOut;
  if ((address !== 0n) !== outLength > 0) {
    throw new Errno('EINVAL', 'a response needs both an address and a length');
  }
  if (address + BigInt(outLength) > USER_SPACE_END)
    throw new Errno('EFAULT', 'the response is not in user space');
  const start = HEADER_SIZE + EX_HEADER_SIZE;
  return {
    core: {
      request: new DataView(data.buffer, data.byteOffset + start, coreIn),
      response: { address, length: coreOut },
    },
    input: data.subarray(start + coreIn),
    output: { address: address + BigInt(coreOut), length: driverOut },
  };
}
