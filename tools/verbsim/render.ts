/** Output: a command has one structure, which is printed as JSON or made into text. */
import Table from 'cli-table3';
import type { Options } from './command.js';

/** A bigint has no JSON form; GUIDs are strings by the time they get here. */
function toJson(value: unknown, { pretty }: Options): string {
  return JSON.stringify(value, null, pretty === true ? 2 : undefined);
}

/** Prints `value` as the options ask; `text` makes it readable for people. */
export function print<T>(value: T, options: Options, text: (value: T) => string): void {
  const asJson = options.json === true || options.pretty === true;
  process.stdout.write(`${asJson ? toJson(value, options) : text(value)}\n`);
}

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns without lines, one row per line, so that grep and awk can use it. */
export function table(head: string[], rows: (string | number)[][]): string {
  const made = new Table({
    chars: BARE,
    head,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  made.push(...rows.map((row) => row.map(String)));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** "name   value" lines. */
export function properties(rows: [name: string, value: string | number][]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
