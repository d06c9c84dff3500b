import { join } from 'node:path';
import t from 'tap';
import { version } from '../../src/admin/version.js';
import { commands } from '../../tools/verbsim/commands.js';
import { execute, VERBSIM } from '../support/daemon.js';

t.jobs = 4;

const verbsim = (...args: string[]) => execute(VERBSIM, args);

t.test('--version', async (t) => {
  t.same(await verbsim('--version'), { code: 0, stdout: `${version}\n`, stderr: '' });
});

t.test('--help names every command', async (t) => {
  const { code, stdout } = await verbsim('--help');
  t.equal(code, 0);
  for (const { words } of commands) t.match(stdout, words.split(' ')[0] ?? words);
});

for (const { words, arguments: expected, options } of commands) {
  t.test(`help of ${words}`, async (t) => {
    const { code, stdout } = await verbsim(...words.split(' '), '--help');
    t.equal(code, 0);
    for (const text of [...(expected ?? []), ...(options ?? [])]) {
      t.match(stdout.replace(/\s+/g, ' '), text.summary);
    }
  });
}

const mistakes: string[][] = [
  [],
  ['bogus'],
  ['--bogus'],
  ['up', 'extra'],
  ['up', '--config'],
  ['unplug'],
  ['unplug', 'mlx4_0', 'mlx4_1'],
  ['plug', 'mlx4_0', '--json'],
  ['dev'],
  ['dev', 'bogus'],
  ['run'],
  ['run', '--'],
  ['run', '--bogus', 'true'],
  ['daemon', '--while-pid', 'init'],
  ['daemon', '--ready-fd', '-1'],
];

for (const args of mistakes) {
  t.test(`exit code 1: verbsim ${args.join(' ')}`, async (t) => {
    const { code, stdout, stderr } = await verbsim(...args);
    t.equal(code, 1);
    t.equal(stdout, '');
    t.not(stderr, '');
    t.notMatch(stderr, /^ {4}at /m, 'no stack trace');
  });
}

for (const command of ['down', 'status', 'env', 'dev show', 'unplug mlx4_0', 'plug mlx4_0']) {
  t.test(`exit code 3 without a simulator: verbsim ${command}`, async (t) => {
    const directory = join(t.testdir(), 'none');
    const { code, stdout, stderr } = await verbsim('--runtime-dir', directory, ...command.split(' '));
    t.equal(code, 3);
    t.equal(stdout, '');
    t.equal(
      stderr,
      `verbsim: no simulator is running at ${directory}/admin.sock: start one with "verbsim up"\n`,
    );
  });
}

t.test('the runtime directory may come from the environment', async (t) => {
  const directory = t.testdir();
  const { code, stderr } = await execute(VERBSIM, ['status'], { VERBSIM_RUNTIME_DIR: directory });
  t.equal(code, 3);
  t.match(stderr, directory);
});

t.test('doctor prints one row for each check, as JSON too', async (t) => {
  const text = await verbsim('doctor');
  const json = await verbsim('doctor', '--json');
  t.equal(json.code, text.code);
  for (const { name, state } of JSON.parse(json.stdout)) {
    t.match(text.stdout, new RegExp(`^${state} +${name}`, 'm'));
  }
});
