import { ftruncateSync } from 'node:fs';
import { Errno } from './errno.js';
import { native } from './native.js';

const NOTHING = new ArrayBuffer(0);

/** Pages that a client maps through its open device file and the daemon sees at the same time. */
export class SharedPages {
  /** Those of a device that cannot be mapped. */
  static readonly none = new SharedPages(NOTHING, -1);

  #buffer: ArrayBuffer;
  /** The memory's descriptor while it can be taken away; else -1. */
  #fd: number;

  private constructor(buffer: ArrayBuffer, fd: number) {
    this.#buffer = buffer;
    this.#fd = fd;
  }

  /** The daemon's view; empty after `revoke`. */
  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /**
   * Makes `bytes` zeroed bytes and registers them as a backing file of the FUSE connection. No descriptor stays
   * open, as the registration and the mappings keep the memory, unless it is to be `revocable`.
   */
  static create(fuseFd: number, bytes: number, revocable = false): { pages: SharedPages; backingId: number } {
    const fd = native.memfd('devfs-pages', bytes);
    if (fd < 0) throw Errno.from(fd, 'memfd_create for the pages of a device');
    const backingId = native.backingOpen(fuseFd, fd);
    const usable = backingId >= 0 && bytes > 0;
    const keepsDescriptor = usable && revocable;
    const pages = usable
      ? new SharedPages(native.mapShared(fd, bytes), keepsDescriptor ? fd : -1)
      : SharedPages.none;
    if (!keepsDescriptor) native.closeFd(fd);
    if (backingId < 0) throw Errno.from(backingId, 'registering a FUSE backing file');
    return { pages, backingId };
  }

  /** Takes the memory away from under every mapping: touching one is SIGBUS from now on. */
  revoke(): void {
    // The daemon's own view goes first: a touch of it would be a SIGBUS here.
    this.#buffer = NOTHING;
    if (this.#fd >= 0) ftruncateSync(this.#fd, 0);
    this.close();
  }

  /** Gives the descriptor back. Idempotent. */
  close(): void {
    if (this.#fd >= 0) native.closeFd(this.#fd);
    this.#fd = -1;
  }
}
