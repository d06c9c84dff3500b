/** How long one part of a long task keeps the event loop, and with it every other client, waiting. */
const MILLISECONDS = 5;

/** Divides a long task into parts between which others have their turn. */
export class TimeSlice {
  #end = performance.now() + MILLISECONDS;

  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Resolves when whoever waits has had a turn, with a new slice. */
  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#end = performance.now() + MILLISECONDS;
  }
}
