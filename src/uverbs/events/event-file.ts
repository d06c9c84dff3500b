import { type Call, Errno, type FileOperations, type PollTable } from '../../../devfs/index.js';
import type { UverbsFile } from '../file.js';
import type { Uobject } from '../uobject.js';
import { type EventCounter, EventQueue } from './event-queue.js';

/** What both kinds of event file are to their client: a read-only file of records. */
export abstract class EventFile implements FileOperations {
  protected readonly queue: EventQueue;
  protected readonly file: UverbsFile;
  readonly #uobject: Uobject;

  constructor(file: UverbsFile, uobject: Uobject, recordSize: number) {
    this.queue = new EventQueue(recordSize);
    this.file = file;
    this.#uobject = uobject;
  }

  /** Drops the unread events of an object that is being destroyed. */
  dropOf(counter: EventCounter): void {
    this.queue.dropOf(counter);
  }

  /** Whether it ends together with all other event files of the device, not with the objects of its file. */
  get endsAfterRemoval(): boolean {
    return this.file.profile.fatalFirst;
  }

  /** Takes no more events; the kernel's profile says what readers find from now on. */
  close(): void {
    this.queue.close(this.file.profile.closedQueue);
  }

  read(call: Call, count: number): Uint8Array | Promise<Uint8Array> {
    return this.queue.read(call, count);
  }

  write(): number {
    throw new Errno('EBADF');
  }

  poll(_call: Call, table: PollTable): number {
    return this.queue.poll(table);
  }

  release(): void {
    this.close();
    this.file.eventFileReleased(this, this.#uobject);
  }
}
