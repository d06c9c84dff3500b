/** What an operator does to devices at run time, and what clients and other operators see of it. */
import t from 'tap';
import { EventType } from '../../src/core/events.js';
import { nodeOf, startDaemon } from '../support/daemon.js';
import { listDevices, operate } from '../support/operator.js';
import { openByWrite } from '../uverbs/support/context.js';
import { UverbsDoor } from '../uverbs/support/door.js';

const RECORD_SIZE = 16;

/** Reads the next asynchronous event: its element and type. */
async function nextEvent(door: UverbsDoor, fd: number): Promise<[number, number]> {
  const { data = '' } = await door.read(fd, RECORD_SIZE);
  const record = Buffer.from(data, 'hex');
  return [Number(record.readBigUInt64LE(0)), record.readUInt32LE(8)];
}

t.test('devices are added and deleted', async (t) => {
  const daemon = await startDaemon(t);
  const added = await daemon.verbsim('dev', 'add', '--profile', '4.3', '--ports', '2');
  t.equal(added.stdout, 'mlx4_1 added and plugged in\n', added.stderr);
  const named = await daemon.verbsim('dev', 'add', 'roce0', '--link-layer', 'ethernet');
  t.equal(named.code, 0, named.stderr);
  const devices = await listDevices(daemon);
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
  t.match(await listDevices(daemon), [
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
