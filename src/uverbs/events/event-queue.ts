/**
 * What both kinds of event file share (core/uverbs_main.c, ib_uverbs_event_read): a queue of records, one for
 * each read.
 */

import { constants } from 'node:fs';
import { type Call, Errno, POLLIN, POLLRDNORM, type PollTable, WaitQueue } from '../../../devfs/index.js';

import type { ClosedQueue } from '../profile.js';

/** Events of an object that its client has read: what destroying the object reports. */
export interface EventCounter {
  reported: number;
}

interface QueuedEvent {
  record: Uint8Array;
  counter: EventCounter | undefined;
}

export class EventQueue {
  readonly #recordSize: number;
  readonly #wait = new WaitQueue();
  #events: QueuedEvent[] = [];
  #closed: ClosedQueue | undefined;

  constructor(recordSize: number) {
    this.#recordSize = recordSize;
  }

  /** Queues a record of the queue's size, unless it is closed; `counter` counts it when it is read. */
  push(record: Uint8Array, counter?: EventCounter): boolean {
    if (this.#closed !== undefined) return false;
    this.#events.push({ record, counter });
    this.#wait.wake();
    return true;
  }

  /** Drops the unread events of an object that is being destroyed. */
  dropOf(counter: EventCounter): void {
    this.#events = this.#events.filter((event) => event.counter !== counter);
  }

  /** Takes no more events; `how` says what readers and polls find from now on. Idempotent. */
  close(how: ClosedQueue): void {
    if (!how.keepsEvents) this.#events = [];
    this.#closed = how;
    this.#wait.wake();
  }

  /**
   * One record. Sleeps while there is none, unless O_NONBLOCK (EAGAIN) or closed (EIO). A buffer that is too small
   * is EINVAL only when an event is there, and the event stays.
   */
  read(call: Call, count: number): Uint8Array | Promise<Uint8Array> {
    const [event] = this.#events;
    if (event === undefined) {
      const nonblocking = (call.flags & constants.O_NONBLOCK) !== 0;
      if (this.#closed !== undefined) throw new Errno(nonblocking ? this.#closed.nonblocking : 'EIO');
      if (nonblocking) throw new Errno('EAGAIN');
      return this.#wait.sleep(call).then(() => this.read(call, count));
    }
    if (count < this.#recordSize) throw new Errno('EINVAL');
    this.#events.shift();
    if (event.counter !== undefined) event.counter.reported++;
    return event.record;
  }

  poll(table: PollTable): number {
    table.add(this.#wait);
    if (this.#events.length > 0) return POLLIN | POLLRDNORM;
    return this.#closed?.pollBits ?? 0;
  }
}
