/** A device without a daemon, and a client that calls its operations. */
import { Errno } from '../../../devfs/errno.js';
import type { DeviceOps } from '../../../src/core/device-ops.js';
import type { ProtectionDomain, QpCapabilities, QpInit, Ucontext } from '../../../src/core/objects.js';
import type { Udata } from '../../../src/core/udata.js';
import { Subnet } from '../../../src/fabric/subnet.js';
import { createMlx4Device, type Mlx4Device, type Mlx4Options } from '../../../src/mlx4/device.js';

/** Driver data in buffers; without input, or with no room for output, using it is EFAULT. */
export class BufferUdata implements Udata {
  /** The process that `openHca` was last called for. */
  static client = process.pid;

  readonly pid = BufferUdata.client;
  readonly #input: Uint8Array;
  readonly output: Uint8Array;

  constructor(input: Uint8Array = new Uint8Array(0), outputLength = 0) {
    this.#input = input;
    this.output = new Uint8Array(outputLength);
  }

  get inputLength(): number {
    return this.#input.length;
  }

  get outputLength(): number {
    return this.output.length;
  }

  copyIn(length: number): DataView {
    if (this.#input.length < length) throw new Errno('EFAULT', 'no input');
    return new DataView(this.#input.buffer, this.#input.byteOffset, length);
  }

  copyOut(bytes: Uint8Array): void {
    if (this.output.length < bytes.length) throw new Errno('EFAULT', 'no output');
    this.output.set(bytes);
  }
}

/** The name of the error that a call ends with; '' if it succeeds. */
export function errorOf(call: () => unknown): string {
  try {
    call();
    return '';
  } catch (error) {
    if (error instanceof Errno) return error.code;
    throw error;
  }
}

export interface Hca {
  ops: DeviceOps;
  context: Ucontext;
  pd: ProtectionDomain;
}

/** A device with two ports that nobody knows of yet. */
export function makeHca(options: Partial<Mlx4Options> = {}): Mlx4Device {
  return createMlx4Device(
    {
      name: 'mlx4_0',
      nodeGuid: 0x0002_c903_00a1_b2c0n,
      firmware: '2.42.5000',
      boardId: 'MT_1090120019',
      pciAddress: '1000:03:00.0',
      ports: 2,
      withoutDisassociate: false,
      ...options,
    },
    new Subnet(),
  );
}

/** A device with one context of process `pid` and one PD in it. */
export function openHca(pid: number, options: Partial<Mlx4Options> = {}): Hca {
  const { device } = makeHca(options);
  const { ops } = device;
  BufferUdata.client = pid;
  device.registered = true;
  const owner = { pid, comm: 'test' };
  const pages = { revoke() {}, buffer: new ArrayBuffer(0) };
  const context = ops.allocUcontext(device, owner, pages, new BufferUdata(undefined, 16));
  return { ops, context, pd: ops.allocPd(context, new BufferUdata(undefined, 8)) };
}

/** `buf_addr`, `db_addr`: what CREATE_CQ and CREATE_SRQ take. */
export function addresses(buffer: bigint, doorbell: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setBigUint64(0, buffer, true);
  view.setBigUint64(8, doorbell, true);
  return new Uint8Array(view.buffer);
}

export interface QpMemory {
  buffer: bigint;
  doorbell: bigint;
  logEntries?: number;
  logStride?: number;
  inlineReceive?: number;
}

/** mlx4_ib_create_qp. */
export function qpInput({
  buffer,
  doorbell,
  logEntries = 6,
  logStride = 6,
  inlineReceive = 0,
}: QpMemory): Uint8Array {
  const bytes = new Uint8Array(24);
  bytes.set(addresses(buffer, doorbell));
  const view = new DataView(bytes.buffer);
  view.setUint8(16, logEntries);
  view.setUint8(17, logStride);
  view.setUint32(20, inlineReceive, true);
  return bytes;
}

export const SMALL_QP: QpCapabilities = {
  maxSendWr: 31,
  maxRecvWr: 10,
  maxSendSge: 1,
  maxRecvSge: 1,
  maxInlineData: 0,
};

export function qpInit(init: Partial<QpInit> & { type: number }): QpInit {
  return {
    sendCq: undefined,
    recvCq: undefined,
    srq: undefined,
    xrcd: undefined,
    indTable: undefined,
    cap: SMALL_QP,
    sqSigAll: false,
    createFlags: 0,
    ...init,
  };
}
