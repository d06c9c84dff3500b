/**
 * What an operation needs of the command that asks for it, whichever door it came through (the kernel's
 * uverbs_attr_bundle): the file, objects by handle, the driver's private part. Objects that an operation makes
 * become visible only when the whole command has succeeded.
 */
import {
  type Call,
  type Capability,
  copyOutgoing,
  copyToUserLater,
  DescriptorReply,
  descriptorName,
  Errno,
  finishCopies,
  hasCapability,
  outgoing,
  outgoingRoom,
} from '../../devfs/index.js';
import type { Struct } from '../abi/index.js';
import type { IbDevice } from '../core/device.js';
import type { Ucontext } from '../core/objects.js';
import type { Udata } from '../core/udata.js';
import type { EventFile } from './events/event-file.js';
import type { UverbsFile } from './file.js';
import type { ObjectType, Uobject } from './uobject.js';

/** A range of the client's memory. */
export interface UserBuffer {
  address: bigint;
  length: number;
}

/** As long as the longest output: 0xffff words of an extended command. */
const zeroes = new Uint8Array(0xffff * 8);

/** What this kernel does not know of a request must be zero: EOPNOTSUPP. */
export function requireZeroFrom(request: DataView, offset: number): void {
  for (let at = offset; at < request.byteLength; at++) {
    if (request.getUint8(at) !== 0)
      throw new Errno('EOPNOTSUPP', 'the request has fields this kernel does not know');
  }
}

/** A new event file, and how to fill in its descriptor number when the agent knows it. */
interface NewDescriptor {
  uobject: Uobject;
  file: EventFile;
  write: { address: bigint; width: 4 | 8 };
  /** Undoes what else the command did when the client cannot have the descriptor. */
  undo: () => void;
}

export class Bundle {
  readonly file: UverbsFile;
  readonly call: Call;
  readonly udata: Udata;
  #created: Uobject[] = [];
  #descriptor: NewDescriptor | undefined;

  constructor(file: UverbsFile, call: Call, udata: Udata) {
    this.file = file;
    this.call = call;
    this.udata = udata;
  }

  /** Throws EIO when the device was removed. */
  get device(): IbDevice {
    return this.file.device;
  }

  /** Throws EIO when the device was removed, EINVAL without a context. */
  get context(): Ucontext {
    return this.file.context;
  }

  /** Reserves a handle for an object that the operation is about to make. */
  create<T>(type: ObjectType<T>): Uobject<T> {
    this.file.context;
    const uobject = this.file.uobjects.reserve(type);
    this.#created.push(uobject as Uobject);
    return uobject;
  }

  /** An existing object, for use. Throws ENOENT, EINVAL (another type), EIO (the device was removed). */
  lookup<T>(type: ObjectType<T>, handle: number): T {
    const uobject = this.file.uobjects.lookup(type, handle);
    this.file.device;
    if (uobject.destroyed) throw new Errno('EIO', 'the object went with its device');
    return uobject.object as T;
  }

  /** Destroys for the client, also after removal, once; returns what it was. */
  destroy<T>(type: ObjectType<T>, handle: number): T {
    const uobject = this.file.uobjects.lookup(type, handle);
    this.file.uobjects.destroy(uobject as Uobject);
    return uobject.object as T;
  }

  /**
   * The event file of this open file behind a descriptor of the caller. Throws EBADF for anything else, EIO when the
   * device was removed.
   */
  eventFile<T extends EventFile>(kind: new (...args: never[]) => T, fd: number): T {
    const file = this.file.eventFile(descriptorName(this.call.tid, fd));
    if (!(file instanceof kind))
      throw new Errno('EBADF', `descriptor ${fd} is no event file of this kind and context`);
    this.file.device;
    return file;
  }

  /**
   * The command's caller shall get a descriptor for `file`, its number written to `write`. With the descriptor the
   * uobject becomes visible; without, `undo` runs.
   */
  installDescriptor(descriptor: NewDescriptor): void {
    this.#created.push(descriptor.uobject);
    this.#descriptor = descriptor;
  }

  hasCapability(capability: Capability): boolean {
    return hasCapability(this.call.tid, capability);
  }

  /**
   * Copies to the client, with all that the command copies, when it ends. A bad address fails the command then, and
   * nothing that was to be copied after it is. Throws EFAULT for an earlier one.
   */
  copyOut(address: bigint, bytes: Uint8Array): void {
    copyToUserLater(this.call.tid, address, bytes);
  }

  /** Copies the first `room` bytes of a structure, as `copyOut` does. */
  protected copyStruct<T>(address: bigint, room: number, struct: Struct<unknown, T>, value: T): void {
    struct.write(outgoing, outgoingRoom(this.call.tid, struct.size), value);
    copyOutgoing(address, Math.min(room, struct.size));
  }

  /** Copies zeroes, as `copyOut` does. */
  protected clearOut(address: bigint, length: number): void {
    this.copyOut(address, zeroes.subarray(0, length));
  }

  /** The command succeeded with `result` as its system call's return value. Throws EFAULT. */
  finish(result: number): number | DescriptorReply {
    finishCopies();
    const descriptor = this.#descriptor;
    if (descriptor === undefined) {
      for (const uobject of this.#created) this.file.uobjects.commit(uobject);
      return result;
    }
    const release = this.file.hold();
    return new DescriptorReply(descriptor.file, result, [descriptor.write], (number, name) => {
      release();
      if (number >= 0) {
        descriptor.uobject.handle = number;
        this.file.addEventFile(name, descriptor.file);
        for (const uobject of this.#created) this.file.uobjects.commit(uobject);
      } else {
        this.#undo();
        descriptor.undo();
        const why = 'the client could not be given its descriptor';
        this.file.record('refused', () => ({ door: 'descriptor', code: Errno.from(number).code, why }));
      }
    });
  }

  /** Runs another form of this command and takes over what it made. Throws what it throws, with nothing left. */
  delegate(inner: Bundle, run: (inner: Bundle) => void): void {
    try {
      run(inner);
    } catch (error) {
      throw inner.abort(error);
    }
    this.#created.push(...inner.#created);
    this.#descriptor = inner.#descriptor;
  }

  /**
   * The command failed: nothing of it stays but what it copied to the client. Returns the error that the client gets,
   * which is EFAULT if the command failed only after a copy that did.
   */
  abort(error: unknown): unknown {
    let first = error;
    try {
      finishCopies();
    } catch (fault) {
      if (error instanceof Errno) first = fault;
    }
    this.#undo();
    return first;
  }

  #undo(): void {
    for (const uobject of this.#created.reverse()) this.file.uobjects.abort(uobject);
    this.#created = [];
  }
}
