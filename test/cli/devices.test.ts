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

t.test('a device shows its kernel and what its driver can do', async (t) => {
  const daemon = await startDaemon(t);
  await daemon.verbsim('dev', 'add', '--profile', '4.3', '--without-disassociate');
  const kernels = (await daemon.verbsim('dev', 'show')).stdout.match(/^kernel .*$/gm);
  t.same(kernels, [
    'kernel     6.12, driver with disassociate',
    'kernel     4.3, driver without disassociate',
  ]);
  t.match(await list(daemon), [
    { kernelProfile: '6.12', driverWithoutDisassociate: false },
    { kernelProfile: '4.3', driverWithoutDisassociate: true },
  ]);
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

t.test(
  'a fatal error: the driver tells, then the removal; between them the device is not active',
  async (t) => {
    const daemon = await startDaemon(t);
    const operator = await operate(t, daemon);
    const door = UverbsDoor.start(t);
    const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
    const late = await door.open(nodeOf(daemon, 0));
    const restart = operator.call('device.fatal', { device: 'mlx4_0', realisticTiming: true });
    t.same(await nextEvent(door, asyncFd), [0, EventType.DEVICE_FATAL], 'from the driver');
    t.equal(outcome(await door.command(late, GET_CONTEXT)), 'EAGAIN');
    t.same(await nextEvent(door, asyncFd), [0, EventType.DEVICE_FATAL], 'from the removal');
    t.equal(outcome(await door.command(late, GET_CONTEXT)), 'EIO', 'the old file is dead');
    t.equal((await restart).contexts.length, 1);
    await openByWrite(door, nodeOf(daemon, 0));
  },
);

t.test('a reset is a removal with one event', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
  const reset = await daemon.verbsim('dev', 'reset', 'mlx4_0');
  t.equal(reset.stdout, 'mlx4_0 restarted, cutting off 1 context\n', reset.stderr);
  t.same(await nextEvent(door, asyncFd), [0, EventType.DEVICE_FATAL]);
  t.equal(await door.poll(asyncFd), 0);
  await openByWrite(door, nodeOf(daemon, 0));
});

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

/** An entry in one line: what happened, to which client, and the details that `named` picks. */
function brief(
  { event, comm, details = {} }: MonitorEntry,
  named = ['type', 'port', 'door', 'code', 'left'],
) {
  const picked = named.flatMap((name) => (details[name] === undefined ? [] : [`${name}=${details[name]}`]));
  return [event, ...(comm === undefined ? [] : [`to ${comm}`]), ...picked].join(' ');
}

/** What a monitor of the daemon shows, from now on, until `last` has happened. */
async function watch(t: Test, daemon: Daemon): Promise<(last: string) => Promise<string[]>> {
  const entries = monitor(t, daemon);
  const operator = await operate(t, daemon);
  const begun = 'port type=SM_CHANGE port=1';
  await eventually('the monitor has begun', async () => {
    await operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'SM_CHANGE' });
    return entries().length > 0;
  });
  return async (last) => {
    const seen = () => entries().map((entry) => brief(entry));
    await eventually(`${last} is shown`, () => seen().includes(last));
    const times = entries().map(({ time }) => Date.parse(time));
    t.same(times, [...times].sort(), 'in order');
    return seen().slice(seen().lastIndexOf(begun) + 1);
  };
}

t.test('a monitor sees what clients do and what is refused to them', async (t) => {
  const daemon = await startDaemon(t);
  const shown = await watch(t, daemon);
  const operator = await operate(t, daemon);
  const door = UverbsDoor.start(t);
  const node = nodeOf(daemon, 0);
  const { fd, asyncFd } = await openByWrite(door, node);
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EINVAL');
  const stale = `/proc/self/fd/${await door.open(node, 'path')}`;
  await operator.call('device.unplug', { device: 'mlx4_0' });
  t.equal(outcome(await door.ask('open', stale)), 'EIO');
  await door.close(fd);
  await door.close(asyncFd);
  t.same(await shown('closed to door'), [
    'opened to door',
    'refused to door door=write code=EINVAL',
    'being unplugged',
    'cut off to door',
    'event to door type=DEVICE_FATAL port=0',
    'unplugged',
    'refused to door door=open code=EIO',
    'descriptor closed to door left=1',
    'closed to door',
  ]);
});

t.test('a monitor sees what happens to devices and ports, with and without clients', async (t) => {
  const daemon = await startDaemon(t);
  const shown = await watch(t, daemon);
  const operator = await operate(t, daemon);
  await operator.call('port.set', { device: 'mlx4_0', port: 1, state: 'down' });
  await operator.call('port.set', { device: 'mlx4_0', port: 1, state: 'down' });
  const door = UverbsDoor.start(t);
  await openByWrite(door, nodeOf(daemon, 0));
  await operator.call('port.set', { device: 'mlx4_0', port: 1, state: 'active' });
  await operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'LID_CHANGE' });
  await operator.call('device.fatal', { device: 'mlx4_0' });
  await operator.call('device.add', {});
  await operator.call('device.delete', { device: 'mlx4_1' });
  t.same(await shown('deleted'), [
    'port type=PORT_ERR port=1',
    'opened to door',
    'port type=PORT_ACTIVE port=1',
    'event to door type=PORT_ACTIVE port=1',
    'port type=LID_CHANGE port=1',
    'event to door type=LID_CHANGE port=1',
    'fatal error',
    'event to door type=DEVICE_FATAL port=0',
    'reset',
    'being unplugged',
    'cut off to door',
    'event to door type=DEVICE_FATAL port=0',
    'unplugged',
    'plugged',
    'added',
    'plugged',
    'being unplugged',
    'unplugged',
    'deleted',
  ]);
});

t.test('an event that no event file takes is told to nobody', async (t) => {
  const daemon = await startDaemon(t, { config: '[[device]]\nkernel_profile = "4.3"\n' });
  const shown = await watch(t, daemon);
  const operator = await operate(t, daemon);
  const door = UverbsDoor.start(t);
  const { asyncFd } = await openByWrite(door, nodeOf(daemon, 0));
  await door.close(asyncFd);
  await openByWrite(door, nodeOf(daemon, 0));
  await operator.call('device.reset', { device: 'mlx4_0' });
  t.same(await shown('plugged'), [
    'opened to door',
    'descriptor closed to door left=1',
    'opened to door',
    'reset',
    'being unplugged',
    'cut off to door',
    'cut off to door',
    'event to door type=DEVICE_FATAL port=0',
    'unplugged',
    'plugged',
  ]);
});

t.test('a device that cannot be made is gone again', async (t) => {
  const daemon = await startDaemon(t);
  const shown = await watch(t, daemon);
  const operator = await operate(t, daemon);
  await t.rejects(operator.call('device.add', { pci: '1000:03:00.0' }));
  t.same(await shown('deleted'), ['added', 'deleted']);
});
