/**
 * Removal of a device, situation by situation: the table of docs/fidelity.md, for each kernel and each kind of driver.
 * Every cell has a device and clients of its own.
 */
import t from 'tap';
import { limit } from '../support/limit.js';
import { notReproduced, situations } from './fidelity.js';
import { commandRows } from './rows/commands.js';
import { eventRows } from './rows/events.js';
import { mappingRows } from './rows/mappings.js';
import { midwayRows } from './rows/midway.js';
import { openingRows } from './rows/opening.js';
import { programRows } from './rows/programs.js';
import { restartRows } from './rows/restarts.js';
import { COMBINATIONS, cellOf, nameOf, type Row } from './table.js';
import { startSimulator, World } from './world.js';

limit(t);
const simulator = await startSimulator(t);

const rows: readonly Row[] = [
  ...openingRows,
  ...commandRows,
  ...midwayRows,
  ...mappingRows,
  ...eventRows,
  ...programRows,
  ...restartRows,
].sort((a, b) => a.number - b.number);

const nameOfRow = ({ number, situation, call }: Row): string => `${number}. ${situation}: ${call}`;

t.test('docs/fidelity.md has these rows', async (t) => {
  t.same(rows.map(nameOfRow), situations());
  const deviating = rows.filter((row) =>
    COMBINATIONS.some((combination) => 'deviates' in cellOf(row, combination)),
  );
  t.same(
    [...new Set(notReproduced())],
    deviating.map(({ number }) => number),
    'Not reproduced',
  );
});

for (const row of rows) {
  for (const combination of COMBINATIONS) {
    const cell = cellOf(row, combination);
    const name = `${nameOfRow(row)} (${nameOf(combination)})`;
    if ('absent' in cell) t.test(name, { skip: cell.absent }, () => {});
    else t.test(name, (t) => cell.run(t, new World(t, simulator, combination)));
  }
}
