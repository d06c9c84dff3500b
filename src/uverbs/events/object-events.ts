import type { EventType } from '../../core/events.js';
import type { AsyncEventFile } from './async-event-file.js';
import type { EventCounter } from './event-queue.js';

/**
 * The asynchronous events of one object: where they go, and how many its client has read. An object without an
 * event file, or whose file was closed, reports none.
 */
export class ObjectEvents {
  readonly #file: AsyncEventFile | undefined;
  readonly #userHandle: bigint;
  readonly #counter: EventCounter = { reported: 0 };

  constructor(file: AsyncEventFile | undefined, userHandle: bigint) {
    this.#file = file;
    this.#userHandle = userHandle;
  }

  /** Events that the client has read. */
  get reported(): number {
    return this.#counter.reported;
  }

  readonly deliver = (type: number): void => {
    this.#file?.push(this.#userHandle, type as EventType, this.#counter);
  };

  /** Drops what is unread: the object is being destroyed, and the count must be final. */
  drop(): void {
    this.#file?.dropOf(this.#counter);
  }
}
