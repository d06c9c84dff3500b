import type { Uobject } from './uobject.js';

/** Numbers for uobjects: the lowest free one each time, from 0, as the kernel's xarray and idr hand them out. */
export class HandleSpace {
  readonly #free = new FreeNumbers();
  readonly #byNumber: (Uobject | undefined)[] = [];

  /** Takes the lowest free number for what `make` returns. */
  reserve<T>(make: (number: number) => Uobject<T>): Uobject<T> {
    const uobject = make(this.#free.take());
    this.#byNumber[uobject.handle] = uobject as Uobject;
    return uobject;
  }

  find(number: number): Uobject | undefined {
    return this.#byNumber[number];
  }

  release(number: number): void {
    this.#byNumber[number] = undefined;
    this.#free.give(number);
  }
}

/** Which space a type's numbers come from. */
export type HandleSpaces = (typeId: number) => HandleSpace;

/** One space for all types. */
export function oneSpace(): HandleSpaces {
  const space = new HandleSpace();
  return () => space;
}

/** A space for each type. */
export function spacePerType(): HandleSpaces {
  const spaces = new Map<number, HandleSpace>();
  return (typeId) => {
    const known = spaces.get(typeId);
    if (known !== undefined) return known;
    const space = new HandleSpace();
    spaces.set(typeId, space);
    return space;
  };
}

/** Hands out the lowest free number: a counter, and a binary heap of what came back below it. */
class FreeNumbers {
  #next = 0;
  readonly #heap: number[] = [];

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
