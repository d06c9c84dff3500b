/** Making, opening and destroying queue pairs. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { openByIoctl } from '../uverbs/support/context.js';
import { outcome, succeeded, UverbsDoor } from '../uverbs/support/door.js';
import { parse, u32, zeroes } from '../uverbs/support/messages.js';
import { callMethod, handleIn, outputOf, u32Of } from './support/attributes.js';
import type { Change } from './support/builder.js';
import { qpCap, qpCreate, qpDestroy } from './support/methods.js';
import {
  allocPd,
  attachMcast,
  createCq,
  createQp,
  destroyQp,
  exCreateQp,
  openQp,
  QpType,
  qpQueues,
} from './support/requests.js';
import { type Scene, Stage, xrcTarget } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

const XRC_TARGET_BIT = 0x80_0000;

type Fields = Omit<abi.IbUverbsCreateQp, 'response' | 'reserved'>;

/** A QP with an SRQ has no receive queue of its own. */
const withSrq = (srqHandle: number) => ({ isSrq: 1, srqHandle, maxRecvWr: 0, maxRecvSge: 0 });

const GOOD: Row<Fields>[] = [
  ['UC', { qpType: QpType.UC }, 'ok'],
  ['UD', { qpType: QpType.UD }, 'ok'],
  ['XRC initiator', { qpType: QpType.XRC_INI, driverIn: qpQueues({ doorbell: zeroes(8) }) }, 'ok'],
  [
    'XRC initiator, whatever the receive side',
    { qpType: QpType.XRC_INI, recvCqHandle: 99, isSrq: 1, srqHandle: 99 },
    'ok',
  ],
  ['XRC target', xrcTarget, 'ok'],
  ['one CQ for both queues', ({ cq }) => ({ recvCqHandle: cq }), 'ok'],
  ['an SRQ', ({ srq }) => withSrq(srq), 'ok'],
  ['inline receives', { driverIn: qpQueues({ inlineReceive: 512 }) }, 'ok'],
  ['the largest send queue entries', { driverIn: qpQueues({ logEntries: 0, logStride: 10 }) }, 'ok'],
  [
    'send limits, which its client has computed',
    { maxSendWr: 99_999, maxSendSge: 99, maxInlineData: 99_999 },
    'ok',
  ],
];

const refusalsOf = (foreign: number): Row<Fields>[] => [
  ...[0, 1, 5, 6, 7, 11, 254].map((qpType): Row<Fields> => [`type ${qpType}`, { qpType }, 'EINVAL']),
  ...badHandles('srqHandle', ({ pd }) => pd, foreign).map(
    ([what, change, result]): Row<Fields> => [
      what,
      (scene) => ({ isSrq: 1, ...(typeof change === 'function' ? change(scene) : change) }),
      result,
    ],
  ),
  ['an XRC SRQ', ({ xsrq }) => withSrq(xsrq), 'EINVAL'],
  ...badHandles('recvCqHandle', ({ pd }) => pd, foreign),
  ...badHandles('sendCqHandle', ({ pd }) => pd, foreign),
  ...badHandles('pdHandle', ({ cq }) => cq, foreign),
];

const DRIVER_REFUSALS: Row<Fields>[] = [
  ['a type for drivers', { qpType: QpType.DRIVER }, 'EOPNOTSUPP'],
  ['no driver input', { driverIn: '' }, 'EFAULT'],
  ['no receives', { maxRecvWr: 0 }, 'EINVAL'],
  ['no receive SGEs', { maxRecvSge: 0 }, 'EINVAL'],
  ['too many receives', { maxRecvWr: 16352 }, 'EINVAL'],
  ['too many receive SGEs', { maxRecvSge: 33 }, 'EINVAL'],
  ['receives beside an SRQ', ({ srq }) => ({ isSrq: 1, srqHandle: srq }), 'EINVAL'],
];
const QUEUE_REFUSALS: Row<Fields>[] = [
  ['too large inline receives', { driverIn: qpQueues({ inlineReceive: 513 }) }, 'EINVAL'],
  ['too many send queue entries', { driverIn: qpQueues({ logEntries: 15 }) }, 'EINVAL'],
  ['an absurd send queue', { driverIn: qpQueues({ logEntries: 255 }) }, 'EINVAL'],
  ['too small send queue entries', { driverIn: qpQueues({ logStride: 5 }) }, 'EINVAL'],
  ['too large send queue entries', { driverIn: qpQueues({ logStride: 11 }) }, 'EINVAL'],
  ['a buffer that is not mapped', { driverIn: qpQueues({ buffer: '@U' }) }, 'EFAULT'],
  ['a doorbell record that is not mapped', { driverIn: qpQueues({ doorbell: '@U' }) }, 'EFAULT'],
];

t.test('CREATE_QP', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createQp(scene));
    t.equal(overrun, undefined);
    const { qpn, ...rest } = parse(abi.ibUverbsCreateQpResp, response);
    t.ok(qpn >= 520 && qpn < XRC_TARGET_BIT, 'the number is not one of the special ones');
    t.same(rest, {
      qpHandle: scene.next,
      maxSendWr: 31,
      maxRecvWr: 16,
      maxSendSge: 1,
      maxRecvSge: 4,
      maxInlineData: 0,
      reserved: 0,
    });
    await stage.strike();
  }
  await walkTable(t, stage, createQp, [
    ...GOOD,
    ...refusalsOf(foreign.pd),
    ...DRIVER_REFUSALS,
    ...QUEUE_REFUSALS,
  ]);
  await walkFrame(t, stage, createQp);
});

t.test('what is answered without a receive queue', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const rows: [string, Change<Fields>][] = [
    ['an SRQ', withSrq(scene.srq)],
    ['an XRC initiator', { qpType: QpType.XRC_INI }],
    ['an XRC target', xrcTarget(scene)],
  ];
  for (const [what, change] of rows) {
    const { response } = await scene.door.command(scene.fd, createQp(scene, change));
    const { qpn, maxRecvWr, maxRecvSge } = parse(abi.ibUverbsCreateQpResp, response);
    t.same([maxRecvWr, maxRecvSge], [0, 0], what);
    t.equal((qpn & XRC_TARGET_BIT) !== 0, change.qpType === QpType.XRC_TGT, 'bit 23 tells targets');
  }
});

t.test('CREATE_QP of an XRC target', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  const target = (scene: Scene, change: Change<Fields> = {}) =>
    createQp(scene, { ...xrcTarget(scene), ...change });
  await walkTable(t, stage, target, [
    ['whatever its CQs and SRQ', { sendCqHandle: 99, recvCqHandle: 99, isSrq: 1, srqHandle: 99 }, 'ok'],
    ...badHandles('pdHandle', ({ pd }) => pd, foreign.pd, { unknown: 'EINVAL' }),
    ['too many sends', { maxSendWr: 16352 }, 'EINVAL'],
    ['too many send SGEs', { maxSendSge: 33 }, 'EINVAL'],
    ['too much inline data', { maxInlineData: 989 }, 'EINVAL'],
  ]);
});

t.test('EX_CREATE_QP', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, exCreateQp(scene));
    t.equal(overrun, undefined);
    const { base, ...rest } = parse(abi.ibUverbsExCreateQpResp, response);
    t.same(rest, { compMask: 0, responseLength: 40 });
    t.match(base, { qpHandle: scene.next, maxRecvWr: 16, maxRecvSge: 4 });

    const short = await door(scene, exCreateQp(scene, { coreOut: 8 }));
    t.equal(short.overrun, undefined);
    t.equal(Buffer.from(short.response ?? '', 'hex').readInt32LE(), scene.next + 1, 'a cut response');
    const long = await door(scene, exCreateQp(scene, { coreOut: 64 }));
    t.equal(long.response?.slice(80), zeroes(24), 'room behind the response is zeroed');
    t.equal(parse(abi.ibUverbsExCreateQpResp, long.response).responseLength, 40);
    await stage.strike();
  }
  type ExFields = Fields & Record<'compMask' | 'reserved' | 'createFlags' | 'sourceQpn', number>;
  const extra: Row<ExFields>[] = [
    ['no loopback of multicast', { createFlags: 1 << 1, qpType: QpType.UD }, 'ok'],
    ['the same on any type', { createFlags: 1 << 1 }, 'ok'],
    ['a source QPN that is not asked for', { sourceQpn: 77 }, 'ok'],
  ];
  const first: Row<ExFields>[] = [
    ['comp_mask', { compMask: 2 }, 'EINVAL'],
    ['the reserved byte', { reserved: 1 }, 'EINVAL'],
  ];
  const flags: Row<ExFields>[] = [
    ...[0, 2, 3, 4, 12, 31].map(
      (bit): Row<ExFields> => [`unknown flag ${bit}`, { createFlags: (1 << bit) >>> 0 }, 'EINVAL'],
    ),
    ...[8, 9, 10, 11].map((bit): Row<ExFields> => [`flag ${bit}`, { createFlags: 1 << bit }, 'EOPNOTSUPP']),
  ];
  await walkTable(t, stage, exCreateQp, [
    ...extra,
    ...GOOD,
    ...first,
    ...refusalsOf(foreign.pd),
    ...flags,
    ...DRIVER_REFUSALS,
    ...QUEUE_REFUSALS,
  ]);
  await walkFrame(t, stage, exCreateQp);
});

t.test('QP CREATE', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  const scene = await stage.scene();
  const answer = await callMethod(qpCreate, scene);
  t.equal(handleIn(qpCreate, scene, answer), scene.next);
  t.ok(u32Of(qpCreate, scene, answer, 'qpNum') >= 520);
  t.equal(outputOf(qpCreate, scene, answer, 'respCap'), qpCap({ recvWr: 16, recvSge: 4 }));
  await stage.strike();
  await walkAttributes(t, stage, qpCreate);

  const xrcInitiator = { type: QpType.XRC_INI, recvCq: undefined, cap: qpCap({ recvWr: 0, recvSge: 0 }) };
  const target = ({ xrcd }: Scene) => ({
    xrcd,
    ...{ type: QpType.XRC_TGT, pd: undefined, sendCq: undefined, recvCq: undefined, driverIn: undefined },
    cap: qpCap({ recvWr: 0, recvSge: 0 }),
  });
  const noReceives = qpCap({ recvWr: 0, recvSge: 0 });
  await walkMethodTable(
    t,
    stage,
    qpCreate,
    [
      ['UC', { type: QpType.UC }, 'ok'],
      ['UD', { type: QpType.UD }, 'ok'],
      ['an XRC initiator', xrcInitiator, 'ok'],
      ['an XRC initiator with a receive CQ', ({ cq }) => ({ ...xrcInitiator, recvCq: cq }), 'ok'],
      ['an XRC target', target, 'ok'],
      ['an XRC target with an XRC SRQ', (s) => ({ ...target(s), srq: s.xsrq }), 'ok'],
      ['an SRQ', ({ srq }) => ({ srq, cap: noReceives }), 'ok'],
      ['signals for all sends', { flags: 1 << 12 }, 'ok'],
      ['no loopback of multicast', { type: QpType.UD, flags: 1 << 1 }, 'ok'],
      ['capabilities with a tail of zeroes', { cap: qpCap() + zeroes(8) }, 'ok'],
      ['capabilities with an unknown tail', { cap: `${qpCap()}${zeroes(7)}01` }, 'EOPNOTSUPP'],

      ...[0, 1, 5, 7, 11].map((type) => [`type ${type}`, { type }, 'EINVAL'] as const),
      ['an XRC target without a domain', (s) => ({ ...target(s), xrcd: undefined }), 'ENOENT'],
      ['an XRC target with a PD', (s) => ({ ...target(s), pd: s.pd }), 'EINVAL'],
      ['an XRC target with a send CQ', (s) => ({ ...target(s), sendCq: s.cq }), 'EINVAL'],
      ['an XRC target with a receive CQ', (s) => ({ ...target(s), recvCq: s.cq }), 'EINVAL'],
      ['an XRC target with a basic SRQ', (s) => ({ ...target(s), srq: s.srq }), 'EINVAL'],
      ['RC with a domain', ({ xrcd }) => ({ xrcd }), 'EINVAL'],
      ['RC with a domain, without a PD', ({ xrcd }) => ({ xrcd, pd: undefined }), 'EINVAL'],
      ['an XRC initiator with an SRQ', ({ srq }) => ({ ...xrcInitiator, srq }), 'EINVAL'],
      ['an XRC initiator with receives', { type: QpType.XRC_INI }, 'EINVAL'],
      ['an XRC initiator without a send CQ', { ...xrcInitiator, sendCq: undefined }, 'ENOENT'],
      ['RC with an XRC SRQ', ({ xsrq }) => ({ srq: xsrq, cap: noReceives }), 'EINVAL'],
      ['no loopback of multicast for RC', { flags: 1 << 1 }, 'EINVAL'],
      ['scattered FCS for UD', { type: QpType.UD, flags: 1 << 8 }, 'EINVAL'],
      ['VLAN stripping for UD', { type: QpType.UD, flags: 1 << 9 }, 'EINVAL'],
      ['padding for UD', { type: QpType.UD, flags: 1 << 11 }, 'EOPNOTSUPP'],
      ['a source QPN', { type: QpType.UD, sourceQpn: u32(1) }, 'EOPNOTSUPP'],
      ['a type for drivers', { type: QpType.DRIVER }, 'EOPNOTSUPP'],
      ['flags for a type for drivers', { type: QpType.DRIVER, flags: 1 << 8 }, 'EOPNOTSUPP'],
      ['an unknown flag', { flags: 1 << 2 }, 'EINVAL'],
      ['a channel for an event file', ({ channel }) => ({ eventFd: channel }), 'EBADF'],
      ['no receives', { cap: noReceives }, 'EINVAL'],
      ['receives beside an SRQ', ({ srq }) => ({ srq }), 'EINVAL'],
      ...QUEUE_REFUSALS.map(
        ([what, change, result]) =>
          [what, { driverIn: (change as Change<Fields>).driverIn }, result] as const,
      ),
    ],
    false,
  );
});

t.test('OPEN_QP', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, openQp(scene));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsCreateQpResp, response), {
      qpHandle: scene.next,
      qpn: scene.targetQpn,
      ...{ maxSendWr: 0, maxRecvWr: 0, maxSendSge: 0, maxRecvSge: 0, maxInlineData: 0, reserved: 0 },
    });
    const destroy = (qpHandle: number) => door(scene, destroyQp(scene, { qpHandle }));
    t.type(outcome(await destroy(scene.target)), 'number');
    const again = await door(scene, openQp(scene));
    t.type(outcome(again), 'number', 'it exists as long as one of its handles does');
    t.type(outcome(await destroy(scene.next)), 'number');
    t.type(outcome(await destroy(scene.target)), 'number', 'the number was free again');
    t.equal(outcome(await door(scene, openQp(scene))), 'EINVAL');
    await stage.strike();
  }
  await walkTable(t, stage, openQp, [
    ...badHandles('pdHandle', ({ pd }) => pd, foreign.pd, { unknown: 'EINVAL' }),
    ['another domain', ({ spare }) => ({ pdHandle: spare.xrcd }), 'EINVAL'],
    ['no such QP', { qpn: 12345 }, 'EINVAL'],
    ['the number without its bit', ({ targetQpn }) => ({ qpn: targetQpn & ~XRC_TARGET_BIT }), 'EINVAL'],
    ...[QpType.RC, QpType.XRC_INI, 0].map(
      (qpType) => [`type ${qpType}`, { qpType }, 'EINVAL'] as Row<{ qpType: number }>,
    ),
  ]);
  await walkFrame(t, stage, openQp);
});

t.test('DESTROY_QP', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, destroyQp(scene));
    t.equal(overrun, undefined);
    t.equal(response, zeroes(4), 'no event was read');
    t.type(outcome(await door(scene, attachMcast(scene))), 'number');
    t.equal(outcome(await door(scene, destroyQp(scene, { qpHandle: scene.ud }))), 'EBUSY', 'in a group');
    await stage.strike();
  }
  await walkTable(t, stage, destroyQp, [
    ['a QP', {}, 'ok'],
    ...badHandles('qpHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, destroyQp, { staysDone: true });
});

t.test('QP DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  await walkAttributes(t, stage, qpDestroy, { staysDone: true });
  await walkMethodTable(t, stage, qpDestroy, [['a QP', {}, 'ok']]);
});

t.test('what needs CAP_NET_RAW', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, new Stage(t, daemon).path);
  succeeded('setuid', await door.ask('setuid', 65534));
  const scene = { door, fd, asyncFd, pd: 0, cq: 1, recvCq: 1, channel: -1 } as unknown as Scene;
  const send = DOORS.INVOKE_WRITE;
  succeeded('PD', await send(scene, allocPd(scene)));
  succeeded('CQ', await send(scene, createCq(scene)));
  const raw = { qpType: QpType.RAW_PACKET };
  t.equal(outcome(await send(scene, createQp(scene, raw))), 'EPERM', 'raw packets');
  t.equal(outcome(await send(scene, createQp(scene, { ...raw, pdHandle: 9 }))), 'EPERM', 'before all else');
  t.equal(outcome(await callMethod(qpCreate, scene, { type: QpType.RAW_PACKET })), 'EPERM');
  const source = { qpType: QpType.UD, createFlags: 1 << 10, sourceQpn: 1 };
  t.equal(outcome(await send(scene, exCreateQp(scene, source))), 'EPERM', 'a source QPN');
  const other = exCreateQp(scene, { ...source, pdHandle: 9 });
  t.equal(outcome(await send(scene, other)), 'ENOENT', 'after the objects');
  t.equal(outcome(await send(scene, createQp(scene))), 0);
});
