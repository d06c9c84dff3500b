/** What the session tells the kernel unasked (fuse_notify_code): each a complete message. */
import { Notify, Size } from './constants.js';
import type { Inode } from './inodes.js';
import { setU64 } from './messages.js';

/** FUSE_NOTIFY_POLL: u64 kh. */
export function pollWakeup(kernelHandle: number): Uint8Array {
  const { bytes, view } = message(Notify.POLL, 8);
  setU64(view, Size.OUT_HEADER, kernelHandle);
  return bytes;
}

/** FUSE_NOTIFY_INVAL_ENTRY: u64 parent, u32 namelen, u32 flags, name. */
export function invalEntry(parent: Inode, name: string): Uint8Array {
  const { bytes, view, nameLength } = named(Notify.INVAL_ENTRY, 16, name);
  setU64(view, 16, parent.nodeid);
  view.setUint32(24, nameLength, true);
  return bytes;
}

/** FUSE_NOTIFY_DELETE: u64 parent, u64 child, u32 namelen, u32 padding, name. */
export function deleteEntry(parent: Inode, child: Inode, name: string): Uint8Array {
  const { bytes, view, nameLength } = named(Notify.DELETE, 24, name);
  setU64(view, 16, parent.nodeid);
  setU64(view, 24, child.nodeid);
  view.setUint32(32, nameLength, true);
  return bytes;
}

/** A message with a name behind `fixed` bytes that are to be filled in. */
function named(
  code: number,
  fixed: number,
  name: string,
): { bytes: Buffer; view: DataView; nameLength: number } {
  const nameBytes = Buffer.from(`${name}\0`, 'utf8');
  const { bytes, view } = message(code, fixed + nameBytes.length);
  nameBytes.copy(bytes, Size.OUT_HEADER + fixed);
  return { bytes, view, nameLength: nameBytes.length - 1 };
}

/** A message of `length` zero bytes behind its header. */
function message(code: number, length: number): { bytes: Buffer; view: DataView } {
  const bytes = Buffer.alloc(Size.OUT_HEADER + length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(0, bytes.length, true);
  view.setInt32(4, code, true);
  return { bytes, view };
}
