/** What has to be taken down again, whatever ends the bench. */
export class Cleanup {
  readonly #steps = new Set<() => void | Promise<void>>();
  #closed = false;

  /**
   * Registers a step, before what it undoes is begun; the function returned takes it early. Either way it is taken
   * once. Throws when the bench is ending.
   */
  add(undo: () => void | Promise<void>): () => Promise<void> {
    if (this.#closed) throw new Error('the bench is ending');
    this.#steps.add(undo);
    return async () => {
      if (this.#steps.delete(undo)) await undo();
    };
  }

  /** From now on nothing can be begun any more. */
  close(): void {
    this.#closed = true;
  }

  /** Takes all steps, the last one first; one that fails does not keep the others from being taken. */
  async run(): Promise<void> {
    for (;;) {
      const undo = [...this.#steps].at(-1);
      if (undo === undefined) return;
      this.#steps.delete(undo);
      try {
        await undo();
      } catch (error) {
        console.error(`bench: ${(error as Error).message}`);
      }
    }
  }
}
