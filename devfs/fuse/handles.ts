import { Errno } from '../errno.js';
import type { FileOperations, PollTable } from '../file.js';
import type { Attribute, Directory, Node } from '../nodes.js';
import type { PollWaiter, WaitQueue } from '../wait-queue.js';
import type { Inode } from './inodes.js';

/** An open directory: a snapshot of its entries, taken again when the reader rewinds. */
export class DirectoryHandle {
  readonly kind = 'directory';
  readonly inode: Inode;
  readonly #directory: Directory;
  #entries: [string, Node][] = [];

  constructor(inode: Inode, directory: Directory) {
    this.inode = inode;
    this.#directory = directory;
  }

  /** Entries from index `offset` on, `.` and `..` first; undefined where one has left the directory meanwhile. */
  *from(offset: number): Iterable<[string, Node] | undefined> {
    if (offset === 0) this.#entries = [...this.#directory.entries];
    if (offset <= 0) yield ['.', this.#directory];
    if (offset <= 1) yield ['..', this.#directory];
    for (const entry of this.#entries.slice(Math.max(0, offset - 2))) {
      yield this.#directory.entries.get(entry[0]) === entry[1] ? entry : undefined;
    }
  }

  release(): void {}
}

/** An open attribute file. As in sysfs, a read at position 0 computes the text, later reads continue in it. */
export class AttributeHandle {
  readonly kind = 'attribute';
  readonly inode: Inode;
  readonly #attribute: Attribute;
  #text: Buffer | undefined;

  constructor(inode: Inode, attribute: Attribute) {
    this.inode = inode;
    this.#attribute = attribute;
  }

  read(offset: number, count: number): Buffer {
    if (this.inode.removed) throw new Errno('ENODEV');
    if (offset === 0 || this.#text === undefined) this.#text = Buffer.from(this.#attribute.show(), 'utf8');
    return this.#text.subarray(offset, offset + count);
  }

  write(data: Buffer): number {
    if (this.inode.removed) throw new Errno('ENODEV');
    this.#attribute.store(data.toString('utf8'));
    return data.length;
  }

  release(): void {}
}

/** An open device or installed descriptor, and what polls it. */
export class FileHandle implements PollWaiter {
  readonly kind = 'file';
  readonly inode: Inode;
  readonly operations: FileOperations;
  readonly #notifyPoll: (kernelHandle: number) => void;
  readonly #queues = new Set<WaitQueue>();
  #kernelHandle: number | undefined;

  constructor(inode: Inode, operations: FileOperations, notifyPoll: (kernelHandle: number) => void) {
    this.inode = inode;
    this.operations = operations;
    this.#notifyPoll = notifyPoll;
  }

  /** The table for a poll that wants to be told of changes under the kernel's handle. */
  pollTable(kernelHandle: number): PollTable {
    this.#kernelHandle = kernelHandle;
    return {
      add: (queue) => {
        this.#queues.add(queue);
        queue.addPoller(this);
      },
    };
  }

  notify(): void {
    if (this.#kernelHandle !== undefined) this.#notifyPoll(this.#kernelHandle);
  }

  release(): void {
    for (const queue of this.#queues) queue.removePoller(this);
    this.operations.release?.();
  }
}

export type Handle = DirectoryHandle | AttributeHandle | FileHandle;
