/** Commands that take a device away which its users must close first. */
import t, { type Test } from 'tap';
import type { DeviceStatus } from '../../src/admin/protocol.js';
import { eventually, nodeOf, startDaemon } from '../support/daemon.js';
import { listDevices } from '../support/operator.js';
import { openByWrite } from '../uverbs/support/context.js';
import { UverbsDoor } from '../uverbs/support/door.js';

/** In seconds: to find out whom a removal waits for. */
const LONG_ENOUGH = 5;

// Most of their time they wait.
t.jobs = 4;

/** A device mlx4_1 that must be closed before it can go, and a client that has it open. */
async function heldDevice(t: Test) {
  const daemon = await startDaemon(t);
  t.equal((await daemon.verbsim('dev', 'add', '--without-disassociate')).code, 0);
  const door = UverbsDoor.start(t);
  const files = await openByWrite(door, nodeOf(daemon, 1));
  const pid = Number((await door.ask('pid')).pid);
  return { daemon, door, pid, ...files };
}

/** How a device looks afterwards. */
type Outcome = (found: DeviceStatus | undefined) => boolean;
const unplugged: Outcome = (found) => found?.plugged === false;
const deleted: Outcome = (found) => found === undefined;
const restarted: Outcome = (found) => found?.uverbs !== undefined;

const removals: [command: string, outcome: Outcome][] = [
  ['unplug', unplugged],
  ['dev del', deleted],
  ['dev reset', restarted],
  ['dev fatal', restarted],
];

for (const [command, outcome] of removals) {
  t.test(`${command} that must wait shows for whom, gives up on time, and goes on`, async (t) => {
    const { daemon, door, pid, fd, asyncFd } = await heldDevice(t);
    const removal = [...command.split(' '), 'mlx4_1'];
    const { code, stdout, stderr } = await daemon.verbsim(...removal, '--timeout', `${LONG_ENOUGH}`);
    t.equal(code, 2);
    t.equal(stdout, '');
    t.match(stderr, 'mlx4_1 is gone for new users; waiting for these to close it:');
    t.match(stderr, new RegExp(`^${pid} +door +1 +2$`, 'm'));
    t.match(
      stderr,
      `verbsim: mlx4_1 is still in use after ${LONG_ENOUGH} s: it is ${outcome.name} once its users close it\n`,
    );
    t.equal(outcome((await listDevices(daemon))[1]), false);
    t.equal((await daemon.verbsim(...removal)).code, 2, 'it is refused a second time');
    await door.close(fd);
    await door.close(asyncFd);
    await eventually(`it is ${outcome.name}`, async () => outcome((await listDevices(daemon))[1]));
  });
}

t.test('a device that waits for its users has no node, and keeps no other one waiting', async (t) => {
  const { daemon, door, pid, fd, asyncFd } = await heldDevice(t);
  await daemon.verbsim('unplug', 'mlx4_1', '--timeout', '0');
  const waiting = (await listDevices(daemon))[1];
  t.match(waiting, { plugged: true, contexts: [{ pid, descriptors: 2 }] });
  t.equal(waiting?.uverbs, undefined, 'its node is gone');
  const other = await daemon.verbsim('unplug', 'mlx4_0', '--timeout', '60');
  t.equal(other.code, 0, other.stderr);
  await door.close(fd);
  t.equal((await listDevices(daemon))[1]?.plugged, true, 'an event file alone holds it');
  await door.close(asyncFd);
  await eventually('the removal ends', async () => (await listDevices(daemon))[1]?.plugged === false);
  t.equal((await daemon.verbsim('plug', 'mlx4_1')).code, 0);
});

t.test('a removal that waits is shown live, to its end', async (t) => {
  const { daemon, door, pid, fd, asyncFd } = await heldDevice(t);
  const { output, ended } = daemon.start('dev', 'reset', 'mlx4_1');
  const shows = (descriptors: number) =>
    new RegExp(`^${pid} +door +[01] +${descriptors}$`, 'm').test(output.stderr);
  await eventually('both descriptors are shown', () => shows(2));
  t.notOk(shows(1));
  await door.close(fd);
  await eventually('the event file is shown', () => shows(1));
  await door.close(asyncFd);
  t.equal(await ended, 0);
  t.equal(output.stdout, 'mlx4_1 restarted, cutting off 0 contexts\n');
  t.equal(output.stderr.match(/waiting for these/g)?.length, 2, 'each state once');
});

t.test('a removal goes on when its command is interrupted', async (t) => {
  const { daemon, door } = await heldDevice(t);
  const { child, output, ended } = daemon.start('dev', 'del', 'mlx4_1');
  await eventually('it waits', () => output.stderr.includes('waiting for these'));
  child.kill('SIGINT');
  t.equal(await ended, 'SIGINT');
  t.equal((await listDevices(daemon)).length, 2);
  door.kill();
  await eventually('it is deleted', async () => (await listDevices(daemon)).length === 1);
});

t.test('a restart with realistic timing names users only when it waits for them', async (t) => {
  const { daemon } = await heldDevice(t);
  const cut = UverbsDoor.start(t);
  await openByWrite(cut, nodeOf(daemon, 0));
  const restarts = ['mlx4_0', 'mlx4_1'].map((device) =>
    daemon.verbsim('dev', 'fatal', device, '--realistic-timing', '--timeout', '1'),
  );
  for (const { code, stderr } of await Promise.all(restarts)) {
    t.equal(code, 2);
    t.match(stderr, /^verbsim: mlx4_[01] is not restarted after 1 s: the simulator goes on with it\n$/);
  }
});
