/**
 * Numbers that the adapter gives to objects (drivers/net/ethernet/mellanox/mlx4/alloc.c): an index into a table, taken
 * round robin, so that a number that was just freed does not come back at once. Bits above the index may count how
 * often the table was gone through, so that a number comes back even later.
 */
import { Errno } from '../../devfs/errno.js';

export interface NumberSpaceOptions {
  /** What is numbered, for the log. */
  name: string;
  /** Entries of the table, a power of two. */
  size: number;
  /** Entries below belong to the firmware. */
  first: number;
  /** Numbers that may be in use at once. */
  limit: number;
  /** Width of a number; wider than the index, the rest is the generation. */
  bits?: number;
}

export class NumberSpace {
  readonly #name: string;
  readonly #size: number;
  readonly #first: number;
  readonly #limit: number;
  readonly #end: number;
  readonly #used = new Set<number>();
  #next: number;
  #generation = 0;

  constructor({ name, size, first, limit, bits }: NumberSpaceOptions) {
    this.#name = name;
    this.#size = size;
    this.#first = first;
    this.#limit = limit;
    this.#end = bits === undefined ? size : 2 ** bits;
    this.#next = first;
  }

  get inUse(): number {
    return this.#used.size;
  }

  /**
   * The first of `count` consecutive numbers; `count` is a power of two and the first number a multiple of it.
   * Throws ENOMEM when there are no such numbers.
   */
  allocate(count = 1): number {
    if (this.#used.size + count > this.#limit) throw this.#exhausted(count);
    const ahead = this.#find(this.#next, count);
    const index = ahead ?? this.#find(this.#first, count);
    if (index === undefined) throw this.#exhausted(count);
    if (ahead === undefined) this.#generation = (this.#generation + this.#size) % this.#end;
    for (let i = index; i < index + count; i++) this.#used.add(i);
    this.#next = index + count;
    return this.#generation + index;
  }

  free(first: number, count = 1): void {
    const index = first % this.#size;
    for (let i = index; i < index + count; i++) this.#used.delete(i);
  }

  /** The lowest aligned index of `count` free ones, from `start` on. */
  #find(start: number, count: number): number | undefined {
    for (let index = Math.ceil(start / count) * count; index + count <= this.#size; index += count) {
      if (this.#isFree(index, count)) return index;
    }
    return undefined;
  }

  #isFree(index: number, count: number): boolean {
    for (let i = index; i < index + count; i++) if (this.#used.has(i)) return false;
    return true;
  }

  #exhausted(count: number): Errno {
    const what = count === 1 ? this.#name : `${count} consecutive ${this.#name}`;
    return new Errno('ENOMEM', `no ${what} left: ${this.#used.size} of ${this.#limit} are in use`);
  }
}
