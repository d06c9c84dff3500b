/** Regenerates src/abi/abi.generated.ts from the kernel's uapi headers installed on this machine. */

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { emit } from './emit.js';
import { probeInstalledHeaders } from './probe.js';

// From dist/tools/gen-abi, where this runs.
const target = fileURLToPath(new URL('../../../src/abi/abi.generated.ts', import.meta.url));
writeFileSync(target, emit(probeInstalledHeaders()));
