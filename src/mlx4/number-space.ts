import { Errno } from '../../devfs/errno.js';

/**
 * Numbers that the adapter gives to objects: taken round robin, as the driver's bitmaps do, so that a number that
 * was just freed does not come back at once. Throws ENOMEM when all are in use.
 */
export class NumberSpace {
  readonly #first: number;
  readonly #count: number;
  readonly #used = new Set<number>();
  #next: number;

  constructor(first: number, count: number) {
    this.#first = first;
    this.#count = count;
    this.#next = first;
  }

  allocate(): number {
    if (this.#used.size >= this.#count) throw new Errno('ENOMEM', `all ${this.#count} numbers are in use`);
    while (this.#used.has(this.#next)) this.#advance();
    const number = this.#next;
    this.#used.add(number);
    this.#advance();
    return number;
  }

  free(number: number): void {
    this.#used.delete(number);
  }

  #advance(): void {
    this.#next = this.#next + 1 < this.#first + this.#count ? this.#next + 1 : this.#first;
  }
}
