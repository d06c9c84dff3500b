/** What `verbsim monitor` shows of devices, ports and clients. */
import t, { type Test } from 'tap';
import type { MonitorEntry } from '../../src/admin/protocol.js';
import { type Daemon, eventually, nodeOf, startDaemon } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import { GET_CONTEXT, openByWrite } from '../uverbs/support/context.js';
import { outcome, UverbsDoor } from '../uverbs/support/door.js';

/** What `verbsim monitor -j` has printed so far. */
function monitor(daemon: Daemon): () => MonitorEntry[] {
  const { output } = daemon.start('monitor', '-j');
  return () =>
    output.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as MonitorEntry);
}

/** Details that are the same in each run. */
const DETAILS = ['type', 'port', 'door', 'code', 'left'];

/** An entry in one line: what happened, and to which client. */
function brief({ event, comm, details = {} }: MonitorEntry): string {
  const picked = DETAILS.flatMap((name) => (details[name] === undefined ? [] : [`${name}=${details[name]}`]));
  return [event, ...(comm === undefined ? [] : [`to ${comm}`]), ...picked].join(' ');
}

/** What a monitor of the daemon shows, from now on, until `last` has happened. */
async function watch(t: Test, daemon: Daemon): Promise<(last: string) => Promise<string[]>> {
  const entries = monitor(daemon);
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
