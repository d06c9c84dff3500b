/**
 * A mounted device file system: reads requests from /dev/fuse, dispatches them by the opcode table, answers, and
 * tells the kernel about changes. Knows messages and handles; what a request means is in operations.ts.
 */
import { randomBytes } from 'node:crypto';
import type { Call } from '../call.js';
import { explain, installDescriptor } from '../client/agent.js';
import { DESCRIPTOR_PREFIX } from '../client/descriptors.js';
import { Errno } from '../errno.js';
import type { DescriptorReply, FileOperations, Result } from '../file.js';
import type { Log } from '../log.js';
import { native } from '../native.js';
import { type CharacterDevice, DescriptorNode, type Directory, type Node } from '../nodes.js';
import { SharedPages } from '../shared-pages.js';
import { Size } from './constants.js';
import { FileHandle, type Handle } from './handles.js';
import { type Inode, InodeTable } from './inodes.js';
import { MAX_WRITE, setU64 } from './messages.js';
import { deleteEntry, invalEntry, pollWakeup } from './notifications.js';
import { type Operation, operations } from './operations.js';
import { Request } from './request.js';

/**
 * How long the session keeps reading after the last request before it goes back to the event loop. A client on another
 * CPU needs 15 to 50 µs for its next request, most of it to wake up; found waiting, the daemon need not be woken too.
 * Measured for a write of 16 bytes on 2 CPUs: 16 to 20 µs across CPUs (0: 36 to 60 µs, 20: a longer tail), 8.5 µs
 * on one CPU whatever this is, as the loop yields. More gains nothing.
 */
const SPIN_MICROSECONDS = 50;

export interface SessionOptions {
  /** An existing empty directory. */
  mountpoint: string;
  root: Directory;
  /** Name in /proc/mounts; the type is `fuse.<fsname>`. */
  fsname: string;
  /**
   * Directories through which clients reach this file system, absolute, most likely first: one of them must be
   * visible to a client that is to get a new descriptor.
   */
  clientDirectories: string[];
  log: Log;
  /** The connection ended although `close` was not called (somebody unmounted it). */
  onLost?(): void;
}

/** The payload of an answer that had to wait: writes it to the output buffer and returns its length. */
export type Payload = (out: DataView, at: number) => number;
/** The length of the payload in the output buffer, `undefined` for no answer, or a promise of a payload. */
export type Answer = number | undefined | Promise<Payload | undefined>;

export class Session {
  readonly inodes: InodeTable;
  readonly root: Directory;
  readonly log: Log;
  /** Where a handler writes its payload: behind the space for the header. */
  readonly out: DataView;
  readonly outBytes: Buffer;
  readonly fd: number;
  readonly #options: SessionOptions;
  readonly #native: unknown;
  /** Pid of the process that ends the connection if this one is killed. */
  readonly #guardPid: number;
  readonly #handles = new Map<number, Handle>();
  readonly #waiting = new Map<number, Call>();
  /** Descriptors being installed, by the name under which the client opens them. */
  readonly #descriptors = new Map<string, { node: DescriptorNode; tid: number; directory?: Inode }>();
  /** Notifications of removed entries that are to be sent, and those that are under way. */
  #removed: Uint8Array[] = [];
  #removals: Promise<void> = Promise.resolve();
  readonly #notifying = new Set<Promise<void>>();
  #nextHandle = 1;
  #noMapping: number | undefined;
  #closed = false;

  private constructor(options: SessionOptions, fd: number) {
    this.#options = options;
    this.root = options.root;
    this.log = options.log;
    this.fd = fd;
    this.inodes = new InodeTable(options.root);
    this.outBytes = Buffer.alloc(Size.OUT_HEADER + MAX_WRITE);
    this.out = new DataView(this.outBytes.buffer, this.outBytes.byteOffset, this.outBytes.byteLength);
    const input = Buffer.alloc(MAX_WRITE + 4096);
    const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
    this.#native = native.startSession(
      fd,
      input,
      SPIN_MICROSECONDS,
      (length) => this.#dispatch(new Request(view, input, length)),
      (error) => this.#lost(error),
    );
    this.#guardPid = native.startGuard(options.mountpoint);
    if (this.#guardPid < 0) {
      const { code } = Errno.from(this.#guardPid);
      this.log.warn({ code }, 'the mount has no guard: if the daemon is killed, its clients may hang');
    }
    options.root.watchRemovals((directory, name, node) => this.#forgetEntry(directory, name, node));
  }

  /** Mounts. Throws an Error whose message says what to do. */
  static mount(options: SessionOptions): Session {
    const fd = native.mountFuse(
      options.mountpoint,
      options.fsname,
      'rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other',
    );
    if (fd < 0) {
      throw new Error(
        `cannot mount FUSE at ${options.mountpoint}: ${Errno.from(fd).code}; mounting needs /dev/fuse and CAP_SYS_ADMIN`,
      );
    }
    return new Session(options, fd);
  }

  /** Unmounts and ends every open handle; clients get ENOTCONN from then on. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // By force, because that aborts the connection: who waits in the kernel, clients and our own notifications,
    // waits no longer.
    native.umount(this.#options.mountpoint, native.MNT_FORCE | native.MNT_DETACH);
    this.#end();
  }

  // Handles

  /** Throws ENOTCONN, and releases the handle, if the session ended while it was being made. */
  addHandle(handle: Handle): number {
    if (this.#closed) {
      this.#releaseHandle(handle);
      throw new Errno('ENOTCONN');
    }
    const fh = this.#nextHandle++;
    this.#handles.set(fh, handle);
    handle.inode.handles++;
    return fh;
  }

  addFile(inode: Inode, file: FileOperations): number {
    return this.addHandle(new FileHandle(inode, file, (kernelHandle) => this.#notifyPoll(kernelHandle)));
  }

  get openHandles(): number {
    return this.#handles.size;
  }

  handle<K extends Handle['kind']>(fh: number, ...kinds: K[]): Extract<Handle, { kind: K }> {
    const handle = this.#handles.get(fh);
    if (handle === undefined || !(kinds as string[]).includes(handle.kind)) throw new Errno('EBADF');
    return handle as Extract<Handle, { kind: K }>;
  }

  release(fh: number): void {
    const handle = this.#handles.get(fh);
    if (handle === undefined) return;
    this.#handles.delete(fh);
    handle.inode.handles--;
    this.dropUnusedBacking(handle.inode);
    this.#releaseHandle(handle);
  }

  #releaseHandle(handle: Handle): void {
    this.#guard('release', () => handle.release());
  }

  /** Gives a device's pages back when no handle of its inode is open. */
  dropUnusedBacking(inode: Inode): void {
    if (inode.handles > 0 || inode.backing === undefined) return;
    native.backingClose(this.fd, inode.backing.backingId);
    inode.backing.pages.close();
    inode.backing = undefined;
  }

  /** The pages of a device's inode, made at its first open. */
  backing(inode: Inode, device: CharacterDevice): { pages: SharedPages; backingId: number } {
    inode.backing ??= SharedPages.create(this.fd, device.mappableBytes, device.revocablePages);
    return inode.backing;
  }

  /**
   * The backing file of everything that must not be mapped: empty, so that touching a mapping faults in the client
   * and is EFAULT for the daemon, instead of a request that the daemon would wait for itself to answer.
   */
  noMapping(): number {
    this.#noMapping ??= SharedPages.create(this.fd, 0).backingId;
    return this.#noMapping;
  }

  // Answers

  /**
   * Sends an answer. `error` is 0 or a negative errno, `length` the payload's length in `out`. Returns false if the
   * kernel no longer wants it.
   */
  reply(unique: number, error: number, length: number): boolean {
    if (this.#closed) return false;
    return native.fuseReply(this.fd, this.outBytes, this.#frame(unique, error, length)) === 0;
  }

  /** A complete answer as a message of its own, for the agent to send. */
  message(unique: number, payload: Payload): Uint8Array {
    const length = this.#frame(unique, 0, payload(this.out, Size.OUT_HEADER));
    return Uint8Array.prototype.slice.call(this.outBytes, 0, length);
  }

  /** Answers with the file's result and lets the agent give the caller its descriptor. */
  replyWithDescriptor(unique: number, call: Call, reply: DescriptorReply, payload: Payload): void {
    const node = new DescriptorNode(reply.file, call);
    const name = `${DESCRIPTOR_PREFIX}${randomBytes(8).toString('hex')}`;
    this.#descriptors.set(name, { node, tid: call.tid });
    const job = {
      tid: call.tid,
      fuseFd: this.fd,
      reply: this.message(unique, payload),
      paths: this.#options.clientDirectories.map((directory) => `${directory}/${name}`),
      openFlags: 0,
      writes: reply.writes,
    };
    installDescriptor(job, (result) => {
      this.#dropDescriptorName(name);
      if (result.error !== 0) {
        const { code } = Errno.from(result.error);
        this.log.warn({ tid: call.tid, code }, `no descriptor for the client: ${explain(result)}`);
        if (!result.replied) this.reply(unique, -new Errno('EPERM').errno, 0);
      }
      const outcome = result.error !== 0 ? result.error : result.descriptor;
      this.#guard('finished', () => reply.finished(outcome, name));
    });
  }

  /** The descriptor being installed in the calling thread, which looks it up under this name. */
  pendingDescriptor(directory: Inode, name: string, tid: number): DescriptorNode | undefined {
    const pending = this.#descriptors.get(name);
    if (pending?.tid !== tid) return undefined;
    pending.directory = directory;
    return pending.node;
  }

  /** Without this the kernel would remember the name, and with it the node, long after the descriptor is closed. */
  #dropDescriptorName(name: string): void {
    const directory = this.#descriptors.get(name)?.directory;
    this.#descriptors.delete(name);
    if (directory !== undefined) void this.#notify([invalEntry(directory, name)]);
  }

  interrupt(unique: number): void {
    this.#waiting.get(unique)?.interrupt();
  }

  /** Keeps a call findable for FUSE_INTERRUPT while its result is awaited. */
  async whileWaiting<T>(unique: number, call: Call, result: Result<T>): Promise<T> {
    this.#waiting.set(unique, call);
    try {
      return await result;
    } finally {
      this.#waiting.delete(unique);
    }
  }

  // Changes that the kernel must know of

  /**
   * Resolves when the kernel has dropped every entry that was removed so far: no path leads to them any more, and
   * inotify watches have been told.
   */
  async forgotten(): Promise<void> {
    this.#sendRemovals();
    await this.#removals;
  }

  /** What goes together is told together, in order: a directory is only deleted when what was in it is. */
  #forgetEntry(directory: Directory, name: string, node: Node): void {
    const child = this.inodes.remove(node);
    const parent = this.inodes.find(directory);
    if (child === undefined || parent === undefined) return; // nothing that the kernel knows
    if (this.#removed.length === 0) queueMicrotask(() => this.#sendRemovals());
    // Deleting fails for an entry that is not the one the kernel knows; then dropping the name is what is left.
    this.#removed.push(deleteEntry(parent, child, name), invalEntry(parent, name));
  }

  #sendRemovals(): void {
    const batch = this.#removed;
    if (batch.length === 0) return;
    this.#removed = [];
    this.#removals = this.#removals.then(() => this.#notify(batch));
  }

  #notify(messages: Uint8Array[]): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const sent = new Promise<void>((resolve) => native.fuseNotify(this.fd, messages, resolve));
    this.#notifying.add(sent);
    return sent.finally(() => this.#notifying.delete(sent));
  }

  #notifyPoll(kernelHandle: number): void {
    if (this.#closed) return;
    const bytes = pollWakeup(kernelHandle);
    native.fuseReply(this.fd, bytes, bytes.length);
  }

  // Dispatch

  #dispatch(request: Request): void {
    const operation = operations[request.opcode];
    if (operation === undefined) {
      this.reply(request.unique, -new Errno('ENOSYS').errno, 0);
      return;
    }
    try {
      const answer = operation.handler(this, request);
      if (typeof answer === 'number') this.reply(request.unique, 0, answer);
      else if (answer !== undefined) void this.#replyLater(operation, request.unique, answer);
    } catch (error) {
      this.#replyError(operation, request.unique, error);
    }
  }

  async #replyLater(
    operation: Operation,
    unique: number,
    answer: Promise<Payload | undefined>,
  ): Promise<void> {
    try {
      const payload = await answer;
      if (payload !== undefined) this.reply(unique, 0, payload(this.out, Size.OUT_HEADER));
    } catch (error) {
      this.#replyError(operation, unique, error);
    }
  }

  #replyError(operation: Operation, unique: number, error: unknown): void {
    if (error instanceof Errno) {
      this.reply(unique, -error.errno, 0);
      return;
    }
    this.log.error({ err: error, operation: operation.name }, 'a handler failed; the client gets EIO');
    this.reply(unique, -new Errno('EIO').errno, 0);
  }

  #frame(unique: number, error: number, length: number): number {
    this.out.setUint32(0, Size.OUT_HEADER + length, true);
    this.out.setInt32(4, error, true);
    setU64(this.out, 8, unique);
    return Size.OUT_HEADER + length;
  }

  #lost(error: number): void {
    if (this.#closed) return;
    this.#closed = true;
    this.log.warn({ error }, 'the FUSE connection ended');
    this.#end();
    this.#options.onLost?.();
  }

  #end(): void {
    if (this.#guardPid > 0) native.stopGuard(this.#guardPid);
    for (const call of [...this.#waiting.values()]) call.interrupt();
    for (const fh of [...this.#handles.keys()]) this.release(fh);
    // Not before the last notification has let go of the descriptor, whose number may then be used again.
    void Promise.all(this.#notifying).then(() => native.stopSession(this.#native));
  }

  /** Runs a callback of a device whose failure concerns no caller. */
  #guard(operation: string, callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.log.error({ err: error, operation }, 'a callback failed');
    }
  }
}
