/**
 * The driver's private part of a command, as the kernel's ib_udata: bytes that only the driver understands,
 * in and out of the client's memory.
 */
export interface Udata {
  /**
   * Process id of the caller, whose memory the addresses in the command mean. Not always the process that made the
   * context: its children may use it, too.
   */
  readonly pid: number;
  /** Bytes that the client says it supplied and has room for. */
  readonly inputLength: number;
  readonly outputLength: number;
  /** The first `length` bytes of the input; as in the kernel their number is not checked. Throws EFAULT. */
  copyIn(length: number): DataView;
  /**
   * Writes at the start of the output, whatever its stated length; `bytes` can be used again at once. A bad address
   * can fail the command as late as at its end. Throws EFAULT.
   */
  copyOut(bytes: Uint8Array): void;
}
