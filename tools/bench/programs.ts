/** The C programs of the bench, compiled from the sources that lie beside this file's and in test/clients. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import type { Cleanup } from './cleanup.js';

/** From dist/tools/bench. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const SOURCES = {
  'fuse-floor': 'tools/bench/floor/fuse-floor.c',
  'open-close': 'tools/bench/floor/open-close.c',
  'object-rate': 'tools/bench/object-rate.c',
  'bench-write': 'test/clients/bench-write.c',
  'open-many': 'test/clients/open-many.c',
} as const;

const LIBRARIES: { [name: string]: string[] } = { 'open-many': ['-libverbs'] };

export type ProgramName = keyof typeof SOURCES;

/** Paths of the compiled programs. */
export type Programs = Readonly<Record<ProgramName, string>>;

/** Compiles all of them into `folder`. Throws an Error with the compiler's words. */
export async function compile(cleanup: Cleanup, folder: string): Promise<Programs> {
  const made = Object.entries(SOURCES).map(async ([name, source]) => {
    const program = join(folder, name);
    const args = ['-O2', '-pthread', '-o', program, join(ROOT, source), ...(LIBRARIES[name] ?? [])];
    await Child.start(cleanup, 'cc', args, ['ignore', 'ignore', 'pipe']).success();
    return [name, program] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Programs;
}
