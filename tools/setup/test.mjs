/**
 * npm test: prepares, checks the code's form, and runs the tests. Arguments are paths to run in place of all tests
 * (test/cli, test/cli/usage.test.ts). The last line of the output is "N passed, N failed".
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { CLIENTS, main, prepare, root, SetupError } from './prepare.mjs';

const JOBS = 2;
const SECONDS_PER_FILE = 300;

const tally = { passed: 0, failed: 0 };

function count(ok) {
  if (ok) tally.passed++;
  else tally.failed++;
}

/** Paths from the root. Taken from the sources: dist also has what was compiled before it was deleted. */
function testFiles(filters) {
  const all = readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => join('test', name))
    .filter((path) => path.endsWith('.test.ts'))
    .sort();
  const wanted = all.filter(
    (path) => filters.length === 0 || filters.some((filter) => path.startsWith(filter)),
  );
  if (wanted.length === 0)
    throw new SetupError(`no test matches ${filters.join(' ')}: name a folder or file in test/`);
  return wanted;
}

function checkForm() {
  const { status } = spawnSync(join(root, 'node_modules', '.bin', 'biome'), ['check', '.'], {
    cwd: root,
    stdio: 'inherit',
  });
  count(status === 0);
}

function reportFailure({ fullname, name, diag = {} }) {
  // The process and its arguments say nothing that the name of the file does not.
  const { stdio, cwd, command, args, externalID, jobId, ...telling } = diag;
  console.log(`not ok  ${fullname ?? name}`);
  for (const [key, value] of Object.entries(telling)) {
    const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 8 });
    console.log(`${key}: ${text}`.replace(/^/gm, '    '));
  }
}

/** One line for each test file when it ends, and everything about what failed. */
function reportFile(file) {
  file.on('complete', ({ ok, count, time }) => {
    console.log(
      `${ok ? 'ok    ' : 'not ok'}  ${file.name}  ${count} tests, ${((time ?? 0) / 1000).toFixed(1)} s`,
    );
  });
}

async function runTests(files) {
  const { Parser } = await import('tap-parser');
  const compiled = files.map((path) => join('dist', path.replace(/\.ts$/, '.js')));
  const tap = spawn(
    process.execPath,
    [
      join(root, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'),
      'run',
      '--disable-coverage',
      `--jobs=${JOBS}`,
      `--timeout=${SECONDS_PER_FILE}`,
      '--reporter=tap',
      ...compiled,
    ],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const parser = new Parser();
  parser.on('child', reportFile);
  parser.on('result', (result) => {
    if (result.skip || result.todo) return;
    count(result.ok);
    if (!result.ok) reportFailure(result);
  });
  tap.stdout.pipe(parser);
  const [[code], results] = await Promise.all([once(tap, 'close'), once(parser, 'complete')]);
  // A run that broke off has no failed test to show for it.
  if ((code !== 0 || !results[0].ok) && tally.failed === 0) count(false);
}

await main(async () => {
  try {
    prepare({ packages: CLIENTS });
    checkForm();
    await runTests(testFiles(process.argv.slice(2)));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    count(false);
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
  return tally.failed === 0 ? 0 : 1;
});
