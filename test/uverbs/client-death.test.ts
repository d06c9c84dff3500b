/** Clients are killed at any moment: nothing of them stays, and nobody else is disturbed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { clientProgram } from '../support/client-programs.js';
import { eventually, startDaemon } from '../support/daemon.js';
import { heldClients } from '../support/held-clients.js';
import { allClosed, operate } from '../support/operator.js';
import {
  ALLOC_PD,
  CREATE_COMP_CHANNEL,
  createCq,
  GET_CONTEXT,
  make,
  openByIoctl,
  openByWrite,
  regMr,
} from './support/context.js';
import { outcome, UverbsDoor } from './support/door.js';
import { byWrite } from './support/messages.js';

const ROUNDS = 120;
/** About as long as an open takes, all of its steps included. */
const OPEN_MS = 3;
/** About as long as ibv_devinfo takes. */
const DEVINFO_MS = 15;

const daemon = await startDaemon(t);
const operator = await operate(t, daemon);
const device = join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0');

/** After the deaths: all is given back, and the device still works. */
async function nothingIsLeft(t: Test): Promise<void> {
  await allClosed(operator);
  const [shown] = await operator.call('device.list', {});
  t.same(shown?.contexts, []);
  await eventually('no client is held', () => heldClients(daemon).length === 0);
  t.equal((await daemon.run('ibv_devinfo')).code, 0);
  t.notMatch(daemon.log(), '"level":50', 'no handler failed');
}

t.test(`${ROUNDS} clients die while they open the device`, async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const door = UverbsDoor.start(t);
    void door.ask('open', device);
    void door.write(3, byWrite(GET_CONTEXT), 24);
    void door.write(3, byWrite(CREATE_COMP_CHANNEL), 4);
    await setTimeout(Math.random() * OPEN_MS);
    await door.kill();
  }
  await nothingIsLeft(t);
});

t.test(`${ROUNDS} times ibv_devinfo dies`, async (t) => {
  const script = `
    for i in $(seq ${ROUNDS}); do
      timeout -s KILL 0.0$(printf %03d $((RANDOM % ${DEVINFO_MS}))) ibv_devinfo &
      wait $!
    done`;
  // Killed ones are what it is about.
  await daemon.run('bash', '-c', script);
  await nothingIsLeft(t);
});

t.test('clients die while they wait', async (t) => {
  const survivor = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(survivor, device);
  const sleeper = await survivor.start('read', asyncFd, 16);
  for (let round = 0; round < 20; round++) {
    const door = UverbsDoor.start(t);
    const client = await openByWrite(door, device);
    const channel = await make(door, client.fd, CREATE_COMP_CHANNEL);
    for (const file of [client.asyncFd, channel]) {
      await door.start('read', file, 16);
      await door.start('poll', file, 600_000);
      await door.start('epoll', file, 600_000);
    }
    await door.kill();
  }
  t.ok((await survivor.wait(sleeper, 50)).pending, 'others wait on');
  t.equal(await make(survivor, fd, ALLOC_PD), 0, 'and work');
  await survivor.kill();
  await nothingIsLeft(t);
});

t.test('clients die with objects', async (t) => {
  for (let round = 0; round < 20; round++) {
    const door = UverbsDoor.start(t);
    const { fd } = await openByWrite(door, device);
    const channel = await make(door, fd, CREATE_COMP_CHANNEL);
    const pd = await make(door, fd, ALLOC_PD);
    await make(door, fd, regMr(pd, await door.address('@B')));
    await make(door, fd, createCq({ compChannel: channel }));
    await door.map(fd);
    await door.kill();
  }
  await nothingIsLeft(t);
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  t.equal(await make(door, fd, ALLOC_PD), 0);
  t.equal(outcome(await door.close(fd)), 0);
});

t.test('a parent dies and its child goes on', async (t) => {
  // The shell keeps the conversation open when the parent is gone.
  const door = new UverbsDoor('sh', '-c', '"$0"; exec sleep 600', clientProgram('door'));
  t.teardown(() => door.kill());
  const { fd } = await openByWrite(door, device);
  const { pid: parent = 0 } = await door.ask('pid');
  const { pid: child = 0 } = await door.ask('fork');
  process.kill(parent, 'SIGKILL');
  await eventually('the parent is gone', () => !existsSync(`/proc/${parent}`));
  t.equal(outcome(await door.invoke(fd, ALLOC_PD)), 0, 'the context is shared');
  t.equal((await operator.call('device.list', {}))[0]?.contexts.length, 1);
  process.kill(child, 'SIGKILL');
  await nothingIsLeft(t);
});
