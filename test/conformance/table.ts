/** What the conformance table is made of: a row for each situation, in it a cell for each kernel and kind of driver. */
import type { Test } from 'tap';
import type { ProfileName } from '../../src/uverbs/profile.js';
import type { World } from './world.js';

export interface Combination {
  readonly kernel: ProfileName;
  /** Whether the driver has disassociate_ucontext. */
  readonly disassociates: boolean;
}

export const COMBINATIONS: readonly Combination[] = [
  { kernel: '6.12', disassociates: true },
  { kernel: '4.3', disassociates: true },
  { kernel: '6.12', disassociates: false },
  { kernel: '4.3', disassociates: false },
];

export const nameOf = ({ kernel, disassociates }: Combination): string =>
  disassociates ? kernel : `${kernel}, driver without the operation`;

export type Run = (t: Test, world: World) => Promise<unknown>;

/** What happens in a world of its own, or why there is nothing to try. */
export type Cell = { run: Run; deviates?: true } | { absent: string };

/** It is done, and comes out as the kernel's. */
export const shown = (run: Run): Cell => ({ run });

/** What a client sees here in place of what the kernel does; docs/fidelity.md says why. */
export const deviating = (run: Run): Cell => ({ run, deviates: true });

/** The situation does not exist in this combination. */
export const absent = (why: string): Cell => ({ absent: why });

export interface Row {
  /** As in docs/fidelity.md, like the next two. */
  readonly number: number;
  readonly situation: string;
  readonly call: string;
  readonly '6.12': Cell;
  readonly '4.3': Cell;
  /** The driver has no disassociate_ucontext, and the removal waits: on both kernels, or on 6.12 and on 4.3. */
  readonly without: Cell | readonly [Cell, Cell];
}

export function cellOf(row: Row, { kernel, disassociates }: Combination): Cell {
  if (disassociates) return row[kernel];
  if (!('length' in row.without)) return row.without;
  return row.without[kernel === '6.12' ? 0 : 1];
}
