import type { Node } from '../nodes.js';
import type { SharedPages } from '../shared-pages.js';
import { FUSE_ROOT_ID } from './constants.js';

/** What the kernel knows a node by. */
export class Inode {
  readonly nodeid: number;
  readonly node: Node;
  /** Lookups that the kernel has not yet forgotten. */
  lookups = 0;
  /** Open handles. */
  handles = 0;
  /** Devices: what is mapped through every handle of this inode (the kernel allows one backing file an inode). */
  backing: { pages: SharedPages; backingId: number } | undefined;
  /** Taken out of its directory: attributes are refused. */
  removed = false;

  constructor(nodeid: number, node: Node) {
    this.nodeid = nodeid;
    this.node = node;
  }
}

/**
 * Node ids. Directories, links and attributes keep theirs while the kernel remembers them; a device gets a new
 * one at each lookup, so that each open has pages of its own.
 */
export class InodeTable {
  readonly #byId = new Map<number, Inode>();
  readonly #byNode = new Map<Node, Inode>();
  #next = FUSE_ROOT_ID;

  constructor(root: Node) {
    this.#create(root).lookups = Number.POSITIVE_INFINITY;
  }

  /** The inode for an answer to LOOKUP; counts the lookup. */
  lookup(node: Node): Inode {
    const known = this.#byNode.get(node);
    if (known !== undefined && node.kind === 'device') {
      if (known.lookups <= 0) this.#drop(known);
      this.#byNode.delete(node);
    }
    const inode = this.peek(node);
    inode.lookups++;
    return inode;
  }

  /** The inode for a directory entry, which the kernel does not count; a device's is the latest. */
  peek(node: Node): Inode {
    return this.#byNode.get(node) ?? this.#create(node);
  }

  /** The inode of a node, if the kernel may know one. */
  find(node: Node): Inode | undefined {
    return this.#byNode.get(node);
  }

  get(nodeid: number): Inode | undefined {
    return this.#byId.get(nodeid);
  }

  /** The kernel dropped `count` references. */
  forget(nodeid: number, count: number): void {
    const inode = this.#byId.get(nodeid);
    if (inode === undefined) return;
    inode.lookups -= count;
    if (inode.lookups <= 0) this.#drop(inode);
  }

  /** Marks a node that left the tree; returns its inode if the kernel has one. */
  remove(node: Node): Inode | undefined {
    const inode = this.#byNode.get(node);
    if (inode === undefined) return undefined;
    inode.removed = true;
    // Should the node come back under another name, it is a new file.
    this.#byNode.delete(node);
    if (inode.lookups <= 0) this.#drop(inode);
    return inode;
  }

  get size(): number {
    return this.#byId.size;
  }

  #create(node: Node): Inode {
    const inode = new Inode(this.#next++, node);
    this.#byId.set(inode.nodeid, inode);
    this.#byNode.set(node, inode);
    return inode;
  }

  #drop(inode: Inode): void {
    this.#byId.delete(inode.nodeid);
    if (this.#byNode.get(inode.node) === inode) this.#byNode.delete(inode.node);
  }
}
