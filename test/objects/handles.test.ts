/** Handles: how they are numbered, what keeps an object, and what its destruction tells. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { openByIoctl, openByWrite } from '../uverbs/support/context.js';
import { outcome, UverbsDoor } from '../uverbs/support/door.js';
import { parse } from '../uverbs/support/messages.js';
import { type Changes, callMethod, type MethodCall } from './support/attributes.js';
import {
  cqDestroy,
  flowDestroy,
  mrDestroy,
  mwDestroy,
  pdDestroy,
  qpDestroy,
  srqDestroy,
  tableDestroy,
  wqDestroy,
  xrcdDestroy,
} from './support/methods.js';
import {
  allocMw,
  allocPd,
  attachMcast,
  createCq,
  createFlow,
  createQp,
  createSrq,
  createTable,
  createWq,
  createXsrq,
  deallocPd,
  destroyQp,
  detachMcast,
  modifyQp,
  openXrcd,
  QpMask,
  QpState,
  QpType,
  regMr,
  reregMr,
} from './support/requests.js';
import { made, type Scene, Stage, xrcTarget } from './support/scene.js';
import { DOORS, resultOf } from './support/table.js';

const daemon = await startDaemon(t, { config: '[[device]]\nlink_layer = "ethernet"\n\n[[device]]\n' });
const ETHERNET = { ethernet: true };

t.test('all types share the numbers, the lowest free one first', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const { fd } = await openByIoctl(stage.door, stage.path);
  const scene = { ...(await stage.scene()), fd } as Scene;
  const pd = await made(scene, allocPd(scene));
  const own = { ...scene, pd, cq: 1, recvCq: 1, channel: -1, raw: 5, wq: 7 };
  t.equal(pd, 0);
  t.equal(await made(own, createCq(own)), 1);
  t.equal(await made(own, regMr(own)), 2);
  t.equal(await made(own, allocMw(own)), 3);
  t.equal(await made(own, createSrq(own)), 4);
  t.equal(await made(own, createQp(own, { qpType: QpType.RAW_PACKET })), 5);
  t.equal(await made(own, openXrcd(own)), 6);
  t.equal(await made(own, createWq(own)), 7);
  t.equal(await made(own, createTable(own)), 8);
  t.equal(await made(own, createFlow(own)), 9);

  const destroy = async (call: MethodCall, handle: number) =>
    t.equal(resultOf(await callMethod(call, own, { handle })), 'ok');
  await destroy(mwDestroy, 3);
  await destroy(flowDestroy, 9);
  await destroy(mrDestroy, 2);
  await destroy(tableDestroy, 8);
  t.equal(await made(own, allocPd(own)), 2, 'whatever the type that had it');
  t.equal(await made(own, createCq(own)), 3);
  t.equal(await made(own, allocPd(own)), 8);
  t.equal(await made(own, allocPd(own)), 9);
  t.equal(await made(own, allocPd(own)), 10);
});

t.test('a failed creation keeps no number, through either door', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  for (let i = 0; i < 50; i++) {
    for (const door of Object.values(DOORS)) {
      await door(scene, createQp(scene, { sendCqHandle: 999 }));
      await door(scene, createCq(scene, { driverIn: '@U@U' }));
    }
  }
  t.ok(await stage.isUntouched());
});

t.test('event files take no number', async (t) => {
  const door = UverbsDoor.start(t);
  const stage = new Stage(t, daemon);
  const { fd } = await openByWrite(door, stage.path);
  const scene = { door, fd } as Scene;
  t.equal(await made(scene, allocPd(scene)), 0);
});

t.test('numbers belong to the file, and a second destruction finds nothing', async (t) => {
  const stage = new Stage(t, daemon);
  const [one, two] = [await openByWrite(stage.door, stage.path), await openByWrite(stage.door, stage.path)];
  const [a, b] = [
    { door: stage.door, fd: one.fd, spare: { pd: 0 } } as Scene,
    { door: stage.door, fd: two.fd, spare: { pd: 0 } } as Scene,
  ];
  t.equal(await made(a, allocPd(a)), 0);
  t.equal(await made(b, allocPd(b)), 0);
  t.equal(resultOf(await DOORS.write(a, deallocPd(a))), 'ok');
  t.equal(resultOf(await DOORS.write(a, deallocPd(a))), 'ENOENT');
  t.equal(resultOf(await callMethod(pdDestroy, a)), 'ENOENT');
  t.equal(resultOf(await DOORS.write(b, deallocPd(b))), 'ok', 'the other file has its own');
});

interface Use {
  /** What is used, and the method that would destroy it. */
  object: MethodCall;
  handle: (scene: Scene) => number;
  user: MethodCall;
  make: (scene: Scene) => Promise<number>;
}

/** An object with nothing but the user: of the scene's spare ones, or made for it. */
const USES: [what: string, use: (scene: Scene) => Promise<Use>][] = [
  [
    'a PD by an MR',
    async ({ spare }) => pdUse(spare.pd, mrDestroy, (s) => made(s, regMr(s, { pdHandle: spare.pd }))),
  ],
  [
    'a PD by an MW',
    async ({ spare }) => pdUse(spare.pd, mwDestroy, (s) => made(s, allocMw(s, { pdHandle: spare.pd }))),
  ],
  [
    'a PD by a QP',
    async ({ spare }) => pdUse(spare.pd, qpDestroy, (s) => made(s, createQp(s, { pdHandle: spare.pd }))),
  ],
  [
    'a PD by an SRQ',
    async ({ spare }) => pdUse(spare.pd, srqDestroy, (s) => made(s, createSrq(s, { pdHandle: spare.pd }))),
  ],
  [
    'a PD by a WQ',
    async ({ spare }) => pdUse(spare.pd, wqDestroy, (s) => made(s, createWq(s, { pdHandle: spare.pd }))),
  ],
  [
    'a CQ by the sends of a QP',
    async ({ spare }) => cqUse(spare.cq, qpDestroy, (s) => made(s, createQp(s, { sendCqHandle: spare.cq }))),
  ],
  [
    'a CQ by the receives of a QP',
    async ({ spare }) => cqUse(spare.cq, qpDestroy, (s) => made(s, createQp(s, { recvCqHandle: spare.cq }))),
  ],
  [
    'a CQ by both',
    async ({ spare: { cq } }) =>
      cqUse(cq, qpDestroy, (s) => made(s, createQp(s, { recvCqHandle: cq, sendCqHandle: cq }))),
  ],
  [
    'a CQ by a WQ',
    async ({ spare }) => cqUse(spare.cq, wqDestroy, (s) => made(s, createWq(s, { cqHandle: spare.cq }))),
  ],
  [
    'a CQ by an XRC SRQ',
    async ({ spare }) => cqUse(spare.cq, srqDestroy, (s) => made(s, createXsrq(s, { cqHandle: spare.cq }))),
  ],
  [
    'an SRQ by a QP',
    async ({ srq }) => ({
      object: srqDestroy,
      handle: () => srq,
      user: qpDestroy,
      make: (s) => made(s, createQp(s, { isSrq: 1, maxRecvWr: 0, maxRecvSge: 0 })),
    }),
  ],
  [
    'an XRC domain by an SRQ',
    async ({ spare }) =>
      xrcdUse(spare.xrcd, srqDestroy, (s) => made(s, createXsrq(s, { xrcdHandle: spare.xrcd }))),
  ],
  [
    'an XRC domain by a target',
    async ({ spare }) =>
      xrcdUse(spare.xrcd, qpDestroy, (s) => made(s, createQp(s, { ...xrcTarget(s), pdHandle: spare.xrcd }))),
  ],
  [
    'a WQ by a table',
    async ({ spare }) => ({
      object: wqDestroy,
      handle: () => spare.wq,
      user: tableDestroy,
      make: (s) => made(s, createTable({ ...s, wq: spare.wq })),
    }),
  ],
  [
    'a QP by a flow',
    async (scene) => {
      const raw = await made(scene, createQp(scene, { qpType: QpType.RAW_PACKET }));
      const make = (s: Scene) => made(s, createFlow(s, { qpHandle: raw }));
      return { object: qpDestroy, handle: () => raw, user: flowDestroy, make };
    },
  ],
];

type Maker = Use['make'];
const useOf =
  (object: MethodCall) =>
  (handle: number, user: MethodCall, make: Maker): Use => ({ object, handle: () => handle, user, make });
const pdUse = useOf(pdDestroy);
const cqUse = useOf(cqDestroy);
const xrcdUse = useOf(xrcdDestroy);

t.test('an object that is used cannot be destroyed, and stays usable', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  for (const [what, prepare] of USES) {
    const scene = await stage.scene();
    const { object, handle, user, make } = await prepare(scene);
    const destroy = async (call: MethodCall, changes: Changes) =>
      resultOf(await callMethod(call, scene, changes));
    const first = await make(scene);
    t.equal(await destroy(object, { handle: handle(scene) }), 'EBUSY', what);
    const second = await make(scene);
    t.equal(await destroy(user, { handle: first }), 'ok', `${what}: one of two users goes`);
    t.equal(await destroy(object, { handle: handle(scene) }), 'EBUSY', `${what}: the other is there`);
    t.equal(await destroy(user, { handle: second }), 'ok', `${what}: and goes`);
    t.equal(await destroy(object, { handle: handle(scene) }), 'ok', `${what}: then it can go`);
    await stage.strike();
  }
});

t.test('a QP in a multicast group cannot be destroyed, but its file can be closed', async (t) => {
  const stage = new Stage(t, daemon, { device: 1 });
  const scene = await stage.scene();
  await DOORS.write(scene, attachMcast(scene));
  t.equal(resultOf(await callMethod(qpDestroy, scene, { handle: scene.ud })), 'EBUSY');
  t.equal(resultOf(await DOORS.write(scene, detachMcast(scene))), 'ok');
  t.equal(resultOf(await callMethod(qpDestroy, scene, { handle: scene.ud })), 'ok');
  await stage.strike();

  const again = await stage.scene();
  await DOORS.write(again, attachMcast(again));
  await stage.strike();
  const { stdout } = await daemon.verbsim('resource', 'show', '--json');
  t.notMatch(stdout, /"QP"/, 'nothing of it is left');
});

t.test('an MR that moves to another PD keeps that one', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const change = { flags: 2, pdHandle: scene.spare.pd };
  t.equal(resultOf(await DOORS.write(scene, reregMr(scene, change))), 'ok');
  t.equal(resultOf(await callMethod(pdDestroy, scene)), 'EBUSY', 'the new one');
  t.equal(resultOf(await DOORS.write(scene, reregMr(scene, { flags: 2 }))), 'ok');
  t.equal(resultOf(await callMethod(pdDestroy, scene)), 'ok', 'no longer');
});

t.test('destruction tells how many events were read, and drops the rest', async (t) => {
  const stage = new Stage(t, daemon, { device: 1 });
  const SQ_DRAINED = 5;
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const to = (attrMask: number, qpState: number, change = {}) =>
      door(scene, modifyQp(scene, { attrMask: QpMask.STATE | attrMask, qpState, ...change }));
    const M = QpMask;
    await to(M.PKEY | M.PORT | M.ACC, QpState.INIT);
    await to(M.AV | M.MTU | M.DQPN | M.RQPSN | M.MAXDRD | M.MINRNR, QpState.RTR);
    await to(M.TMO | M.RETRY | M.RNR | M.SQPSN | M.MAXRD, QpState.RTS);
    const drain = () => to(M.EN_SQD, QpState.SQD, { enSqdAsyncNotify: 1 });
    for (let i = 0; i < 3; i++) {
      t.equal(resultOf(await drain()), 'ok');
      t.equal(resultOf(await to(0, QpState.RTS)), 'ok');
    }
    for (let i = 0; i < 2; i++) {
      const { data } = await stage.door.read(scene.asyncFd, 16, 'nonblock');
      t.same(parse(abi.ibUverbsAsyncEventDesc, data), {
        ...{ element: 0x1122_3344_5566_7788n, eventType: SQ_DRAINED, reserved: 0 },
      });
    }
    const { response } = await door(scene, destroyQp(scene));
    t.equal(parse(abi.ibUverbsDestroyQpResp, response).eventsReported, 2);
    t.equal(outcome(await stage.door.read(scene.asyncFd, 16, 'nonblock')), 'EAGAIN', 'the third is gone');
    await stage.strike();
  }
});
