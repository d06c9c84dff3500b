/** Objects as a kernel 4.3 has them: no ioctl, handles of one table for each type, and nothing left after removal. */
import { join } from 'node:path';
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { openByWrite } from '../uverbs/support/context.js';
import { outcome, UverbsDoor } from '../uverbs/support/door.js';
import { u32, zeroes } from '../uverbs/support/messages.js';
import { callMethod, type MethodCall } from './support/attributes.js';
import type { AnyBuild } from './support/builder.js';
import { cqCreate, mrQuery, pdDestroy, qpDestroy } from './support/methods.js';
import {
  allocPd,
  attachMcast,
  closeXrcd,
  createCq,
  createQp,
  createSrq,
  deallocMw,
  deallocPd,
  deregMr,
  destroyCq,
  destroyQp,
  destroySrq,
  modifyCq,
  modifyQp,
  openQp,
  openXrcd,
  queryQp,
  querySrq,
  regMr,
} from './support/requests.js';
import { made, type Scene, Stage } from './support/scene.js';
import { DOORS } from './support/table.js';

const daemon = await startDaemon(t, {
  config: '[[device]]\nkernel_profile = "4.3"\n\n[[device]]\nkernel_profile = "4.3"\n\n[[device]]\n',
});
const device = (number: number) => join(daemon.mountpoint, 'dev', 'infiniband', `uverbs${number}`);

t.test('there is no ioctl', async (t) => {
  const scene = await new Stage(t, daemon).scene();
  const methods: MethodCall[] = [pdDestroy, cqCreate, mrQuery, qpDestroy];
  for (const method of methods) t.equal(outcome(await callMethod(method, scene)), 'ENOTTY', method.name);
  t.equal(outcome(await DOORS.INVOKE_WRITE(scene, allocPd(scene))), 'ENOTTY');
});

t.test('numbers are of one table for each type, for all files and devices', async (t) => {
  const door = UverbsDoor.start(t);
  const open = async (number: number, handles: Partial<Scene> = {}): Promise<Scene> => {
    const { fd, asyncFd } = await openByWrite(door, device(number));
    const memory = await door.address('@B+262144;');
    return { door, fd, asyncFd, memory, channel: -1, spare: { pd: 0 }, ...handles } as Scene;
  };
  const [a, b] = [await open(0, { pd: 0 }), await open(1, { pd: 1 })];
  t.equal(await made(a, allocPd(a)), 0);
  t.equal(await made(b, allocPd(b)), 1, 'of another device');
  t.equal(await made(b, createCq(b)), 0, 'another type starts again');
  t.equal(await made(a, createCq(a)), 1);
  t.equal(await made(b, regMr(b)), 0);
  t.equal(await made(a, createSrq(a)), 0);

  const c = await open(2);
  t.equal(await made(c, allocPd(c)), 0, 'a device of 6.12 has its own');
  t.equal(await made(c, createCq(c)), 1, 'in which types share the numbers');

  const dealloc = async (scene: Scene, pdHandle: number) =>
    outcome(await DOORS.write(scene, deallocPd(scene, { pdHandle })));
  t.equal(await dealloc(b, 0), 'EINVAL', "another file's");
  t.equal(await dealloc(a, 77), 'EINVAL', 'unknown');
  t.equal(await dealloc(b, 1), 'EBUSY');
  await door.close(a.fd);
  t.equal(await made(b, allocPd(b)), 0, 'what a closed file had is free');
});

t.test('any credentials may write', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  await stage.door.ask('fork');
  t.type(outcome(await DOORS.write(scene, allocPd(scene))), 'number', 'a forked child');
});

t.test('an object that is not there is EINVAL, whatever the command', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const none = 9999;
  const commands: [string, AnyBuild][] = [
    ['DEALLOC_PD', (s) => deallocPd(s, { pdHandle: none })],
    ['REG_MR', (s) => regMr(s, { pdHandle: none })],
    ['DEREG_MR', (s) => deregMr(s, { mrHandle: none })],
    ['DEALLOC_MW', (s) => deallocMw(s, { mwHandle: none })],
    ['MODIFY_CQ', (s) => modifyCq(s, { cqHandle: none })],
    ['DESTROY_CQ', (s) => destroyCq(s, { cqHandle: none })],
    ['CREATE_QP', (s) => createQp(s, { pdHandle: none })],
    ['MODIFY_QP', (s) => modifyQp(s, { qpHandle: none })],
    ['QUERY_QP', (s) => queryQp(s, { qpHandle: none })],
    ['DESTROY_QP', (s) => destroyQp(s, { qpHandle: none })],
    ['ATTACH_MCAST', (s) => attachMcast(s, { qpHandle: none })],
    ['QUERY_SRQ', (s) => querySrq(s, { srqHandle: none })],
    ['DESTROY_SRQ', (s) => destroySrq(s, { srqHandle: none })],
    ['CLOSE_XRCD', (s) => closeXrcd(s, { xrcdHandle: none })],
    ['OPEN_QP', (s) => openQp(s, { pdHandle: none })],
  ];
  for (const [name, build] of commands)
    t.equal(outcome(await DOORS.write(scene, build(scene))), 'EINVAL', name);
});

t.test('after removal everything is EIO', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  t.equal((await daemon.verbsim('unplug', 'mlx4_0')).code, 0);
  const commands: AnyBuild[] = [
    ...[allocPd, deallocPd, regMr, deregMr, createCq, destroyCq, createQp, queryQp, modifyQp, destroyQp],
    ...[querySrq, destroySrq, openXrcd, closeXrcd, attachMcast, deallocMw, modifyCq],
  ];
  for (const build of commands) {
    const command = build(scene);
    t.equal(outcome(await DOORS.write(scene, command)), 'EIO', `command ${command.number}`);
  }
  const { door, fd } = scene;
  t.equal(outcome(await door.write(fd, u32(255) + zeroes(4))), 'EIO', 'a number that there is not');
  t.equal(outcome(await door.write(fd, zeroes(4))), 'EINVAL', 'but not less than a header');
  t.equal(outcome(await callMethod(pdDestroy, scene)), 'ENOTTY');
});
