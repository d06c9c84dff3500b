/** A write command as a row of a table, and the context of one that is being executed. */
import { Errno } from '../../../devfs/index.js';
import { readZeroExtended, type Struct } from '../../abi/index.js';
import type { DeviceOps } from '../../core/device-ops.js';
import { Bundle, requireZeroFrom, type UserBuffer } from '../bundle.js';

/** The core part of a command: its request bytes, and where its response goes. */
export interface CorePart {
  request: DataView;
  response: UserBuffer | undefined;
}

/** A command that is being executed. */
export class Command extends Bundle {
  readonly #core: CorePart;

  constructor(file: Bundle['file'], call: Bundle['call'], udata: Bundle['udata'], core: CorePart) {
    super(file, call, udata);
    this.#core = core;
  }

  /**
   * The request: what is missing at its end is zero, what is too much must be (EOPNOTSUPP). One with a tail must be
   * whole (ENOSPC).
   */
  request<T>(struct: Struct<T, never>, hasTail: boolean): T {
    const { request } = this.#core;
    if (hasTail && request.byteLength < struct.size) throw new Errno('ENOSPC', 'the request is too short');
    if (!hasTail) requireZeroFrom(request, struct.size);
    return readZeroExtended(struct, request, 0, Math.min(request.byteLength, struct.size));
  }

  /** What follows the struct in the request: the array of a command that has one. */
  requestTail(struct: Struct<unknown, never>): DataView {
    const { request } = this.#core;
    const at = Math.min(struct.size, request.byteLength);
    return new DataView(request.buffer, request.byteOffset + at, request.byteLength - at);
  }

  /** Bytes of room for the core response. */
  get responseLength(): number {
    return this.#core.response?.length ?? 0;
  }

  /** Address of a response field, for a number that only the client agent will know. */
  responseAddress(offset: number): bigint {
    const { response } = this.#core;
    if (response === undefined) throw new Errno('EFAULT', 'the command has no response buffer');
    return response.address + BigInt(offset);
  }

  /** Sends the response: cut to the room that is there, excess room zeroed. */
  respond<T>(struct: Struct<unknown, T>, value: T): void {
    const { response } = this.#core;
    if (response === undefined || response.length === 0) return;
    const { address, length } = response;
    this.copyStruct(address, length, struct, value);
    if (length > struct.size) this.clearOut(address + BigInt(struct.size), length - struct.size);
  }
}

/** One row of the command tables. */
export interface WriteCommand {
  readonly number: number;
  readonly name: string;
  readonly extended: boolean;
  /** Sizes that a legacy command must at least have; extended ones are not checked (core/uverbs_uapi.c). */
  readonly requestSize: number;
  readonly responseSize: number;
  /** Whether bytes behind the core parts belong to the driver. */
  readonly udata: boolean;
  /** Whether this driver has it; else the number is as good as unknown. */
  readonly supported: (ops: DeviceOps) => boolean;
  readonly run: (command: Command) => void;
}

interface Layout<Req, Resp> {
  request: Struct<Req, never>;
  response?: Struct<unknown, Resp>;
  udata?: boolean;
  /** An array follows the request. */
  tail?: boolean;
  supported?: (ops: DeviceOps) => boolean;
}

/** Returns the response; `undefined` if there is none, or it was sent already because more had to follow. */
type Handler<Req, Resp> = (command: Command, request: Req) => Resp | undefined;

function row<Req, Resp>(
  extended: boolean,
  number: number,
  name: string,
  layout: Layout<Req, Resp>,
  handler: Handler<Req, Resp>,
): WriteCommand {
  const { request, response } = layout;
  return {
    number,
    name,
    extended,
    requestSize: request.size,
    responseSize: response?.size ?? 0,
    udata: layout.udata ?? false,
    supported: layout.supported ?? (() => true),
    run: (command) => {
      const value = handler(command, command.request(request, layout.tail ?? false));
      if (response !== undefined && value !== undefined) command.respond(response, value);
    },
  };
}

/** A legacy command (enum ib_uverbs_write_cmds). */
export function legacy<Req, Resp>(
  number: number,
  name: string,
  layout: Layout<Req, Resp>,
  handler: Handler<Req, Resp>,
): WriteCommand {
  return row(false, number, name, layout, handler);
}

/** An extended command. */
export function extended<Req, Resp>(
  number: number,
  name: string,
  layout: Layout<Req, Resp>,
  handler: Handler<Req, Resp>,
): WriteCommand {
  return row(true, number, name, layout, handler);
}
