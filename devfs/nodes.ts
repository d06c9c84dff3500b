/**
 * The kinds of node in a device file system. They hold what a client can see; how the kernel refers to them
 * (node ids, lookup counts) is the session's business (fuse/inodes.ts).
 */
import { Errno } from './errno.js';
import type { FileOperations, OpenRequest, Result } from './file.js';

/** Seconds and nanoseconds since the epoch. */
export interface Timestamp {
  seconds: number;
  nanoseconds: number;
}

export function now(): Timestamp {
  const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000);
  return { seconds: Math.floor(microseconds / 1e6), nanoseconds: (microseconds % 1e6) * 1000 };
}

abstract class NodeBase {
  /** Permission bits. */
  mode: number;
  uid = 0;
  gid = 0;
  mtime: Timestamp = now();

  constructor(mode: number) {
    this.mode = mode;
  }
}

/** Told when an entry leaves a directory, so that the kernel can be told to forget it. */
export type RemovalListener = (directory: Directory, name: string, node: Node) => void;

export class Directory extends NodeBase {
  readonly kind = 'directory';
  readonly #entries = new Map<string, Node>();
  #listener: RemovalListener | undefined;

  constructor(mode = 0o755) {
    super(mode);
  }

  get entries(): ReadonlyMap<string, Node> {
    return this.#entries;
  }

  /** Adds an entry and returns it. The name must be free. */
  add<T extends Node>(name: string, node: T): T {
    if (this.#entries.has(name)) throw new Error(`the directory has an entry ${name} already`);
    this.#entries.set(name, node);
    this.mtime = now();
    if (node.kind === 'directory' && this.#listener !== undefined) node.watchRemovals(this.#listener);
    return node;
  }

  /** The directory of that name, made if there is none. */
  directory(name: string): Directory {
    const found = this.#entries.get(name);
    if (found === undefined) return this.add(name, new Directory());
    if (found.kind !== 'directory') throw new Error(`${name} is not a directory`);
    return found;
  }

  /** The directory at a relative path, made where it is missing. */
  path(path: string): Directory {
    return path.split('/').reduce<Directory>((directory, name) => directory.directory(name), this);
  }

  /** Removes an entry with all below it; silent if there is none. */
  remove(name: string): void {
    const node = this.#entries.get(name);
    if (node === undefined) return;
    this.#entries.delete(name);
    this.mtime = now();
    if (node.kind === 'directory') for (const child of [...node.entries.keys()]) node.remove(child);
    this.#listener?.(this, name, node);
  }

  /** Set by the session for the tree it serves. */
  watchRemovals(listener: RemovalListener): void {
    this.#listener = listener;
    for (const node of this.#entries.values()) if (node.kind === 'directory') node.watchRemovals(listener);
  }
}

export class Symlink extends NodeBase {
  readonly kind = 'symlink';
  readonly target: string;

  constructor(target: string) {
    super(0o777);
    this.target = target;
  }
}

/** A small text file whose content is computed when it is read, as in sysfs. */
export class Attribute extends NodeBase {
  readonly kind = 'attribute';
  readonly #show: () => string;
  readonly #store: ((text: string) => void) | undefined;

  /** `show` and `store` may throw Errno. Without `store` the file is read-only. */
  constructor(show: () => string, store?: (text: string) => void) {
    super(store === undefined ? 0o444 : 0o644);
    this.#show = show;
    this.#store = store;
  }

  show(): string {
    return this.#show();
  }

  store(text: string): void {
    if (this.#store === undefined) throw new Errno('EIO', 'the attribute cannot be written');
    this.#store(text);
  }
}

/**
 * A character device. The kernel sees a regular file (a FUSE inode of type character device would lead to the
 * kernel's own driver of that number); the client agent makes fstat on a new descriptor say otherwise.
 */
export class CharacterDevice extends NodeBase {
  readonly kind = 'device';
  readonly major: number;
  readonly minor: number;
  /** Bytes that a client can map. If 0, calls that wait do not hold up others of a threaded client (openDevice). */
  readonly mappableBytes: number;
  /** Whether they can be taken away from the client (SharedPages.revoke), at the price of a descriptor each. */
  readonly revocablePages: boolean;
  readonly #open: (request: OpenRequest) => Result<FileOperations>;

  constructor(options: {
    major: number;
    minor: number;
    mode: number;
    mappableBytes: number;
    revocablePages?: boolean;
    open(request: OpenRequest): Result<FileOperations>;
  }) {
    super(options.mode);
    this.major = options.major;
    this.minor = options.minor;
    this.mappableBytes = options.mappableBytes;
    this.revocablePages = options.revocablePages ?? false;
    this.#open = options.open;
  }

  open(request: OpenRequest): Result<FileOperations> {
    return this.#open(request);
  }
}

/** The inode behind a descriptor that the client agent installs; reachable by no name, and opened once. */
export class DescriptorNode extends NodeBase {
  readonly kind = 'descriptor';
  readonly file: FileOperations;
  opened = false;

  /** `owner` is the caller, whose own openat it is that the agent uses. */
  constructor(file: FileOperations, owner: { uid: number; gid: number }) {
    super(0o600);
    this.file = file;
    this.uid = owner.uid;
    this.gid = owner.gid;
  }
}

export type Node = Directory | Symlink | Attribute | CharacterDevice | DescriptorNode;
