/**
 * Numbers of a client's work queues, in ranges that an indirection table can spread over (hw/mlx4/qp.c,
 * mlx4_ib_alloc_wqn): consecutive, and aligned to their count. The latest range is filled first; once one of its WQs
 * is destroyed it gives no more numbers.
 */
import { Errno } from '../../devfs/errno.js';
import type { NumberSpace } from './number-space.js';
import type { Resources } from './resources.js';

interface WqnRange {
  readonly first: number;
  readonly size: number;
  inUse: number;
  dirty: boolean;
}

export class WqnRanges {
  #latest: WqnRange | undefined;

  /** `size`: 1, or that of a new range, which EINVAL refuses while there is an open one. */
  allocate(qpns: NumberSpace, size: number, resources: Resources): number {
    let range = this.#latest;
    if (range === undefined || range.inUse === range.size || range.dirty) {
      range = { first: qpns.allocate(size), size, inUse: 0, dirty: false };
      this.#latest = range;
    } else if (size !== 1) {
      throw new Errno('EINVAL', `the range of ${range.size} work queues is not full yet`);
    }
    const wqn = range.first + range.inUse;
    range.inUse++;
    resources.take(range, (taken) => this.#release(qpns, taken));
    return wqn;
  }

  #release(qpns: NumberSpace, range: WqnRange): void {
    range.dirty = true;
    if (--range.inUse > 0) return;
    qpns.free(range.first, range.size);
    if (this.#latest === range) this.#latest = undefined;
  }
}
