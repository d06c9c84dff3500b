/**
 * The pages of clients that hold the doorbell records of a context (hw/mlx4/doorbell.c). Many records share a page,
 * which is pinned once.
 */
import { PAGE_SIZE, type Pinned, pinPages } from '../../devfs/index.js';
import type { Resources } from './resources.js';

interface DoorbellPage {
  pinned: Pinned;
  records: number;
}

export class DoorbellPages {
  /** By process and address. */
  readonly #pages = new Map<string, DoorbellPage>();

  /** Pins the page of the record at `address` of process `pid`. Throws what pinPages throws. */
  map(pid: number, address: bigint, resources: Resources): void {
    const start = address & ~(PAGE_SIZE - 1n);
    const key = `${pid}:${start}`;
    let page = this.#pages.get(key);
    if (page === undefined) {
      const pinned = pinPages(pid, { start, length: PAGE_SIZE, writable: false });
      page = { pinned, records: 0 };
      this.#pages.set(key, page);
    }
    page.records++;
    resources.take(page, () => this.#unmap(key, page));
  }

  #unmap(key: string, page: DoorbellPage): void {
    if (--page.records > 0) return;
    page.pinned.unpin();
    this.#pages.delete(key);
  }
}
