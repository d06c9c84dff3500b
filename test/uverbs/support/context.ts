/** A client's context and its first objects, made as libibverbs does. */
import * as abi from '../../../src/abi/index.js';
import { type Answer, outcome, succeeded, type UverbsDoor } from './door.js';
import {
  attr,
  attributesIn,
  type Command,
  extended,
  type Ioctl,
  ioctlMessage,
  legacy,
  parse,
} from './messages.js';

const Cmd = abi.ibUverbsWriteCmds;
const Obj = abi.uverbsDefaultObjects;
const Device = abi.uverbsMethodsDevice;
const GetContext = abi.uverbsAttrsGetContextAttrIds;

/** A context: its device file, and the file of its asynchronous events. */
export interface Context {
  fd: number;
  asyncFd: number;
}

export const GET_CONTEXT: Command = legacy(
  Cmd.IB_USER_VERBS_CMD_GET_CONTEXT,
  abi.ibUverbsGetContext,
  {},
  { response: abi.ibUverbsGetContextResp, driverOut: abi.mlx4IbAllocUcontextResp.size },
);

/** GET_CONTEXT with all its outputs: 4 bytes at 0, 8 at 8, 16 of the driver at 16. */
export const GET_CONTEXT_IOCTL: Ioctl = ioctlMessage(
  Obj.UVERBS_OBJECT_DEVICE,
  Device.UVERBS_METHOD_GET_CONTEXT,
  [
    attr.out(GetContext.UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, '@R', 4),
    attr.out(GetContext.UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, '@R+8;', 8),
    attr.out(abi.uverbsAttrUhw.UVERBS_ATTR_UHW_OUT, '@R+16;', abi.mlx4IbAllocUcontextResp.size),
  ],
);

export const ASYNC_EVENT_ALLOC: Ioctl = ioctlMessage(
  Obj.UVERBS_OBJECT_ASYNC_EVENT,
  abi.uverbsMethodAsyncEvent.UVERBS_METHOD_ASYNC_EVENT_ALLOC,
  [attr.newHandle(abi.uverbsAttrsAsyncEventCreate.UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE)],
);

/** Another file of asynchronous events. */
export async function allocAsyncFile(door: UverbsDoor, fd: number): Promise<number> {
  const answer = succeeded('ASYNC_EVENT_ALLOC', await door.ioctl(fd, ASYNC_EVENT_ALLOC));
  return Number(attributesIn(answer.buffer)[0]?.data);
}

export async function openByWrite(door: UverbsDoor, path: string): Promise<Context> {
  const fd = await door.open(path);
  const { response } = succeeded('GET_CONTEXT', await door.command(fd, GET_CONTEXT));
  return { fd, asyncFd: parse(abi.ibUverbsGetContextResp, response).asyncFd };
}

export async function openByIoctl(door: UverbsDoor, path: string): Promise<Context> {
  const fd = await door.open(path);
  succeeded('GET_CONTEXT', await door.ioctl(fd, GET_CONTEXT_IOCTL, 32));
  return { fd, asyncFd: await allocAsyncFile(door, fd) };
}

/** Both ways to a context, for tests that hold for both. */
export const opens = { write: openByWrite, ioctl: openByIoctl } as const;

// Questions

export const QUERY_DEVICE: Command = legacy(
  Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE,
  abi.ibUverbsQueryDevice,
  {},
  { response: abi.ibUverbsQueryDeviceResp },
);

/** Without room for what the driver has to say. */
export const EX_QUERY_DEVICE: Command = extended(
  abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_QUERY_DEVICE,
  abi.ibUverbsExQueryDevice,
  { compMask: 0 },
  { response: abi.ibUverbsExQueryDeviceResp },
);

export const queryPort = (portNum: number): Command =>
  legacy(
    Cmd.IB_USER_VERBS_CMD_QUERY_PORT,
    abi.ibUverbsQueryPort,
    { portNum },
    { response: abi.ibUverbsQueryPortResp },
  );

// Objects

export const ALLOC_PD: Command = legacy(
  Cmd.IB_USER_VERBS_CMD_ALLOC_PD,
  abi.ibUverbsAllocPd,
  {},
  { response: abi.ibUverbsAllocPdResp, driverOut: abi.mlx4IbAllocPdResp.size },
);

export const deallocPd = (pdHandle: number): Command =>
  legacy(Cmd.IB_USER_VERBS_CMD_DEALLOC_PD, abi.ibUverbsDeallocPd, { pdHandle });

export const CREATE_COMP_CHANNEL: Command = legacy(
  Cmd.IB_USER_VERBS_CMD_CREATE_COMP_CHANNEL,
  abi.ibUverbsCreateCompChannel,
  {},
  { response: abi.ibUverbsCreateCompChannelResp },
);

/** The queue lies at the beginning of the scratch buffer. */
export const createCq = (
  given: { cqe?: number; compChannel?: number; compVector?: number; userHandle?: bigint } = {},
): Command =>
  legacy(
    Cmd.IB_USER_VERBS_CMD_CREATE_CQ,
    abi.ibUverbsCreateCq,
    { userHandle: 0n, cqe: 15, compVector: 0, compChannel: -1, ...given },
    {
      response: abi.ibUverbsCreateCqResp,
      driverIn: '@B_@B+65536;',
      driverOut: abi.mlx4IbCreateCqResp.size,
    },
  );

export const destroyCq = (cqHandle: number): Command =>
  legacy(
    Cmd.IB_USER_VERBS_CMD_DESTROY_CQ,
    abi.ibUverbsDestroyCq,
    { cqHandle },
    { response: abi.ibUverbsDestroyCqResp },
  );

/** Local access to a page of the scratch buffer, at `start`. */
export const regMr = (pdHandle: number, start: bigint, given: Partial<abi.IbUverbsRegMr> = {}): Command =>
  legacy(
    Cmd.IB_USER_VERBS_CMD_REG_MR,
    abi.ibUverbsRegMr,
    { start, length: 4096n, hcaVa: start, pdHandle, accessFlags: 1, ...given },
    { response: abi.ibUverbsRegMrResp },
  );

export const deregMr = (mrHandle: number): Command =>
  legacy(Cmd.IB_USER_VERBS_CMD_DEREG_MR, abi.ibUverbsDeregMr, { mrHandle });

/** The handle, or descriptor, that is the first field of a response. */
export function handleIn({ response = '' }: Answer): number {
  return Buffer.from(response, 'hex').readInt32LE(0);
}

/** Makes an object that must be made; its handle or descriptor. */
export async function make(door: UverbsDoor, fd: number, command: Command): Promise<number> {
  return handleIn(succeeded(`write command ${command.number}`, await door.command(fd, command)));
}

/** How many objects of a type the context has, by the ioctl INFO_HANDLES. */
export async function countHandles(door: UverbsDoor, fd: number, objectId: number): Promise<number | string> {
  const Info = abi.uverbsAttrsInfoHandlesId;
  const answer = await door.ioctl(
    fd,
    ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_INFO_HANDLES, [
      attr.const(Info.UVERBS_ATTR_INFO_OBJECT_ID, objectId),
      attr.out(Info.UVERBS_ATTR_INFO_TOTAL_HANDLES, '@R', 4),
      attr.out(Info.UVERBS_ATTR_INFO_HANDLES_LIST, '@R+8;', 1024),
    ]),
    1032,
  );
  return outcome(answer) === 0 ? handleIn(answer) : outcome(answer);
}
