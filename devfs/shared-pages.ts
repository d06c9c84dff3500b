import { Errno } from './errno.js';
import { native } from './native.js';

/** Pages that a client maps through its open device file and the daemon sees at the same time. */
export class SharedPages {
  /** Those of a device that cannot be mapped. */
  static readonly none = new SharedPages(new ArrayBuffer(0));

  readonly bytes: number;
  /** The daemon's view. */
  readonly buffer: ArrayBuffer;

  private constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.bytes = buffer.byteLength;
  }

  /**
   * Makes `bytes` zeroed bytes and registers them as a backing file of the FUSE connection.
   * No descriptor stays open: the registration and the mappings keep the memory.
   */
  static create(fuseFd: number, bytes: number): { pages: SharedPages; backingId: number } {
    const fd = native.memfd('devfs-pages', bytes);
    if (fd < 0) throw Errno.from(fd, 'memfd_create for the pages of a device');
    try {
      const backingId = native.backingOpen(fuseFd, fd);
      if (backingId < 0) throw Errno.from(backingId, 'registering a FUSE backing file');
      return {
        pages: bytes > 0 ? new SharedPages(native.mapShared(fd, bytes)) : SharedPages.none,
        backingId,
      };
    } finally {
      native.closeFd(fd);
    }
  }
}
