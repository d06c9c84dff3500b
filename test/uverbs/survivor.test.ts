/** A libibverbs program with readers, objects and mappings lives through an unplug and gives everything back. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { EventType } from '../../src/core/events.js';
import { clientProgram } from '../support/client-programs.js';
import { type Daemon, startDaemon, VERBSIM } from '../support/daemon.js';
import { operate } from '../support/operator.js';

const EIO = 5;

/** Starts the program, waits until it has everything, unplugs, and returns its exit code and what it prints. */
async function survive(t: Test, daemon: Daemon, env: NodeJS.ProcessEnv = {}): Promise<[number, object]> {
  const operator = await operate(t, daemon);
  const program = clientProgram('survivor', '-libverbs');
  const child = spawn(VERBSIM, ['--runtime-dir', daemon.runtimeDir, 'run', '--', program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  const ready = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.startsWith('ready\n')) resolve();
    });
  });
  const closed = once(child, 'close') as Promise<[number]>;
  await Promise.race([ready, closed]);
  const { contexts } = await operator.call('device.unplug', { device: 'mlx4_0' });
  t.match(contexts, [{ comm: 'survivor', objects: 7 }], 'the readers did not keep the removal waiting');
  const [code] = await closed;
  t.equal((await operator.call('status', {})).openFiles, 0, 'nothing is left');
  return [code, JSON.parse(text.replace('ready\n', '')) as object];
}

t.test('on 6.12 every destroy succeeds', async (t) => {
  const [code, seen] = await survive(t, await startDaemon(t));
  t.equal(code, 0);
  t.same(seen, {
    async: EventType.DEVICE_FATAL,
    channel: 'EIO',
    mapping: 'ok',
    destroy: [0, 0, 0, 0, 0, 0],
    close: 0,
  });
});

const KERNEL_4_3 = '[[device]]\nkernel_profile = "4.3"\n';

t.test('on 4.3 every destroy fails, and libibverbs can be told to go on', async (t) => {
  const daemon = await startDaemon(t, { config: KERNEL_4_3 });
  const [code, seen] = await survive(t, daemon, { RDMAV_ALLOW_DISASSOC_DESTROY: '1' });
  t.equal(code, 0);
  t.same(seen, {
    async: EventType.DEVICE_FATAL,
    channel: 'EIO',
    mapping: 'SIGBUS',
    destroy: [0, 0, 0, 0, 0, 0],
    close: 0,
  });
});

t.test('on 4.3 without that, a program sees EIO', async (t) => {
  const daemon = await startDaemon(t, { config: KERNEL_4_3 });
  const [code, seen] = await survive(t, daemon);
  t.equal(code, 0);
  t.match(seen, { async: EventType.DEVICE_FATAL, channel: 'EIO' });
  const { destroy } = seen as { destroy: number[] };
  for (const index of [0, 1, 2, 4, 5]) t.equal(destroy[index], EIO);
});
