/** XRC domains of one uverbs device, by the inode that processes share them through (core/uverbs_cmd.c). */
import type { XrcDomain } from '../core/objects.js';

export interface SharedXrcd {
  readonly xrcd: XrcDomain;
  /** Handles on it, in all files. */
  handles: number;
}

export class XrcdTable {
  readonly #byInode = new Map<string, SharedXrcd>();

  find(inode: string): SharedXrcd | undefined {
    return this.#byInode.get(inode);
  }

  add(inode: string, shared: SharedXrcd): void {
    this.#byInode.set(inode, shared);
  }

  remove(inode: string): void {
    this.#byInode.delete(inode);
  }
}
