/** Multicast groups of UD QPs. */
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { attachMcast, detachMcast, MGID, modifyQp, QpMask } from './support/requests.js';
import { type Scene, Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t, { config: '[[device]]\n\n[[device]]\nlink_layer = "ethernet"\n' });
const ETHERNET = { device: 1, ethernet: true };

const unicast = Uint8Array.of(0xfe, ...MGID.subarray(1));
const LIDS: Row<{ mlid: number }>[] = [
  ['the lowest multicast LID', { mlid: 0xc000 }, 'ok'],
  ['the highest multicast LID', { mlid: 0xfffe }, 'ok'],
  ['a unicast LID', { mlid: 0xbfff }, 'EINVAL'],
  ['the permissive LID', { mlid: 0xffff }, 'EINVAL'],
  ['no LID', { mlid: 0 }, 'EINVAL'],
];

t.test('ATTACH_MCAST', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, attachMcast, [
    ['a group', {}, 'ok'],
    ...badHandles('qpHandle', ({ pd }) => pd, foreign.pd),
    ['a QP that is not UD', ({ qp }) => ({ qpHandle: qp }), 'EINVAL'],
    ['an XRC target', ({ target }) => ({ qpHandle: target }), 'EINVAL'],
    ['a unicast GID', { gid: unicast }, 'EINVAL'],
    ...LIDS,
  ]);
  await walkFrame(t, stage, attachMcast);
});

t.test('DETACH_MCAST', async (t) => {
  const attached = (scene: Scene) => scene.door.command(scene.fd, attachMcast(scene));
  const stage = new Stage(t, daemon, { prepare: attached });
  const foreign = await stage.foreign();
  await walkTable(t, stage, detachMcast, [
    ['a group', {}, 'ok'],
    ...badHandles('qpHandle', ({ pd }) => pd, foreign.pd),
    ['another QP', ({ qp }) => ({ qpHandle: qp }), 'EINVAL'],
    ['another GID', { gid: Uint8Array.of(...MGID.subarray(0, 15), 2) }, 'EINVAL'],
    ['another LID', { mlid: 0xc002 }, 'EINVAL'],
  ]);
  await walkFrame(t, stage, detachMcast);
});

t.test('a group is joined once and left once', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const attach = async (change = {}) => outcome(await door(scene, attachMcast(scene, change)));
    const detach = async (change = {}) => outcome(await door(scene, detachMcast(scene, change)));
    t.type(await attach(), 'number');
    t.type(await attach(), 'number', 'again, without effect');
    t.type(await attach({ mlid: 0xc002 }), 'number', 'the same GID by another LID');
    t.type(await detach({ mlid: 0xc002 }), 'number');
    t.equal(await detach({ mlid: 0xc002 }), 'EINVAL');
    t.equal(await detach(), 'EINVAL', 'the hardware knows the GID alone, and it is gone');
    await stage.strike();
  }
});

t.test('LIDs do not count on Ethernet', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const any = LIDS.map(([what, change]): (typeof LIDS)[number] => [what, change, 'ok']);
  await walkTable(t, stage, attachMcast, any);
  const scene = await stage.scene();
  const init = { qpHandle: scene.ud, attrMask: QpMask.STATE | QpMask.PKEY | QpMask.PORT | QpMask.QKEY };
  t.type(outcome(await DOORS.write(scene, modifyQp(scene, init))), 'number');
  t.type(outcome(await DOORS.write(scene, attachMcast(scene, { mlid: 0 }))), 'number', 'a QP with a port');
});

t.test('LIDs count on InfiniBand, once the QP has its port', async (t) => {
  const scene = await new Stage(t, daemon).scene();
  const init = { qpHandle: scene.ud, attrMask: QpMask.STATE | QpMask.PKEY | QpMask.PORT | QpMask.QKEY };
  t.type(outcome(await DOORS.write(scene, modifyQp(scene, init))), 'number');
  t.equal(outcome(await DOORS.write(scene, attachMcast(scene, { mlid: 0 }))), 'EINVAL');
});
