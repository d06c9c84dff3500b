/** The tables of docs/fidelity.md. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** From dist/test/conformance. */
const DOCUMENT = fileURLToPath(new URL('../../../docs/fidelity.md', import.meta.url));

const cellsOf = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The numbered rows under a heading, or those above the first. */
function rowsUnder(heading: string | undefined): string[][] {
  const sections = readFileSync(DOCUMENT, 'utf8').split(/^## /m);
  const section = heading === undefined ? sections[0] : sections.find((text) => text.startsWith(heading));
  if (section === undefined) throw new Error(`docs/fidelity.md has no section "${heading}"`);
  return section
    .split('\n')
    .filter((line) => /^\| *\d+ *\|/.test(line))
    .map(cellsOf);
}

/** "22. async file, reader blocked: read", in the document's order. */
export const situations = (): string[] =>
  rowsUnder(undefined).map(([number, situation, call]) => `${number}. ${situation}: ${call}`);

/** Numbers of the rows that are not reproduced in full. */
export const notReproduced = (): number[] => rowsUnder('Not reproduced').map(([number]) => Number(number));
