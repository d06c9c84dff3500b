import { type Call, Errno, type FileOperations, type PollTable } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { UverbsFile } from '../file.js';
import type { ObjectType, Uobject } from '../uobject.js';
import { type EventCounter, EventQueue } from './event-queue.js';

/** struct ib_uverbs_comp_event_desc: u64 cq_handle. */
const RECORD_SIZE = 8;

/** Completion events of the CQs that were made with this channel (core/uverbs_std_types.c). */
export class CompletionChannel implements FileOperations {
  readonly #queue = new EventQueue(RECORD_SIZE);
  readonly #file: UverbsFile;
  readonly #uobject: Uobject<CompletionChannel>;

  constructor(file: UverbsFile, uobject: Uobject<CompletionChannel>) {
    this.#file = file;
    this.#uobject = uobject;
  }

  /** `userHandle` is what the client gave when it made the CQ. */
  push(userHandle: bigint, counter: EventCounter): void {
    const record = new DataView(new ArrayBuffer(RECORD_SIZE));
    record.setBigUint64(0, userHandle, true);
    this.#queue.push(new Uint8Array(record.buffer), counter);
  }

  dropOf(counter: EventCounter): void {
    this.#queue.dropOf(counter);
  }

  /** Readers get EIO from now on. */
  close(): void {
    this.#queue.close(this.#file.profile.closedQueue);
  }

  read(call: Call, count: number): Uint8Array | Promise<Uint8Array> {
    return this.#queue.read(call, count);
  }

  write(): number {
    throw new Errno('EBADF');
  }

  poll(_call: Call, table: PollTable): number {
    return this.#queue.poll(table);
  }

  release(): void {
    this.close();
    this.#file.eventFileReleased(this, this.#uobject);
  }
}

export const completionChannelType: ObjectType<CompletionChannel> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_COMP_CHANNEL,
  name: 'completion channel',
  destroy(channel) {
    channel.close();
  },
};
