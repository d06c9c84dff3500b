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
/** Only a hang takes longer, whatever else the machine does. */
const SECONDS_PER_FILE = 600;
/** For a file that hangs to say where, and to clear away what it made. */
const SECONDS_TO_END = 30;

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

function report(name, telling) {
  console.log(`not ok  ${name}`);
  for (const [key, value] of Object.entries(telling)) {
    const text = typeof value === 'string' ? value.trimEnd() : inspect(value, { depth: 8 });
    console.log(`${key}: ${text}`.replace(/^/gm, '    '));
  }
}

/** Process groups of the files under way: the tests, and the simulators and clients that they have started. */
const running = new Set();

function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended.
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const pid of running) killGroup(pid, signal);
    process.exit(1);
  });
}

/** Keeps the names of the tests that have begun and not ended in `open`, the outer ones first. */
function follow(parser, open) {
  parser.on('child', (test) => {
    open.add(test);
    test.on('complete', () => open.delete(test));
    follow(test, open);
  });
}

/** One line for a test file when it has ended, and everything about what failed. */
async function runFile(Parser, path) {
  const begun = Date.now();
  const open = new Set();
  let failed = 0;
  let counted = 0;
  const fail = (name, telling) => {
    failed++;
    count(false);
    report(name, telling);
  };
  const parser = new Parser();
  follow(parser, open);
  parser.on('result', ({ ok, skip, todo, fullname, name, diag }) => {
    if (skip || todo) return;
    counted++;
    if (ok) count(true);
    else fail(`${path} > ${fullname || name}`, diag ?? {});
  });
  const ended = once(parser, 'complete');
  const file = spawn(process.execPath, ['--enable-source-maps', join('dist', path.replace(/\.ts$/, '.js'))], {
    cwd: root,
    env: { ...process.env, TAP_TIMEOUT: `${SECONDS_PER_FILE}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  running.add(file.pid);
  let errors = '';
  file.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  file.stdout.on('data', (text) => parser.write(text));
  const killer = setTimeout(() => file.kill('SIGKILL'), (SECONDS_PER_FILE + SECONDS_TO_END) * 1000);
  // What it has left running would keep its streams open.
  file.once('exit', () => killGroup(file.pid, 'SIGTERM'));
  const [code, signal] = await once(file, 'close');
  clearTimeout(killer);
  running.delete(file.pid);
  const during = [...open].map(({ name }) => name).join(' > ');
  parser.end();
  const [{ ok, failures }] = await ended;
  const seconds = ((Date.now() - begun) / 1000).toFixed(1);
  if (signal !== null || (failed === 0 && (code !== 0 || !ok || counted === 0))) {
    fail(path, {
      ended: `${signal ?? `exit code ${code}`} after ${seconds} s`,
      ...(during !== '' && { during }),
      problems: failures.flatMap(({ tapError }) => tapError ?? []).join(', '),
    });
  }
  if (failed > 0 && errors !== '') report(path, { 'standard error': errors });
  console.log(`${failed === 0 ? 'ok    ' : 'not ok'}  ${path}  ${counted} tests, ${seconds} s`);
}

async function runTests(files) {
  const { Parser } = await import('tap-parser');
  const waiting = files.values();
  // All take from the same.
  const work = async () => {
    for (const path of waiting) await runFile(Parser, path);
  };
  await Promise.all(Array.from({ length: JOBS }, work));
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
