/**
 * What an object holds of its adapter and of its client's memory. It is given back in reverse, all at once: when the
 * object is destroyed, or when making it fails half way.
 */
export class Resources {
  readonly #releases: (() => void)[] = [];

  /** Makes an object; if that throws, everything it took so far is given back. */
  static acquire<T>(make: (resources: Resources) => T): T {
    const resources = new Resources();
    try {
      return make(resources);
    } catch (error) {
      resources.release();
      throw error;
    }
  }

  /** Takes something, with how to give it back. */
  take<T>(taken: T, giveBack: (taken: T) => void): T {
    this.#releases.push(() => giveBack(taken));
    return taken;
  }

  /** Idempotent. */
  release(): void {
    for (const giveBack of this.#releases.splice(0).reverse()) giveBack();
  }
}
