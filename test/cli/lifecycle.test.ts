import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runtimePaths } from '../../src/admin/runtime-paths.js';
import {
  eventually,
  execute,
  isMounted,
  requireMounts,
  runtimeDirectory,
  startDaemon,
  VERBSIM,
} from '../support/daemon.js';

requireMounts();

/** A directory and `verbsim` with it; the simulator that `up` starts there is stopped when the test ends. */
function place(t: Test) {
  const directory = runtimeDirectory(t);
  const verbsim = (...args: string[]) => execute(VERBSIM, ['--runtime-dir', directory, ...args]);
  t.teardown(() => verbsim('down'));
  return { directory, paths: runtimePaths(directory), verbsim };
}

t.test('up, status, down', async (t) => {
  const { directory, paths, verbsim } = place(t);
  const up = await verbsim('up');
  t.equal(up.code, 0, up.stderr);
  t.match(up.stdout, /^simulator running with mlx4_0 at \/run\/verbsim-test-\w+\/mnt \(process \d+\)\n$/);
  t.ok(isMounted(paths.mountpoint));
  const pid = Number(readFileSync(paths.pidFile, 'utf8'));

  const status = JSON.parse((await verbsim('status', '--json')).stdout);
  t.match(status, { pid, mountpoint: paths.mountpoint, devices: ['mlx4_0'] });
  const text = await verbsim('status');
  t.match(text.stdout, new RegExp(`^process +${pid}$`, 'm'), 'text and JSON say the same');

  const second = await verbsim('up');
  t.equal(second.code, 2);
  t.match(second.stderr, `a simulator is already running at ${directory} (process ${pid})`);
  const foreground = await verbsim('daemon');
  t.equal(foreground.code, 2);
  t.match(foreground.stderr, `a simulator is already running at ${directory} (process ${pid})`);

  t.same(await verbsim('down'), { code: 0, stdout: '', stderr: '' });
  t.notOk(isMounted(paths.mountpoint));
  t.notOk(existsSync(directory), 'nothing is left');
  t.equal((await verbsim('down')).code, 3);
});

t.test('up says why it failed, and leaves nothing', async (t) => {
  const { directory, verbsim } = place(t);
  const file = join(t.testdir(), 'bad.toml');
  writeFileSync(file, '[[device]]\nports = 3\n');
  t.same(await verbsim('up', '--config', file), {
    code: 2,
    stdout: '',
    stderr: `verbsim: ${file}: device[0].ports must be 1 or 2\n`,
  });
  t.notOk(existsSync(directory));
});

t.test('up after a crash clears away what was left', async (t) => {
  const { paths, verbsim } = place(t);
  await verbsim('up');
  process.kill(Number(readFileSync(paths.pidFile, 'utf8')), 'SIGKILL');
  await eventually('the simulator is gone', async () => (await verbsim('status')).code === 3);
  await eventually('its guard has unmounted', () => !isMounted(paths.mountpoint));
  t.ok(existsSync(paths.lockFile), 'its directory stays');
  const up = await verbsim('up');
  t.equal(up.code, 0, up.stderr);
  t.equal((await verbsim('run', '--', 'ls', '/dev/infiniband')).code, 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`the daemon ends orderly on ${signal}`, async (t) => {
    const daemon = await startDaemon(t);
    daemon.process.kill(signal);
    await eventually('the daemon ends', () => daemon.process.exitCode !== null);
    t.equal(daemon.process.exitCode, 0);
    t.notOk(existsSync(daemon.runtimeDir));
  });
}

t.test('the daemon ends when its mount is taken away', async (t) => {
  const daemon = await startDaemon(t);
  await execute('umount', ['-l', daemon.mountpoint]);
  await eventually('the daemon ends', () => daemon.process.exitCode !== null);
  t.equal(daemon.process.exitCode, 1);
  t.match(daemon.log(), 'the file system was unmounted by somebody else');
});

t.test('env can be evaluated by a shell', async (t) => {
  const daemon = await startDaemon(t);
  const { stdout } = await daemon.verbsim('env');
  const shell = await execute('sh', ['-c', `${stdout}\nprintf %s "$SYSFS_PATH"`]);
  t.equal(shell.stdout, `${daemon.mountpoint}/sys`);
});

t.test('devices are shown, unplugged and plugged in', async (t) => {
  const daemon = await startDaemon(t, { config: '[[device]]\n[[device]]\nports = 2\n' });
  const list = async () => JSON.parse((await daemon.verbsim('dev', 'show', '-j')).stdout);
  t.match(await list(), [
    { name: 'mlx4_0', plugged: true, ports: { length: 1 } },
    { name: 'mlx4_1', plugged: true, ports: { length: 2 } },
  ]);
  const shown = await daemon.verbsim('dev', 'show', 'mlx4_1');
  t.match(shown.stdout, /^device +mlx4_1$/m);
  t.notMatch(shown.stdout, 'mlx4_0');

  const unplug = await daemon.verbsim('unplug', 'mlx4_1', '--json');
  t.match(JSON.parse(unplug.stdout), { device: 'mlx4_1', contexts: [], milliseconds: Number });
  t.match(await list(), [{ plugged: true }, { plugged: false }]);
  t.equal((await daemon.verbsim('plug', 'mlx4_1')).stdout, 'mlx4_1 plugged in\n');
  t.match(await list(), [{ plugged: true }, { plugged: true }]);

  for (const args of [
    ['unplug', 'mlx4_7'],
    ['plug', 'mlx4_7'],
    ['plug', 'mlx4_0'],
    ['dev', 'show', 'mlx4_7'],
  ]) {
    const { code, stderr } = await daemon.verbsim(...args);
    t.equal(code, 2, args.join(' '));
    t.match(stderr, /^verbsim: .*mlx4_/);
  }
});
