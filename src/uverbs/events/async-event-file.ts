import { uverbsDefaultObjects } from '../../abi/index.js';
import { EventType, eventName } from '../../core/events.js';
import type { UverbsFile } from '../file.js';
import { type ObjectType, RemoveReason, type Uobject } from '../uobject.js';
import { EventFile } from './event-file.js';
import type { EventCounter } from './event-queue.js';

/** struct ib_uverbs_async_event_desc: u64 element, u32 event_type, u32 reserved. */
const RECORD_SIZE = 16;

/**
 * Asynchronous events of a file (core/uverbs_std_types_async_fd.c). It stays readable when the device is removed
 * or the device file closed; DEVICE_FATAL is the last event of a removed device.
 */
export class AsyncEventFile extends EventFile {
  constructor(file: UverbsFile, uobject: Uobject<AsyncEventFile>) {
    super(file, uobject as Uobject, RECORD_SIZE);
  }

  /** `element` is the user handle of the object, the port number, or 0 for the device. */
  push(element: bigint, type: EventType, counter?: EventCounter): void {
    const record = new DataView(new ArrayBuffer(RECORD_SIZE));
    record.setBigUint64(0, element, true);
    record.setUint32(8, type, true);
    if (!this.queue.push(new Uint8Array(record.buffer), counter)) return;
    this.file.record('event', () => ({
      type: eventName(type),
      ...(counter === undefined ? { port: Number(element) } : { handle: element.toString() }),
    }));
  }

  /** DEVICE_FATAL is the last event, unless it was the first thing that the removal did. */
  deviceRemoved(): void {
    if (!this.endsAfterRemoval) this.push(0n, EventType.DEVICE_FATAL);
  }
}

export const asyncEventType: ObjectType<AsyncEventFile> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_ASYNC_EVENT,
  name: 'async event file',
  destroy(file, reason) {
    if (reason === RemoveReason.DRIVER_REMOVE) file.deviceRemoved();
  },
};
