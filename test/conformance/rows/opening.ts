/** The node and the files around it: opening, closing, what keeps a removal waiting, and plugging in again. */
import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { eventually } from '../../support/daemon.js';
import { ALLOC_PD, GET_CONTEXT, make, openByWrite } from '../../uverbs/support/context.js';
import { outcome, type UverbsDoor } from '../../uverbs/support/door.js';
import { drain, FATAL } from '../../uverbs/support/events.js';
import { absent, type Row, shown } from '../table.js';
import type { World } from '../world.js';

/** A path that leads to the node's inode for as long as the door lives. */
async function staleNode(door: UverbsDoor, { node }: World): Promise<string> {
  return `/proc/self/fd/${await door.open(node, 'path')}`;
}

const nodeGone = shown(async (t, world) => {
  const { door } = await world.bareClient();
  await world.remove();
  for (const how of ['rdwr', 'rdonly', 'path']) {
    t.equal(outcome(await door.ask('open', world.node, how)), 'ENOENT', how);
  }
  t.notOk(existsSync(world.class('infiniband_verbs', 'uverbs0')), 'its class entry went with it');
  const waits = !world.combination.disassociates;
  t.equal(existsSync(world.class('infiniband', 'mlx4_0')), waits, "the IB device's own stays while it waits");
});

const staleWhileOpen = shown(async (t, world) => {
  const { door } = await world.bareClient();
  const stale = await staleNode(door, world);
  await world.remove();
  t.equal(outcome(await door.ask('open', stale)), 'EIO');
  await world.plug();
  t.equal(outcome(await door.ask('open', stale)), 'EIO', 'also when the device is back');
});

const staleWhileWaiting = shown(async (t, world) => {
  const { door, fd, asyncFd } = await world.bareClient();
  const stale = await staleNode(door, world);
  await world.remove();
  const late = await door.open(stale);
  t.equal(outcome(await door.command(late, GET_CONTEXT)), 'EAGAIN', 'but the device takes no new context');
  await door.close(fd);
  await door.close(asyncFd);
  t.notOk(world.isRemoved, 'the late file keeps the removal waiting, too');
  await door.close(late);
  await world.ended();
});

const staleWhenAllIsClosed = shown(async (t, world) => {
  const { door, fd, asyncFd } = await world.bareClient();
  const stale = await staleNode(door, world);
  await world.remove();
  await door.close(fd);
  await door.close(asyncFd);
  await world.ended();
  t.equal(outcome(await door.ask('open', stale)), 'ENXIO');
  await world.plug();
  t.equal(outcome(await door.ask('open', stale)), 'ENXIO', 'also when the device is back');
});

const doesNotWait = shown(async (t, world) => {
  const { door, fd, asyncFd, channel } = await world.client();
  const readers = [await door.start('read', asyncFd, 16), await door.start('read', channel, 8)];
  await door.map(fd);
  await world.remove();
  const { contexts } = await world.ended();
  t.match(contexts, [{ pid: door.pid, comm: 'door', descriptors: 3 }]);
  t.match(await world.status(), { plugged: false });
  for (const reader of readers) await door.wait(reader);
  const { openFiles } = await world.operator.call('status', {});
  t.equal(openFiles, 3, 'all are open still');
});

/** Enough for a removal that does not wait to end, in milliseconds. */
const A_WHILE = 100;

/** Waits until the only client has so many descriptors left, and a removal that does not wait for them has ended. */
async function heldBy(world: World, descriptors: number): Promise<void> {
  await eventually(`${descriptors} is left`, async () => {
    const [context] = (await world.status())?.contexts ?? [];
    return context?.descriptors === descriptors;
  });
  await setTimeout(A_WHILE);
}

const waitsForTheFile = shown(async (t, world) => {
  const { door, fd, asyncFd, channel, pd } = await world.client();
  await world.remove();
  await door.close(asyncFd);
  await door.close(channel);
  t.ok((await make(door, fd, ALLOC_PD)) > pd, 'it works on');
  await heldBy(world, 1);
  t.match(await world.status(), { plugged: true, contexts: [{ pid: door.pid }] });
  t.notOk(world.isRemoved);
  await door.close(fd);
  await world.ended();
});

const waitsForEventFiles = shown(async (t, world) => {
  await world.plugIn();
  for (const last of ['asyncFd', 'channel'] as const) {
    const client = await world.open();
    const { door, fd, asyncFd, channel } = client;
    await world.remove();
    for (const other of [fd, asyncFd, channel]) if (other !== client[last]) await door.close(other);
    await heldBy(world, 1);
    t.match(await world.status(), { plugged: true, contexts: [{}] }, `${last} alone`);
    t.notOk(world.isRemoved);
    await door.close(client[last]);
    await world.ended();
    await world.plug();
  }
});

const comesBack = shown(async (t, world) => {
  const { door, fd, asyncFd } = await world.bareClient();
  await world.remove();
  if (!world.combination.disassociates) {
    for (const file of [fd, asyncFd]) await door.close(file);
  }
  await world.ended();
  await world.plug();
  t.match(await world.status(), { plugged: true, uverbs: 'uverbs0' }, 'under the same number');
  const fresh = await openByWrite(door, world.node);
  t.equal(await make(door, fresh.fd, ALLOC_PD), 0);
});

const oldStaysDead = shown(async (t, world) => {
  const { door, fd, asyncFd } = await world.bareClient();
  const map = await door.map(fd);
  await world.remove();
  await world.plug();
  const other = world.door();
  const fresh = await openByWrite(other, world.node);
  await other.ask('store32', await other.map(fresh.fd), 0, 0x1234);
  await world.operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'SM_CHANGE' });
  t.equal(outcome(await door.command(fd, ALLOC_PD)), 'EIO');
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EIO');
  t.same(await drain(door, asyncFd), [FATAL], 'it hears nothing of the new device');
  const isOld = world.combination.kernel === '4.3';
  t.match(
    await door.ask('load32', map, 0),
    isOld ? { signal: 'SIGBUS' } : { value: 0 },
    'nor sees its pages',
  );
});

const heldAttribute = shown(async (t, world) => {
  await world.plugIn();
  const door = world.door();
  const held = await door.open(world.class('infiniband_verbs', 'uverbs0', 'ibdev'), 'rdonly');
  const { fd } = await openByWrite(door, world.node);
  await world.remove();
  t.equal(outcome(await door.read(held, 64)), 'ENODEV');
  t.equal(outcome(await door.close(fd)), 0);
});

const CUTS_OFF = 'the driver cuts its users off: row 39';
const KEEPS_WAITING = 'the removal waits: rows 40 and 41';

export const openingRows: readonly Row[] = [
  {
    number: 1,
    situation: 'node removed',
    call: 'open by name',
    '6.12': nodeGone,
    '4.3': nodeGone,
    without: nodeGone,
  },
  {
    number: 2,
    situation: 'stale inode, old descriptors open',
    call: 'open',
    '6.12': staleWhileOpen,
    '4.3': staleWhileOpen,
    without: staleWhileWaiting,
  },
  {
    number: 3,
    situation: 'stale inode, nobody left',
    call: 'open',
    '6.12': staleWhenAllIsClosed,
    '4.3': staleWhenAllIsClosed,
    without: staleWhenAllIsClosed,
  },
  {
    number: 39,
    situation: 'removed, descriptors open',
    call: 'remove',
    '6.12': doesNotWait,
    '4.3': doesNotWait,
    without: absent(KEEPS_WAITING),
  },
  {
    number: 40,
    situation: 'driver without the operation, device file open',
    call: 'remove',
    '6.12': absent(CUTS_OFF),
    '4.3': absent(CUTS_OFF),
    without: waitsForTheFile,
  },
  {
    number: 41,
    situation: 'the same, only an event file open',
    call: 'remove',
    '6.12': absent(CUTS_OFF),
    '4.3': absent(CUTS_OFF),
    without: waitsForEventFiles,
  },
  {
    number: 42,
    situation: 'plugged in again',
    call: 'open by name',
    '6.12': comesBack,
    '4.3': comesBack,
    without: comesBack,
  },
  {
    number: 43,
    situation: 'plugged in again',
    call: 'any, on an old descriptor',
    '6.12': oldStaysDead,
    '4.3': oldStaysDead,
    without: absent('the removal has waited until there was no old descriptor'),
  },
  {
    number: 44,
    situation: 'descriptor of a sysfs attribute held open',
    call: 'read',
    '6.12': heldAttribute,
    '4.3': heldAttribute,
    without: heldAttribute,
  },
];
