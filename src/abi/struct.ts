/** The description of one struct of the kernel's ABI: its layout, and its values to and from memory. */

/** One member. Those of an unnamed struct or union inside have dotted names, as in attr_data.reserved. */
export interface Field {
  readonly name: string;
  /** u8 to u64, s8 to s64, be16 to be64, or a struct's name; arrays append [n], a flexible one []. */
  readonly type: string;
  readonly offset: number;
  readonly size: number;
}

/**
 * `read` returns all fields, reserved ones too, because the kernel refuses requests with some of them set.
 * `write` sets every one of the `size` bytes, padding included; `Init` is `T` with what may be left out.
 */
export interface Struct<T, Init = T> {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
  readonly read: (view: DataView, at: number) => T;
  readonly write: (view: DataView, at: number, value: Init) => void;
}

export function sizeofStruct(struct: Struct<unknown, never>): number {
  return struct.size;
}

/**
 * Reads a struct of which only `available` bytes were supplied, the rest being zero. This is how the kernel
 * takes requests of clients built against older headers (uverbs_request() in drivers/infiniband/core/
 * uverbs_cmd.c). What to do about bytes beyond the struct is the caller's business.
 */
export function readZeroExtended<T>(
  struct: Struct<T, never>,
  view: DataView,
  at: number,
  available: number,
): T {
  if (available >= struct.size) return struct.read(view, at);
  const extended = new Uint8Array(struct.size);
  extended.set(new Uint8Array(view.buffer, view.byteOffset + at, available));
  return struct.read(new DataView(extended.buffer), 0);
}
