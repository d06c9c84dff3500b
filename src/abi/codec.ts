/** What the generated read and write functions need beyond DataView's own methods. */

import type { Struct } from './struct.js';

/** A copy: the memory of a request does not outlive its handling. */
export function readBytes(view: DataView, at: number, length: number): Uint8Array {
  return bytesAt(view, at, length).slice();
}

/** Writes an array member of bytes; a shorter value is followed by zeroes, a longer one is a mistake. */
export function writeBytes(view: DataView, at: number, length: number, value: Uint8Array | undefined): void {
  const target = bytesAt(view, at, length);
  if (value === undefined) {
    target.fill(0);
  } else {
    target.set(value);
    target.fill(0, value.length);
  }
}

export function readStructs<T>(struct: Struct<T, never>, view: DataView, at: number, length: number): T[] {
  return Array.from({ length }, (_, i) => struct.read(view, at + i * struct.size));
}

/** Writes an array member of structs; missing elements become zeroes. */
export function writeStructs<Init>(
  struct: Struct<unknown, Init>,
  view: DataView,
  at: number,
  length: number,
  values: readonly Init[],
): void {
  clear(view, at, length * struct.size);
  values.slice(0, length).forEach((value, i) => {
    struct.write(view, at + i * struct.size, value);
  });
}

export function clear(view: DataView, at: number, length: number): void {
  bytesAt(view, at, length).fill(0);
}

function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}
