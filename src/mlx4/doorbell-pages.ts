/**
 * The pages of a client that hold its doorbell records (hw/mlx4/doorbell.c). Many records share a page, which is
 * pinned once.
 */
import { PAGE_SIZE, type Pinned, pinPages } from '../../devfs/index.js';
import type { Resources } from './resources.js';

interface DoorbellPage {
  pinned: Pinned;
  records: number;
}

export class DoorbellPages {
  readonly #pid: number;
  readonly #pages = new Map<bigint, DoorbellPage>();

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Pins the page of the record at `address`. Throws what pinPages throws. */
  map(address: bigint, resources: Resources): void {
    const start = address & ~(PAGE_SIZE - 1n);
    let page = this.#pages.get(start);
    if (page === undefined) {
      const pinned = pinPages(this.#pid, { start, length: PAGE_SIZE, writable: false });
      page = { pinned, records: 0 };
      this.#pages.set(start, page);
    }
    page.records++;
    resources.take(page, () => this.#unmap(start, page));
  }

  #unmap(start: bigint, page: DoorbellPage): void {
    if (--page.records > 0) return;
    page.pinned.unpin();
    this.#pages.delete(start);
  }
}
