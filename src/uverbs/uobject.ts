/**
 * Handles and lifetimes (core/rdma_core.c): what a client refers to by number, in one table for each open file.
 */
import { Errno, type ErrnoName } from '../../devfs/index.js';
import type { HandleSpaces } from './handle-space.js';

/** Why an object goes away (enum rdma_remove_reason). */
export const RemoveReason = {
  /** The client asked for it. */
  DESTROY: 'destroy',
  /** The client closed the file. */
  CLOSE: 'close',
  /** The device is gone. */
  DRIVER_REMOVE: 'driver-remove',
  /** The command that made it failed. */
  ABORT: 'abort',
} as const;
export type RemoveReason = (typeof RemoveReason)[keyof typeof RemoveReason];

/** A kind of object that clients name: its number in the ioctl interface, and how one is freed. */
export interface ObjectType<T> {
  /** UVERBS_OBJECT_*. */
  readonly id: number;
  readonly name: string;
  /** Frees what is behind a uobject. Throws EBUSY, without effect, while something refers to it. */
  destroy(object: T, reason: RemoveReason): void;
  /** The core's object behind it, by which others refer to it; `undefined`: itself. */
  core?(object: T): object;
  /** What an operator wants to know of it, by name; numbers as the adapter counts them. */
  describe?(object: T): Record<string, string | number>;
  /** The core's objects that it refers to. */
  refersTo?(object: T): (object | undefined)[];
}

/** A client's name for an object. It outlives the object when the device is removed. */
export class Uobject<T = unknown> {
  readonly type: ObjectType<T>;
  /** Number in the handle table; of an object that the client knows by a descriptor the descriptor, -1 before it has. */
  handle: number;
  /** Set by the operation that makes it. What uverbs itself keeps of it (event counters) outlives the device. */
  object: T | undefined;
  /** The device's part is gone. */
  destroyed = false;
  /** Visible to lookups: its creation succeeded. */
  live = false;

  constructor(type: ObjectType<T>, handle: number) {
    this.type = type;
    this.handle = handle;
  }
}

/** Thrown by a command, before it had an effect, that has to wait for the end of a removal and then run again. */
export class RemovalInProgress {
  readonly removal: Promise<void>;

  constructor(removal: Promise<void>) {
    this.removal = removal;
  }
}

/** All uobjects of one open file. */
export class UobjectTable {
  /** Settles when the removal that is destroying these objects is done with them. */
  removal: Promise<void> | undefined;
  readonly #spaces: HandleSpaces;
  readonly #unknownHandle: ErrnoName;
  /** Those with a number, from its reservation until it is free again. */
  readonly #numbered = new Set<Uobject>();
  /** Objects that exist, oldest first. */
  readonly #existing = new Set<Uobject>();

  /**
   * @param spaces where numbers come from; the table may share them with others
   * @param unknownHandle what a number means that is not in use here
   */
  constructor(spaces: HandleSpaces, unknownHandle: ErrnoName) {
    this.#spaces = spaces;
    this.#unknownHandle = unknownHandle;
  }

  /** Objects that exist, those behind descriptors included. */
  get count(): number {
    return this.#existing.size;
  }

  /** Live uobjects, newest first. */
  *newestFirst(): Iterable<Uobject> {
    for (const uobject of [...this.#existing].reverse()) if (uobject.live) yield uobject;
  }

  /** Reserves the lowest free number; lookups do not see it before `commit`. */
  reserve<T>(type: ObjectType<T>): Uobject<T> {
    const uobject = this.#spaces(type.id).reserve((number) => new Uobject(type, number));
    this.#numbered.add(uobject as Uobject);
    return uobject;
  }

  /** An object behind a descriptor: it has no number. */
  reserveDescriptor<T>(type: ObjectType<T>): Uobject<T> {
    return new Uobject(type, -1);
  }

  commit(uobject: Uobject): void {
    uobject.live = true;
    this.#existing.add(uobject);
  }

  /** Undoes a creation that failed, with what was made of it. */
  abort(uobject: Uobject): void {
    if (uobject.object !== undefined) uobject.type.destroy(uobject.object, RemoveReason.ABORT);
    this.drop(uobject);
  }

  /**
   * Finds a uobject by number. Throws ENOENT for a number that is not in use, EINVAL for another type's. After
   * removal of the device the result is marked as destroyed.
   */
  lookup<T>(type: ObjectType<T>, handle: number): Uobject<T> {
    const uobject = this.#spaces(type.id).find(handle);
    if (uobject === undefined || !uobject.live || !this.#numbered.has(uobject)) {
      throw new Errno(this.#unknownHandle, `no ${type.name} ${handle}`);
    }
    if (uobject.type !== (type as ObjectType<unknown>)) {
      throw new Errno('EINVAL', `handle ${handle} is a ${uobject.type.name}, not a ${type.name}`);
    }
    return uobject as Uobject<T>;
  }

  /**
   * Destroys for the client: EBUSY leaves all as it was; afterwards the number is free. Throws RemovalInProgress while
   * a removal does so itself.
   */
  destroy(uobject: Uobject): void {
    if (this.removal !== undefined) throw new RemovalInProgress(this.removal);
    if (uobject.object !== undefined && !uobject.destroyed) {
      uobject.type.destroy(uobject.object, RemoveReason.DESTROY);
    }
    this.drop(uobject);
  }

  /** Forgets an object and frees its number. */
  drop(uobject: Uobject): void {
    uobject.live = false;
    this.#existing.delete(uobject);
    if (this.#numbered.delete(uobject)) this.#spaces(uobject.type.id).release(uobject.handle);
  }

  /** Destroys every object and frees its number: the client closed the file. */
  close(): void {
    for (const _ of this.destroyAll(RemoveReason.CLOSE));
    for (const uobject of [...this.#numbered]) this.drop(uobject);
  }

  /**
   * Destroys every object, newest first, one for each step; those that something refers to are tried again once that
   * is gone. The numbers stay, so that the client can still destroy each once.
   */
  *destroyAll(reason: RemoveReason): Iterable<void> {
    for (let progress = true; progress && this.#existing.size > 0; ) {
      progress = false;
      for (const uobject of [...this.#existing].reverse()) {
        // The client may have closed it between two steps.
        if (!this.#existing.has(uobject)) continue;
        if (this.#tryDestroy(uobject, reason)) progress = true;
        yield;
      }
    }
    this.#existing.clear();
  }

  #tryDestroy(uobject: Uobject, reason: RemoveReason): boolean {
    try {
      if (uobject.object !== undefined) uobject.type.destroy(uobject.object, reason);
    } catch (error) {
      if (error instanceof Errno) return false;
      throw error;
    }
    uobject.destroyed = true;
    this.#existing.delete(uobject);
    return true;
  }
}
