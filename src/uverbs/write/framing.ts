/**
 * The write(2) door (core/uverbs_main.c, ib_uverbs_write): headers, their checks in the kernel's order, and
 * where the parts of a command lie. Nothing here needs the device, so it answers the same after removal.
 */
import { type Call, copyFromUser, type DescriptorReply, Errno } from '../../../devfs/index.js';
import { IB_USER_VERBS_CMD_FLAG_EXTENDED, ibUverbsWriteCmds } from '../../abi/index.js';
import type { UserBuffer } from '../bundle.js';
import type { UverbsFile } from '../file.js';
import { ClientUdata } from '../udata.js';
import { RemovalInProgress } from '../uobject.js';
import { Command, type CorePart, type WriteCommand } from './command.js';
import { bufferAddress, vectorElements } from './user-buffer.js';

/** struct ib_uverbs_cmd_hdr: u32 command, u16 in_words, u16 out_words. */
const HEADER_SIZE = 8;
/** struct ib_uverbs_ex_cmd_hdr: u64 response, u16 provider_in_words, u16 provider_out_words, u32 reserved. */
const EX_HEADER_SIZE = 16;
/** Beyond it lies no user memory (TASK_SIZE_MAX of x86-64 with four-level page tables). */
const USER_SPACE_END = 0x7fff_ffff_f000n;

interface Parts {
  core: CorePart;
  /** The driver's input, and where in the caller's buffer it begins. */
  input: Buffer | undefined;
  inputOffset: number;
  output: UserBuffer | undefined;
}

/**
 * Executes a write(2), or each element of a writev(2), which is a command of its own. The result is that of the call.
 */
export function runWrite(file: UverbsFile, call: Call, data: Buffer): number | DescriptorReply {
  if (file.profile.checksCredentials && !file.hasCredentialsOf(call))
    throw new Errno('EACCES', 'the file was opened with other credentials');
  if (isWhole(data)) return runCommand(file, call, data);
  const elements = vectorElements(call, data);
  return elements === undefined ? runCommand(file, call, data) : runVector(file, call, elements);
}

/** Whether the lengths of the headers cover exactly these bytes. */
function isWhole(data: Buffer): boolean {
  if (data.length < HEADER_SIZE) return false;
  if (data.readUInt16LE(4) * 4 === data.length) return true;
  const body = data.length - HEADER_SIZE - EX_HEADER_SIZE;
  const isExtended = data.readUInt32LE(0) >= IB_USER_VERBS_CMD_FLAG_EXTENDED;
  return isExtended && body >= 0 && (data.readUInt16LE(4) + data.readUInt16LE(16)) * 8 === body;
}

/** The driver reads its structure whole, also beyond the end of a request that is too short for it. */
class WriteUdata extends ClientUdata {
  protected readonly input: Buffer | undefined;
  protected readonly output: UserBuffer | undefined;
  readonly #inputOffset: number;

  constructor(file: UverbsFile, call: Call, { input, inputOffset, output }: Parts) {
    super(file, call);
    this.input = input;
    this.output = output;
    this.#inputOffset = inputOffset;
  }

  protected override inputAddress(): bigint | undefined {
    const address = bufferAddress(this.call);
    return address === undefined ? undefined : address + BigInt(this.#inputOffset);
  }
}

/** Stops at the first command that fails or must wait, which the caller sees only if nothing was done before it. */
function runVector(file: UverbsFile, call: Call, elements: Buffer[]): number | DescriptorReply {
  let done = 0;
  for (const element of elements) {
    try {
      const result = runCommand(file, call, element);
      // The agent answers the system call, so a command that makes a descriptor is the last one.
      if (typeof result !== 'number') return result.after(done);
      done += result;
    } catch (error) {
      if (done === 0 || !(error instanceof Errno || error instanceof RemovalInProgress)) throw error;
      return done;
    }
  }
  return done;
}

function runCommand(file: UverbsFile, call: Call, data: Buffer): number | DescriptorReply {
  if (data.length < HEADER_SIZE) throw new Errno('EINVAL', 'a command is at least 8 bytes long');
  if (file.profile.removedBeforeFraming && file.isRemoved) throw new Errno('EIO', 'the device was removed');
  const word = data.readUInt32LE(0);
  const row = file.uapi.writeCommand(word);
  // A number in the table without a command behind it is checked as a legacy one, even an extended number.
  const parts = row?.extended === true ? extendedParts(data) : legacyParts(call, data, row);
  if (row === undefined)
    throw new Errno('EOPNOTSUPP', `write command 0x${word.toString(16)} is not supported`);
  const command = new Command(file, call, new WriteUdata(file, call, parts), parts.core);
  try {
    row.run(command);
    return command.finish(data.length);
  } catch (error) {
    throw command.abort(error);
  }
}

function legacyParts(call: Call, data: Buffer, row: WriteCommand | undefined): Parts {
  const inLength = data.readUInt16LE(4) * 4;
  const outLength = data.readUInt16LE(6) * 4;
  if (inLength !== data.length)
    throw new Errno('EINVAL', `in_words says ${inLength} of ${data.length} bytes`);
  const { requestSize = 0, responseSize = 0, udata = false } = row ?? {};
  let request = data.subarray(HEADER_SIZE);
  if (request.length < requestSize) {
    request = miscountedRequest(call, data, row);
  } else if (outLength < responseSize) {
    throw new Errno('ENOSPC', 'there is too little room for the response');
  }
  const coreLength = udata ? requestSize : request.length;
  const address = responseSize > 0 ? request.readBigUInt64LE(0) : 0n;
  const coreOut = udata ? responseSize : outLength;
  return {
    core: {
      request: new DataView(request.buffer, request.byteOffset, coreLength),
      response: responseSize > 0 ? { address, length: coreOut } : undefined,
    },
    input: udata ? request.subarray(requestSize) : undefined,
    inputOffset: HEADER_SIZE + requestSize,
    output: udata ? { address: address + BigInt(coreOut), length: outLength - coreOut } : undefined,
  };
}

/**
 * An early libibverbs counted DESTROY_CQ as 16 bytes. The kernel lets exactly that pass, reads the whole request all
 * the same, and does not look at the room for the response. Throws ENOSPC for any other command.
 */
function miscountedRequest(call: Call, data: Buffer, row: WriteCommand | undefined): Buffer {
  const address = bufferAddress(call);
  const tolerated = row?.number === ibUverbsWriteCmds.IB_USER_VERBS_CMD_DESTROY_CQ && data.length === 16;
  if (row === undefined || !tolerated || address === undefined) {
    throw new Errno('ENOSPC', 'the request is too short');
  }
  return copyFromUser(call.tid, address + BigInt(HEADER_SIZE), row.requestSize);
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
    inputOffset: start + coreIn,
    output: { address: address + BigInt(coreOut), length: driverOut },
  };
}
