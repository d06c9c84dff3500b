/**
 * Handles and lifetimes (core/rdma_core.c): what a client refers to by number, in one table for each open file.
 */
import { Errno } from '../../devfs/index.js';

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
  /** Number in the handle table; -1 for objects that the client knows by a descriptor. */
  readonly handle: number;
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

/** All uobjects of one open file. */
export class UobjectTable {
  readonly #byHandle: (Uobject | undefined)[] = [];
  readonly #free = new FreeNumbers();
  /** Objects that exist, oldest first. */
  readonly #existing = new Set<Uobject>();

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
    const uobject = new Uobject(type, this.#free.take());
    this.#byHandle[uobject.handle] = uobject as Uobject;
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
    this.#forget(uobject);
  }

  /**
   * Finds a uobject by number. Throws ENOENT for a number that is not in use, EINVAL for another type's. After
   * removal of the device the result is marked as destroyed.
   */
  lookup<T>(type: ObjectType<T>, handle: number): Uobject<T> {
    const uobject = this.#byHandle[handle];
    if (uobject === undefined || !uobject.live) throw new Errno('ENOENT', `no ${type.name} ${handle}`);
    if (uobject.type !== (type as ObjectType<unknown>)) {
      throw new Errno('EINVAL', `handle ${handle} is a ${uobject.type.name}, not a ${type.name}`);
    }
    return uobject as Uobject<T>;
  }

  /** Destroys for the client: EBUSY leaves all as it was; afterwards the number is free. */
  destroy(uobject: Uobject): void {
    if (uobject.object !== undefined && !uobject.destroyed) {
      uobject.type.destroy(uobject.object, RemoveReason.DESTROY);
    }
    this.#forget(uobject);
  }

  /** Drops an object whose descriptor is gone. */
  drop(uobject: Uobject): void {
    this.#forget(uobject);
  }

  /**
   * Destroys every object, newest first; those that something refers to are tried again once that is gone. With
   * `keepHandles` the numbers stay, so that the client can still destroy each once.
   */
  destroyAll(reason: RemoveReason, keepHandles: boolean): void {
    for (let progress = true; progress && this.#existing.size > 0; ) {
      progress = false;
      for (const uobject of [...this.#existing].reverse()) {
        if (this.#tryDestroy(uobject, reason)) progress = true;
      }
    }
    this.#existing.clear();
    if (!keepHandles) {
      this.#byHandle.length = 0;
      this.#free.clear();
    }
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

  #forget(uobject: Uobject): void {
    uobject.live = false;
    this.#existing.delete(uobject);
    if (uobject.handle >= 0) {
      this.#byHandle[uobject.handle] = undefined;
      this.#free.give(uobject.handle);
    }
  }
}

/** Hands out the lowest free number: a counter, and a binary heap of what came back below it. */
class FreeNumbers {
  #next = 0;
  #heap: number[] = [];

  take(): number {
    const heap = this.#heap;
    const lowest = heap[0];
    if (lowest === undefined) return this.#next++;
    const last = heap.pop() as number;
    if (heap.length > 0) this.#sink(last);
    return lowest;
  }

  give(number: number): void {
    const heap = this.#heap;
    let at = heap.length;
    for (let parent = (at - 1) >> 1; at > 0 && (heap[parent] as number) > number; parent = (at - 1) >> 1) {
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = number;
  }

  clear(): void {
    this.#next = 0;
    this.#heap = [];
  }

  #sink(number: number): void {
    const heap = this.#heap;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
      if ((heap[child] as number) >= number) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = number;
  }
}
