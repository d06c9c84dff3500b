/**
 * What each FUSE request means: a table by opcode. A handler opens with the layout of its request, and of its
 * answer where there is one; payloads go to `session.out` behind the header.
 */
import { explain, presentAsDevice } from '../client/agent.js';
import { Errno } from '../errno.js';
import { DEFAULT_POLLMASK, DescriptorReply, type FileOperations } from '../file.js';
import type { CharacterDevice, Node } from '../nodes.js';
import { SharedPages } from '../shared-pages.js';
import { Opcode, OpenFlag, POLL_SCHEDULE_NOTIFY, READ_LOCKOWNER, SetAttr, Size } from './constants.js';
import { AttributeHandle, DirectoryHandle } from './handles.js';
import type { Inode } from './inodes.js';
import { direntType, negotiate, setU64, writeAttrOut, writeEntry, writeStatxOut } from './messages.js';
import type { Request } from './request.js';
import type { Answer, Payload, Session } from './session.js';

export interface Operation {
  readonly name: string;
  readonly handler: (session: Session, request: Request) => Answer;
}

const AT = Size.OUT_HEADER;
const EMPTY = 0;

function inodeOf(session: Session, request: Request): Inode {
  const inode = session.inodes.get(request.nodeid);
  if (inode === undefined) throw new Errno('ESTALE');
  return inode;
}

/** Attributes of a node that left the tree are gone, as a path to it is. Open device files keep theirs. */
function liveInodeOf(session: Session, request: Request): Inode {
  const inode = inodeOf(session, request);
  if (inode.removed && inode.node.kind !== 'device') throw new Errno('ENOENT');
  return inode;
}

/** init_in: u32 major, minor, max_readahead, flags, flags2; answer: init_out (64). */
function init(session: Session, request: Request): Answer {
  const result = negotiate(request.view, Size.IN_HEADER, session.out, AT);
  if (typeof result === 'number') return result;
  session.log.error({}, result);
  throw new Errno('EPROTO');
}

/** name; answer: entry_out (128). */
function lookup(session: Session, request: Request): Answer {
  const inode = inodeOf(session, request);
  if (inode.node.kind !== 'directory') throw new Errno('ENOTDIR');
  const name = request.string(0);
  const found = inode.node.entries.get(name) ?? session.pendingDescriptor(inode, name, request.tid);
  if (found === undefined) throw new Errno('ENOENT');
  writeEntry(session.out, AT, session.inodes.lookup(found));
  return Size.ENTRY_OUT;
}

/** u64 nlookup; no answer. */
function forget(session: Session, request: Request): Answer {
  session.inodes.forget(request.nodeid, request.u64(0));
  return undefined;
}

/** u32 count, u32 dummy, count x {u64 nodeid, u64 nlookup}; no answer. */
function batchForget(session: Session, request: Request): Answer {
  const count = request.u32(0);
  for (let i = 0; i < count; i++) session.inodes.forget(request.u64(8 + 16 * i), request.u64(16 + 16 * i));
  return undefined;
}

/** u32 getattr_flags, u32 dummy, u64 fh; answer: attr_out (104). */
function getattr(session: Session, request: Request): Answer {
  writeAttrOut(session.out, AT, liveInodeOf(session, request));
  return Size.ATTR_OUT;
}

/** u32 getattr_flags, u32 reserved, u64 fh, u32 sx_flags, u32 sx_mask; answer: statx_out (288). */
function statx(session: Session, request: Request): Answer {
  writeStatxOut(session.out, AT, liveInodeOf(session, request));
  return Size.STATX_OUT;
}

/** u32 valid@0, u32 mode@68, u32 uid@76, u32 gid@80; answer: attr_out. udev and admins set owner and mode of devices. */
function setattr(session: Session, request: Request): Answer {
  const inode = liveInodeOf(session, request);
  const { node } = inode;
  const valid = request.u32(0);
  if ((valid & SetAttr.SIZE) !== 0 && node.kind === 'device') throw new Errno('EINVAL');
  if ((valid & (SetAttr.MODE | SetAttr.UID | SetAttr.GID)) !== 0) {
    if (node.kind !== 'device') throw new Errno('EPERM');
    if ((valid & SetAttr.MODE) !== 0) node.mode = request.u32(68) & 0o7777;
    if ((valid & SetAttr.UID) !== 0) node.uid = request.u32(76);
    if ((valid & SetAttr.GID) !== 0) node.gid = request.u32(80);
  }
  writeAttrOut(session.out, AT, inode);
  return Size.ATTR_OUT;
}

/** no body; answer: the target without NUL. */
function readlink(session: Session, request: Request): Answer {
  const { node } = inodeOf(session, request);
  if (node.kind !== 'symlink') throw new Errno('EINVAL');
  return session.outBytes.write(node.target, AT, 'utf8');
}

/** open_out: u64 fh, u32 open_flags, s32 backing_id. */
function openOut(fh: number, flags: number, backingId = 0): Payload {
  return (out, at) => {
    setU64(out, at, fh);
    out.setUint32(at + 8, flags | OpenFlag.NOFLUSH, true);
    out.setInt32(at + 12, backingId, true);
    return Size.OPEN_OUT;
  };
}

/**
 * What makes calls on one open file independent of each other: PARALLEL_DIRECT_WRITES keeps writes from taking the
 * inode's lock, STREAM keeps reads and writes of a threaded client from taking the file position's. The kernel does
 * not allow STREAM beside PASSTHROUGH. Without PASSTHROUGH a private mapping reads its pages by READ requests, which
 * are refused (devfs/native/copy_watch.cc: also while the daemon itself waits for one).
 */
const MAPPABLE = OpenFlag.DIRECT_IO | OpenFlag.PARALLEL_DIRECT_WRITES | OpenFlag.PASSTHROUGH;
const UNMAPPABLE = OpenFlag.DIRECT_IO | OpenFlag.PARALLEL_DIRECT_WRITES | OpenFlag.STREAM;

/** open_in: u32 flags, u32 open_flags; answer: open_out. */
function open(session: Session, request: Request): Answer {
  const inode = inodeOf(session, request);
  const { node } = inode;
  switch (node.kind) {
    case 'attribute': {
      if (inode.removed) throw new Errno('ENOENT');
      const fh = session.addHandle(new AttributeHandle(inode, node));
      return openOut(fh, OpenFlag.DIRECT_IO | OpenFlag.PASSTHROUGH, session.noMapping())(session.out, AT);
    }
    case 'descriptor': {
      // Opened again through /proc; the kernel's own event files cannot be either.
      if (node.opened) throw new Errno('ENXIO');
      node.opened = true;
      const fh = session.addFile(inode, node.file);
      return openOut(fh, UNMAPPABLE)(session.out, AT);
    }
    case 'device':
      return openDevice(session, request, inode, node);
    default:
      throw new Errno('EINVAL');
  }
}

const NO_PAGES = { pages: SharedPages.none, backingId: 0 };

/** Opens a device, and lets the agent answer so that the client sees a character device. */
async function openDevice(
  session: Session,
  request: Request,
  inode: Inode,
  device: CharacterDevice,
): Promise<Payload | undefined> {
  const { unique, tid } = request;
  const call = request.call(request.u32(0));
  const mappable = device.mappableBytes > 0;
  const { pages, backingId } = mappable ? session.backing(inode, device) : NO_PAGES;
  inode.handles++; // keeps the pages while the open is under way
  let fh: number;
  try {
    const opened = device.open({ call, pages });
    fh = session.addFile(inode, await session.whileWaiting(unique, call, opened));
  } finally {
    inode.handles--;
    session.dropUnusedBacking(inode);
  }
  const result = await presentAsDevice({
    tid,
    fuseFd: session.fd,
    reply: session.message(unique, openOut(fh, mappable ? MAPPABLE : UNMAPPABLE, backingId)),
    mode: 0o020000 | device.mode,
    rdevMajor: device.major,
    rdevMinor: device.minor,
  });
  if (result.replied) return undefined;
  session.release(fh);
  session.log.warn({ tid, code: Errno.from(result.error).code }, `open refused: ${explain(result)}`);
  throw new Errno('EPERM');
}

/**
 * read_in: u64 fh, u64 offset, u32 size@16, u32 read_flags@20, u32 flags@32; answer: the bytes. Without an owner it is
 * no read(2) but a page of a private mapping: EIO.
 */
function read(session: Session, request: Request): Answer {
  const handle = session.handle(request.u64(0), 'attribute', 'file');
  const count = request.u32(16);
  if (handle.kind === 'attribute') return sendBytes(session, handle.read(request.u64(8), count), count);
  if (handle.operations.read === undefined) throw new Errno('EINVAL');
  if ((request.u32(20) & READ_LOCKOWNER) === 0) throw new Errno('EIO', 'the device has no pages');
  const call = request.call(request.u32(32));
  const bytes = handle.operations.read(call, count);
  if (!(bytes instanceof Promise)) return sendBytes(session, bytes, count);
  return session
    .whileWaiting(request.unique, call, bytes)
    .then((late) => () => sendBytes(session, late, count));
}

function sendBytes(session: Session, bytes: Uint8Array, limit: number): number {
  const sent = bytes.length > limit ? bytes.subarray(0, limit) : bytes;
  session.outBytes.set(sent, AT);
  return sent.length;
}

/** write_in: u64 fh, u64 offset, u32 size@16, u32 flags@32, data@40; answer: u32 size, u32 padding. */
function write(session: Session, request: Request): Answer {
  const handle = session.handle(request.u64(0), 'attribute', 'file');
  const data = request.slice(Size.WRITE_IN, request.u32(16));
  if (handle.kind === 'attribute') return writeOut(handle.write(data))(session.out, AT);
  if (handle.operations.write === undefined) throw new Errno('EINVAL');
  const call = request.call(request.u32(32));
  return finish(session, request.unique, call, handle.operations.write(call, data), writeOut);
}

function writeOut(count: number): Payload {
  return (out, at) => {
    out.setUint32(at, count, true);
    out.setUint32(at + 4, 0, true);
    return Size.WRITE_OUT;
  };
}

/**
 * ioctl_in: u64 fh, u32 flags, u32 cmd@12, u64 arg@16, u32 in_size@24, u32 out_size, data@32; answer: s32 result,
 * u32 flags, in_iovs, out_iovs, and no data: it would overwrite what the handler wrote to the caller itself.
 */
function ioctl(session: Session, request: Request): Answer {
  const handle = session.handle(request.u64(0), 'attribute', 'file', 'directory');
  if (handle.kind !== 'file' || handle.operations.ioctl === undefined) throw new Errno('ENOTTY');
  const argument = request.view.getBigUint64(Size.IN_HEADER + 16, true);
  const header = request.slice(Size.IOCTL_IN, request.u32(24));
  const call = request.call(0);
  const result = handle.operations.ioctl(call, request.u32(12), argument, header);
  return finish(session, request.unique, call, result, ioctlOut);
}

function ioctlOut(result: number): Payload {
  return (out, at) => {
    out.setInt32(at, result, true);
    for (const field of [4, 8, 12]) out.setUint32(at + field, 0, true);
    return Size.IOCTL_OUT;
  };
}

/** Answers a write or ioctl with its number, at once or later, or through the agent. */
function finish(
  session: Session,
  unique: number,
  call: Parameters<Session['whileWaiting']>[1],
  result: Awaited<ReturnType<NonNullable<FileOperations['write']>>> | Promise<number | DescriptorReply>,
  encode: (result: number) => Payload,
): Answer {
  if (typeof result === 'number') return encode(result)(session.out, AT);
  if (result instanceof DescriptorReply) {
    session.replyWithDescriptor(unique, call, result, encode(result.result));
    return undefined;
  }
  return session.whileWaiting(unique, call, result).then((late) => {
    if (typeof late === 'number') return encode(late);
    session.replyWithDescriptor(unique, call, late, encode(late.result));
    return undefined;
  });
}

/** poll_in: u64 fh, u64 kh, u32 flags@16, u32 events; answer: u32 revents, u32 padding. */
function poll(session: Session, request: Request): Answer {
  const handle = session.handle(request.u64(0), 'attribute', 'file');
  let revents = DEFAULT_POLLMASK;
  if (handle.kind === 'file' && handle.operations.poll !== undefined) {
    const watch = (request.u32(16) & POLL_SCHEDULE_NOTIFY) !== 0;
    const table = watch ? handle.pollTable(request.u64(8)) : { add: () => {} };
    revents = handle.operations.poll(request.call(0), table);
  }
  session.out.setUint32(AT, revents, true);
  session.out.setUint32(AT + 4, 0, true);
  return Size.POLL_OUT;
}

/** release_in: u64 fh. */
function release(session: Session, request: Request): Answer {
  session.release(request.u64(0));
  return EMPTY;
}

/** open_in; answer: open_out. */
function opendir(session: Session, request: Request): Answer {
  const inode = liveInodeOf(session, request);
  if (inode.node.kind !== 'directory') throw new Errno('ENOTDIR');
  return openOut(session.addHandle(new DirectoryHandle(inode, inode.node)), 0)(session.out, AT);
}

/** read_in; answer: dirents (u64 ino, u64 off, u32 namelen, u32 type, name, padding to 8), each behind an entry_out for readdirplus. */
function readdir(session: Session, request: Request, plus: boolean): Answer {
  const handle = session.handle(request.u64(0), 'directory');
  const offset = request.u64(8);
  const limit = AT + request.u32(16);
  let at: number = AT;
  let index = offset;
  for (const entry of handle.from(offset)) {
    index++;
    if (entry === undefined) continue;
    const [name, node] = entry;
    const nameLength = Buffer.byteLength(name);
    const prefix = plus ? Size.ENTRY_OUT : 0;
    const end = at + prefix + ((Size.DIRENT + nameLength + 7) & ~7);
    if (end > limit) break;
    session.outBytes.fill(0, at, end);
    // Devices get a node id only from a lookup of their own; node id 0 tells the kernel to make one.
    if (plus && name !== '.' && name !== '..' && node.kind !== 'device') {
      writeEntry(session.out, at, session.inodes.lookup(node));
    }
    writeDirent(session, at + prefix, name, nameLength, node, index);
    at = end;
  }
  return at - AT;
}

function writeDirent(
  session: Session,
  at: number,
  name: string,
  nameLength: number,
  node: Node,
  next: number,
): void {
  setU64(session.out, at, session.inodes.peek(node).nodeid);
  setU64(session.out, at + 8, next);
  session.out.setUint32(at + 16, nameLength, true);
  session.out.setUint32(at + 20, direntType(node), true);
  session.outBytes.write(name, at + Size.DIRENT, 'utf8');
}

/** no body; answer: kstatfs (80). */
function statfs(session: Session): Answer {
  session.outBytes.fill(0, AT, AT + Size.STATFS_OUT);
  session.out.setUint32(AT + 40, 4096, true); // bsize
  session.out.setUint32(AT + 44, 255, true); // namelen
  session.out.setUint32(AT + 48, 4096, true); // frsize
  return Size.STATFS_OUT;
}

/** The tree changes only from inside. */
function refuse(): Answer {
  throw new Errno('EPERM');
}

/** u64 unique of the request that its caller gave up; no answer. */
function interrupt(session: Session, request: Request): Answer {
  session.interrupt(request.u64(0));
  return undefined;
}

/** By opcode. What is missing is answered ENOSYS. */
export const operations: readonly (Operation | undefined)[] = table([
  [Opcode.LOOKUP, 'LOOKUP', lookup],
  [Opcode.FORGET, 'FORGET', forget],
  [Opcode.GETATTR, 'GETATTR', getattr],
  [Opcode.SETATTR, 'SETATTR', setattr],
  [Opcode.READLINK, 'READLINK', readlink],
  [Opcode.SYMLINK, 'SYMLINK', refuse],
  [Opcode.MKNOD, 'MKNOD', refuse],
  [Opcode.MKDIR, 'MKDIR', refuse],
  [Opcode.UNLINK, 'UNLINK', refuse],
  [Opcode.RMDIR, 'RMDIR', refuse],
  [Opcode.RENAME, 'RENAME', refuse],
  [Opcode.LINK, 'LINK', refuse],
  [Opcode.OPEN, 'OPEN', open],
  [Opcode.READ, 'READ', read],
  [Opcode.WRITE, 'WRITE', write],
  [Opcode.STATFS, 'STATFS', statfs],
  [Opcode.RELEASE, 'RELEASE', release],
  [Opcode.FLUSH, 'FLUSH', () => EMPTY],
  [Opcode.INIT, 'INIT', init],
  [Opcode.OPENDIR, 'OPENDIR', opendir],
  [Opcode.READDIR, 'READDIR', (session, request) => readdir(session, request, false)],
  [Opcode.RELEASEDIR, 'RELEASEDIR', release],
  [Opcode.CREATE, 'CREATE', refuse],
  [Opcode.INTERRUPT, 'INTERRUPT', interrupt],
  [Opcode.DESTROY, 'DESTROY', () => EMPTY],
  [Opcode.IOCTL, 'IOCTL', ioctl],
  [Opcode.POLL, 'POLL', poll],
  [Opcode.BATCH_FORGET, 'BATCH_FORGET', batchForget],
  [Opcode.READDIRPLUS, 'READDIRPLUS', (session, request) => readdir(session, request, true)],
  [Opcode.RENAME2, 'RENAME2', refuse],
  [Opcode.STATX, 'STATX', statx],
]);

function table(rows: [number, string, Operation['handler']][]): (Operation | undefined)[] {
  const byOpcode: (Operation | undefined)[] = [];
  for (const [opcode, name, handler] of rows) byOpcode[opcode] = { name, handler };
  return byOpcode;
}
