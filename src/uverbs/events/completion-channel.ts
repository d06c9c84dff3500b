import { uverbsDefaultObjects } from '../../abi/index.js';
import type { UverbsFile } from '../file.js';
import { type ObjectType, RemoveReason, type Uobject } from '../uobject.js';
import { EventFile } from './event-file.js';
import type { EventCounter } from './event-queue.js';

/** struct ib_uverbs_comp_event_desc: u64 cq_handle. */
const RECORD_SIZE = 8;

/** Completion events of the CQs that were made with this channel (core/uverbs_std_types.c). */
export class CompletionChannel extends EventFile {
  constructor(file: UverbsFile, uobject: Uobject<CompletionChannel>) {
    super(file, uobject as Uobject, RECORD_SIZE);
  }

  /** `userHandle` is what the client gave when it made the CQ. */
  push(userHandle: bigint, counter: EventCounter): void {
    const record = new DataView(new ArrayBuffer(RECORD_SIZE));
    record.setBigUint64(0, userHandle, true);
    this.queue.push(new Uint8Array(record.buffer), counter);
  }
}

export const completionChannelType: ObjectType<CompletionChannel> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_COMP_CHANNEL,
  name: 'completion channel',
  destroy(channel, reason) {
    if (reason === RemoveReason.DRIVER_REMOVE && channel.endsAfterRemoval) return;
    channel.close();
  },
};
