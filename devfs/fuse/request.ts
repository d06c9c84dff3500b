import { Call } from '../call.js';
import { Size } from './constants.js';
import { getU64 } from './messages.js';

/** One message from the kernel: the header of 40 bytes, decoded, and where its body lies in the input buffer. */
export class Request {
  readonly opcode: number;
  readonly unique: number;
  readonly nodeid: number;
  readonly uid: number;
  readonly gid: number;
  readonly tid: number;
  /** The input buffer; only valid until the handler returns or first waits. */
  readonly view: DataView;
  readonly bytes: Buffer;
  readonly length: number;

  constructor(view: DataView, bytes: Buffer, length: number) {
    this.view = view;
    this.bytes = bytes;
    this.length = length;
    this.opcode = view.getUint32(4, true);
    this.unique = getU64(view, 8);
    this.nodeid = getU64(view, 16);
    this.uid = view.getUint32(24, true);
    this.gid = view.getUint32(28, true);
    this.tid = view.getUint32(32, true);
  }

  /** The u32 or u64 at an offset of the body. */
  u32(at: number): number {
    return this.view.getUint32(Size.IN_HEADER + at, true);
  }

  u64(at: number): number {
    return getU64(this.view, Size.IN_HEADER + at);
  }

  /** The NUL-terminated string at an offset of the body. */
  string(at: number): string {
    const start = Size.IN_HEADER + at;
    const end = this.bytes.indexOf(0, start);
    return this.bytes.toString('utf8', start, end < 0 || end > this.length ? this.length : end);
  }

  /** `count` bytes at an offset of the body, as a view of the input buffer. */
  slice(at: number, count: number): Buffer {
    const start = Size.IN_HEADER + at;
    return this.bytes.subarray(start, Math.min(start + count, this.length));
  }

  call(flags: number): Call {
    return new Call(this.tid, this.uid, this.gid, flags);
  }
}
