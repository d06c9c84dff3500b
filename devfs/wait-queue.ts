import { type Call, interrupted } from './call.js';

/** A descriptor's wish to be woken when poll, select or epoll watches it. */
export interface PollWaiter {
  notify(): void;
}

/**
 * Who waits for something to change: calls that sleep in the device, and polls. As the kernel's
 * wait_queue_head_t, it carries no condition; woken callers look again.
 */
export class WaitQueue {
  #sleepers = new Set<() => void>();
  #pollers = new Set<PollWaiter>();

  /** How many calls sleep here. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Sleeps until the next `wake`. Rejects with EINTR when the caller is interrupted. */
  sleep(call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        this.#sleepers.delete(woken);
        call.onInterrupt(undefined);
        settle();
      };
      const woken = (): void => finish(resolve);
      this.#sleepers.add(woken);
      call.onInterrupt(() => finish(() => reject(interrupted())));
    });
  }

  addPoller(waiter: PollWaiter): void {
    this.#pollers.add(waiter);
  }

  removePoller(waiter: PollWaiter): void {
    this.#pollers.delete(waiter);
  }

  /** Wakes every sleeper and tells every poller, once. */
  wake(): void {
    for (const woken of [...this.#sleepers]) woken();
    const pollers = [...this.#pollers];
    this.#pollers.clear();
    for (const poller of pollers) poller.notify();
  }
}
