/** What an operator does to devices at run time, and what clients and other operators see of it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DeviceStatus, MonitorEntry } from '../../src/admin/protocol.js';
import { EventType } from '../../src/core/events.js';
import { type Daemon, eventually, startDaemon, VERBSIM } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import { GET_CONTEXT, openByWrite } from '../uverbs/support/context.js';
import { outcome, UverbsDoor } from '../uverbs/support/door.js';

const RECORD_SIZE = 16;

const nodeOf = ({ mountpoint }: Daemon, number: number): string =>
  join(mountpoint, 'dev', 'infiniband', `uverbs${number}`);

async function list({ verbsim }: Daemon): Promise<DeviceStatus[]> {
  return JSON.parse((await verbsim('dev', 'show', '-j')).stdout) as DeviceStatus[];
}

/** Reads the next asynchronous event: its element and type. */
async function nextEvent(door: UverbsDoor, fd: number): Promise<[number, number]> {
  const { data = '' } = await door.read(fd, RECORD_SIZE);
  const record = Buffer.from(data, 'hex');
  return [Number(record.readBigUInt64LE(0)), record.readUInt32LE(8)];
}

/** What `verbsim monitor -j` has printed so far. */
function monitor(t: Test, { runtimeDir }: Daemon): () => MonitorEntry[] {
  const child = spawn(VERBSIM, ['--runtime-dir', runtimeDir, 'monitor', '-j'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as MonitorEntry);
}

t.test('devices are added and deleted', async (t) => {
  const daemon = await startDaemon(t);
  const added = await daemon.verbsim('dev', 'add', '--profile', '4.3', '--ports', '2');
  t.equal(added.stdout, 'mlx4_1 added and plugged in\n', added.stderr);
  const named = await daemon.verbsim('dev', 'add', 'roce0', '--link-layer', 'ethernet');
  t.equal(named.code, 0, named.stderr);
  const devices = await list(daemon);
  t.same(
    devices.map(({ name, uverbs, kernelProfile, ports }) => [name, uverbs, kernelProfile, ports.length]),
    [
      ['mlx4_0', 'uverbs0', '6.12', 1],
      ['mlx4_1', 'uverbs1', '4.3', 2],
      ['roce0', 'uverbs2', '6.12', 1],
    ],
  );
  t.equal(new Set(devices.map(({ pci }) => pci)).size, 3, 'each has a slot of its own');
  t.equal(new Set(devices.map(({ nodeGuid }) => nodeGuid)).size, 3);
  const shown = await daemon.run('ibv_devices');
  t.match(shown.stdout, /mlx4_0[\s\S]*mlx4_1[\s\S]*roce0/);

  const door = UverbsDoor.start(t);
  const kept = await openByWrite(door, nodeOf(daemon, 0));
  const cut = await openByWrite(door, nodeOf(daemon, 2));
  t.equal((await daemon.verbsim('dev', 'del', 'roce0')).code, 0);
  t.same(await nextEvent(door, cut.asyncFd), [0, EventType.DEVICE_FATAL]);
  t.equal(await door.poll(kept.asyncFd), 0, 'other devices are left alone');
  t.notMatch((await daemon.run('ibv_devices')).stdout, 'roce0');
  t.equal((await daemon.verbsim('unplug', 'roce0')).code, 2, 'it is forgotten');
  t.equal((await daemon.verbsim('dev', 'add', 'mlx4_1')).code, 2, 'a name is taken once');
});

t.test('the cable of a port is pulled and plugged', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
  t.equal((await daemon.verbsim('port', 'set', 'mlx4_0/1', 'state', 'down')).code, 0);
  t.same(await nextEvent(door, asyncFd), [1, EventType.PORT_ERR]);
  t.match((await daemon.run('ibv_devinfo')).stdout, 'PORT_DOWN');
  t.match((await daemon.run('ibstat')).stdout, /State: Down\s+Physical state: Polling/);
  await daemon.verbsim('port', 'set', 'mlx4_0/1', 'state', 'down');
  t.equal(await door.poll(asyncFd), 0, 'nothing changed, so there is no event');
  await daemon.verbsim('port', 'set', 'mlx4_0/1', 'state', 'active');
  t.same(await nextEvent(door, asyncFd), [1, EventType.PORT_ACTIVE]);
  t.match((await daemon.run('ibv_devinfo')).stdout, 'PORT_ACTIVE');
  t.equal((await daemon.verbsim('port', 'set', 'mlx4_0/3', 'state', 'down')).code, 2);
  t.equal((await daemon.verbsim('port', 'set', 'mlx4_0/1', 'state', 'sideways')).code, 1);
});

t.test('events of a port are raised', async (t) => {
  const daemon = await startDaemon(t);
  const operator = await operate(t, daemon);
  const door = UverbsDoor.start(t);
  const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
  for (const event of [
    'LID_CHANGE',
    'GID_CHANGE',
    'PKEY_CHANGE',
    'SM_CHANGE',
    'CLIENT_REREGISTER',
  ] as const) {
    await operator.call('port.raise', { device: 'mlx4_0', port: 1, event });
    t.same(await nextEvent(door, asyncFd), [1, EventType[event]], event);
  }
});

for (const [command, events] of [
  ['reset', 1],
  ['fatal', 2],
] as const) {
  t.test(`dev ${command} restarts a device`, async (t) => {
    const daemon = await startDaemon(t);
    const door = UverbsDoor.start(t);
    const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
    const { stdout, stderr } = await daemon.verbsim('dev', command, 'mlx4_0');
    t.equal(stdout, 'mlx4_0 restarted, cutting off 1 context\n', stderr);
    for (let i = 0; i < events; i++) t.same(await nextEvent(door, asyncFd), [0, EventType.DEVICE_FATAL]);
    t.equal(await door.poll(asyncFd), 0);
    await openByWrite(door, nodeOf(daemon, 0));
  });
}

t.test('an unplug that must wait shows for whom, gives up on time, and goes on', async (t) => {
  const daemon = await startDaemon(t);
  t.equal((await daemon.verbsim('dev', 'add', '--without-disassociate')).code, 0);
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByWrite(door, nodeOf(daemon, 1));
  const pid = (await door.ask('pid')).pid;
  const gaveUp = await daemon.verbsim('unplug', 'mlx4_1', '--timeout', '1');
  t.equal(gaveUp.code, 2);
  t.match(gaveUp.stderr, 'waiting for these to close it');
  t.match(gaveUp.stderr, new RegExp(`^${pid} +door +1 +2$`, 'm'));
  t.match(gaveUp.stderr, 'still in use after 1 s');
  const waiting = (await list(daemon))[1];
  t.match(waiting, { plugged: true, contexts: [{ pid, descriptors: 2 }] });
  t.equal(waiting?.uverbs, undefined, 'its node is gone');
  const other = await daemon.verbsim('unplug', 'mlx4_0', '--timeout', '5');
  t.equal(other.code, 0, `other devices do not wait for it: ${other.stderr}`);
  await door.close(fd);
  t.equal((await list(daemon))[1]?.plugged, true, 'an event file alone holds it');
  await door.close(asyncFd);
  await eventually('the removal ends', async () => (await list(daemon))[1]?.plugged === false);
  t.equal((await daemon.verbsim('plug', 'mlx4_1')).code, 0);
});

t.test('a monitor sees what happens and to whom', async (t) => {
  const daemon = await startDaemon(t);
  const entries = monitor(t, daemon);
  const operator = await operate(t, daemon);
  const door = UverbsDoor.start(t);
  // The monitor is there once it shows something.
  await eventually('the monitor has begun', async () => {
    await operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'SM_CHANGE' });
    await door.close(await door.open(nodeOf(daemon, 0)));
    return entries().length > 0;
  });
  const { fd } = await openByWrite(door, nodeOf(daemon, 0));
  const pid = Number((await door.ask('pid')).pid);
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EINVAL');
  await operator.call('device.unplug', { device: 'mlx4_0' });
  await eventually('the unplug is shown', () => entries().some(({ event }) => event === 'unplugged'));
  const seen = entries();
  for (const event of ['opened', 'refused', 'cut off']) {
    t.match(
      seen.find((entry) => entry.event === event && entry.pid === pid),
      { device: 'mlx4_0', comm: 'door' },
      event,
    );
  }
  t.match(
    seen.find(({ event, details }) => event === 'refused' && details?.['code'] === 'EINVAL'),
    { details: { door: 'write' } },
  );
  const times = seen.map(({ time }) => Date.parse(time));
  t.same(times, [...times].sort(), 'in order');
});
