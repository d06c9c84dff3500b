/** The C programs of test/clients, compiled when a test first needs them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From dist/test/support. */
const SOURCES = fileURLToPath(new URL('../../../test/clients/', import.meta.url));
const PROGRAMS = fileURLToPath(new URL('../clients/', import.meta.url));

const modified = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** What a program is made of: its own source and the headers beside it. */
function newestSource(name: string): number {
  const parts = readdirSync(SOURCES).filter((file) => file === `${name}.c` || file.endsWith('.h'));
  return Math.max(...parts.map((file) => modified(join(SOURCES, file))));
}

/** The path of the program made from NAME.c. Throws an Error, after the compiler's messages, if it does not compile. */
export function clientProgram(name: string, ...libraries: string[]): string {
  const program = join(PROGRAMS, name);
  if (modified(program) > newestSource(name)) return program;
  mkdirSync(PROGRAMS, { recursive: true });
  // Tests run side by side: nobody shall see half a program.
  const fresh = `${program}.${process.pid}`;
  const source = join(SOURCES, `${name}.c`);
  execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-pthread', '-o', fresh, source, ...libraries], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  renameSync(fresh, program);
  return program;
}
