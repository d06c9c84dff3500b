#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../../dist/tools/verbsim/main.js', import.meta.url);
if (existsSync(main)) {
  process.exitCode = await (await import(main.href)).main(process.argv.slice(2));
} else {
  process.stderr.write('verbsim: it is not built yet: run "npm run build" in its directory\n');
  process.exitCode = 1;
}
