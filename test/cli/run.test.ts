import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { PRIVATE_DIRECTORIES, runtimePaths } from '../../src/admin/runtime-paths.js';
import {
  eventually,
  execute,
  isMounted,
  launch,
  requireMounts,
  runtimeDirectory,
  startDaemon,
  VERBSIM,
} from '../support/daemon.js';
import { isolated } from '../support/isolated.js';

requireMounts();

t.test('run starts a simulator of its own, which ends with the command', async (t) => {
  const absent = `${t.testdir()}/none`;
  const script = 'echo "$VERBSIM_RUNTIME_DIR"; ls /dev/infiniband; "$0" status --json';
  const { code, stdout, stderr } = await execute(VERBSIM, [
    '--runtime-dir',
    absent,
    'run',
    'sh',
    '-c',
    script,
    VERBSIM,
  ]);
  t.equal(code, 0, stderr);
  const [directory = '', node, status = '{}'] = stdout.split('\n');
  t.match(directory, /^\/run\/verbsim-run-\w+$/);
  t.equal(node, 'uverbs0');
  t.match(JSON.parse(status), { mountpoint: `${directory}/mnt` }, 'verbsim in the command reaches it');
  await eventually('its directory is gone', () => !existsSync(directory));
  t.notOk(isMounted(`${directory}/mnt`));
  t.notOk(existsSync(absent));
});

t.test('run uses the simulator that is there', async (t) => {
  const daemon = await startDaemon(t);
  const { stdout } = await daemon.run('sh', '-c', 'echo "$VERBSIM_RUNTIME_DIR"; ls /dev/infiniband');
  t.equal(stdout, `${daemon.runtimeDir}\nuverbs0\n`);
});

t.test('the exit code, the output and the options are those of the command', async (t) => {
  const daemon = await startDaemon(t);
  t.same(await daemon.verbsim('run', 'sh', '-c', 'echo out; echo err >&2; exit 7'), {
    code: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  });
  t.equal((await daemon.verbsim('run', 'echo', '--help', '--', '-j')).stdout, '--help -- -j\n');
  t.equal((await daemon.verbsim('run', '--', 'printf', '%s', '--version')).stdout, '--version');
  t.equal((await daemon.run('sh', '-c', 'kill -TERM $$')).code, 'SIGTERM');
});

t.test('a command that was started before the devices came', async (t) => {
  // The second one is where the host may have PCI devices, too.
  const daemon = await startDaemon(t, { config: '[[device]]\n[[device]]\npci = "0000:81:00.0"\n' });
  for (const device of ['mlx4_0', 'mlx4_1']) await daemon.verbsim('unplug', device);
  const script = 'ibv_devices; read go; ibv_devices';
  const client = spawn(VERBSIM, ['--runtime-dir', daemon.runtimeDir, 'run', '--', 'sh', '-c', script]);
  t.teardown(() => client.kill('SIGKILL'));
  let seen = '';
  client.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  const closed = once(client, 'close');
  await eventually('it has looked once', () => seen.includes('------'));
  t.notMatch(seen, 'mlx4');
  for (const device of ['mlx4_0', 'mlx4_1']) await daemon.verbsim('plug', device);
  client.stdin.end('go\n');
  await closed;
  for (const device of ['mlx4_0', 'mlx4_1']) t.match(seen, device);
});

t.test('a command that is not there', async (t) => {
  const { code, stdout, stderr } = await isolated(`
    status=0; "$VERBSIM" run no-such-program || status=$?
    # Until its simulator is gone.
    while ls -d /run/verbsim-run-* >/dev/null 2>&1; do sleep 0.1; done
    exit $status
  `);
  t.equal(code, 127);
  t.equal(stdout, '');
  t.match(stderr, /^verbsim: cannot run no-such-program: /);
});

/** A command with a simulator of its own, which lasts until the test ends, and that simulator's directory. */
async function startPrivate(t: Test): Promise<string> {
  const script = 'echo "$VERBSIM_RUNTIME_DIR"; exec sleep 600';
  const absent = `${t.testdir()}/none`;
  const { output } = launch(t, VERBSIM, ['--runtime-dir', absent, 'run', 'sh', '-c', script]);
  await eventually('the command runs', () => output.stdout.includes('\n'));
  return output.stdout.trim();
}

/** A private simulator that died without clearing away what it has made. */
async function startAndKill(t: Test): Promise<string> {
  const directory = await startPrivate(t);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const { pidFile, mountpoint } = runtimePaths(directory);
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  await eventually('its guard has unmounted', () => !isMounted(mountpoint));
  return directory;
}

/** As it is before its simulator has taken possession of it. */
function startingDirectory(t: Test): string {
  const directory = mkdtempSync(PRIVATE_DIRECTORIES);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(runtimePaths(directory).logFile, '');
  return directory;
}

for (const next of ['run', 'up']) {
  t.test(`what a killed private simulator has left goes at the next "${next}"`, async (t) => {
    const [living, killed] = await Promise.all([startPrivate(t), startAndKill(t)]);
    const starting = startingDirectory(t);
    if (next === 'run') {
      await execute(VERBSIM, ['--runtime-dir', `${t.testdir()}/none`, 'run', 'true']);
    } else {
      const place = ['--runtime-dir', runtimeDirectory(t)];
      t.teardown(() => execute(VERBSIM, [...place, 'down']));
      await execute(VERBSIM, [...place, 'up']);
    }
    t.notOk(existsSync(killed));
    t.ok(existsSync(starting), 'one that is being started is left alone');
    t.equal((await execute(VERBSIM, ['--runtime-dir', living, 'status'])).code, 0, 'and one that lives');
  });
}
