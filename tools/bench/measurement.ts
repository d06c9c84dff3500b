import type { Row } from './report.js';
import type { Workbench } from './workbench.js';

/** One thing that the bench measures, on servers of its own. */
export interface Measurement {
  /** What it is called on the command line. */
  readonly name: string;
  readonly summary: string;
  /**
   * What it starts is stopped afterwards. Throws an Error if it cannot be carried out; what only part of it cannot be measured for is left out of the rows
   * and told to `unable`, as a sentence.
   */
  run(bench: Workbench, unable: (sentence: string) => void): Promise<Row[]>;
}
