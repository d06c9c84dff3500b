/** Asks the compiler what the installed headers declare. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Declarations, parseDwarf } from './dwarf.js';
import { HEADERS, MACRO_HEADERS, MACROS } from './selection.js';

/** Marks the enumerators by which macros reach the debug information. */
const MACRO_PREFIX = 'GEN_ABI_';

export interface InstalledAbi extends Declarations {
  readonly macros: ReadonlyMap<string, bigint>;
}

export function probeInstalledHeaders(): InstalledAbi {
  const { structs, enums } = parseDwarf(dumpOf(source()));
  const macros = new Map<string, bigint>();
  for (const { enumerators } of enums) {
    for (const { name, value } of enumerators) {
      if (name.startsWith(MACRO_PREFIX)) macros.set(name.slice(MACRO_PREFIX.length), value);
    }
  }
  return { structs, enums, macros };
}

// One enum per macro: enumerators of one enum share a type, which a 64-bit value would widen for all.
function source(): string {
  return [
    ...[...HEADERS, ...MACRO_HEADERS].map((header) => `#include <${header}>`),
    ...MACROS.map((macro) => `enum { ${MACRO_PREFIX}${macro} = ${macro} };`),
    '',
  ].join('\n');
}

/** Compiles C text and returns readelf's rendering of its debug information. */
function dumpOf(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'gen-abi-'));
  try {
    writeFileSync(join(directory, 'probe.c'), text);
    // DWARF 5 is asked for by number since the file table parsed in dwarf.ts looks different in version 4.
    const compile = ['-gdwarf-5', '-fno-eliminate-unused-debug-types', '-c', 'probe.c', '-o', 'probe.o'];
    execFileSync('cc', compile, { cwd: directory });
    return execFileSync('readelf', ['--debug-dump=info,rawline', 'probe.o'], {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 64 << 20,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
