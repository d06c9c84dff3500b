/** npm run bench: prepares, and runs the measurements; arguments are theirs. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CLIENTS, main, prepare, root } from './prepare.mjs';

await main(() => {
  prepare({ packages: CLIENTS });
  const bench = join(root, 'dist', 'tools', 'bench', 'main.js');
  const { status } = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  });
  return status ?? 1;
});
