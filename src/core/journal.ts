/** What happens to devices and their clients, as it happens, for whoever watches. */

export interface JournalEntry {
  /** "plugged", "opened", "refused", … */
  event: string;
  device?: string;
  /** The client that it happened to. */
  pid?: number;
  comm?: string;
  details?: Record<string, string | number>;
}

export type JournalListener = (entry: JournalEntry & { time: string }) => void;

export class Journal {
  readonly #listeners = new Set<JournalListener>();

  /** Free of cost while nobody watches: `entry` is only made then. */
  record(entry: () => JournalEntry): void {
    if (this.#listeners.size === 0) return;
    const recorded = { time: new Date().toISOString(), ...entry() };
    for (const listener of this.#listeners) listener(recorded);
  }

  /** Returns what ends the subscription. */
  subscribe(listener: JournalListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
