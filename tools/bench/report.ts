/** What the bench says: rows, as a table for people and as JSON. */
import Table from 'cli-table3';

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The same measured on the floor in the same run, in the same unit; null where there is none. */
  readonly floor: number | null;
  /** value / floor; below 1 for a rate that does not reach the floor's. */
  readonly ratio: number | null;
}

const DIGITS = 4;

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** Numbers are rounded to four digits, the ratio after it was taken. */
export function row(name: string, unit: string, value: number, floor: number | null = null): Row {
  return {
    name,
    value: rounded(value),
    unit,
    floor: floor === null ? null : rounded(floor),
    ratio: floor === null || floor === 0 ? null : rounded(value / floor),
  };
}

/** The middle one, or the mean of the two middle ones. Throws a RangeError if there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)];
  const lower = sorted[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('the median of nothing');
  return (upper + lower) / 2;
}

/** An array of rows, one per line. */
export function toJson(rows: readonly Row[]): string {
  return rows.length === 0
    ? '[]\n'
    : `[\n${rows.map((each) => `  ${JSON.stringify(each)}`).join(',\n')}\n]\n`;
}

export function toTable(rows: readonly Row[]): string {
  const table = new Table({
    head: ['measurement', 'value', 'floor', 'unit', 'ratio'],
    colAligns: ['left', 'right', 'right', 'left', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, value, floor, unit, ratio } of rows) {
    table.push([name, String(value), floor === null ? '-' : String(floor), unit, ratio?.toFixed(2) ?? '-']);
  }
  return table.toString();
}
