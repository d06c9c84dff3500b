/** Receive side scaling: work queues, indirection tables, and the QPs over them. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { parse, u32, zeroes } from '../uverbs/support/messages.js';
import { callMethod, handleIn, outputOf, u32Of } from './support/attributes.js';
import { qpCap, qpCreate, tableDestroy, wqCreate, wqDestroy } from './support/methods.js';
import {
  createTable,
  createWq,
  destroyTable,
  destroyWq,
  exCreateQp,
  modifyQp,
  modifyWq,
  QpMask,
  QpState,
  QpType,
  queryQp,
  rssHash,
  wqQueue,
} from './support/requests.js';
import { handleOf, made, type Scene, Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t, { config: '[[device]]\nlink_layer = "ethernet"\n\n[[device]]\n' });
const ETHERNET = { ethernet: true };

const RESET = 0;
const RDY = 1;
const ERR = 2;
const STATE = 1;
const CUR_STATE = 2;
const FLAGS = 4;

t.test('CREATE_WQ', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createWq(scene));
    t.equal(overrun, undefined);
    const { wqn, ...rest } = parse(abi.ibUverbsExCreateWqResp, response);
    t.ok(wqn >= 520);
    t.same(rest, { compMask: 0, responseLength: 24, wqHandle: scene.next, maxWr: 16, maxSge: 2 });
    await stage.strike();
  }
  await walkTable(t, stage, createWq, [
    ['a range of 4', { driverIn: wqQueue({ logRange: 2 }) }, 'ok'],
    ['scattered FCS', { createFlags: 2 }, 'ok'],
    ['more driver input, of zeroes', { driverIn: wqQueue() + zeroes(8) }, 'ok'],

    ['comp_mask', { compMask: 1 }, 'EOPNOTSUPP'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ...badHandles('cqHandle', ({ pd }) => pd, foreign.pd),
    ['no driver input', { driverIn: '' }, 'EINVAL'],
    ['short driver input', { driverIn: wqQueue().slice(0, -16) }, 'EINVAL'],
    ['more driver input', { driverIn: `${wqQueue()}${zeroes(7)}01` }, 'EOPNOTSUPP'],
    ['driver output', { driverOut: 8 }, 'EOPNOTSUPP'],
    ['a type that there is not', { wqType: 1 }, 'EOPNOTSUPP'],
    ['other flags', { createFlags: 1 }, 'EOPNOTSUPP'],
    ["the driver's comp_mask", { driverIn: wqQueue({ compMask: 1 }) }, 'EOPNOTSUPP'],
    ["the driver's reserved bytes", { driverIn: wqQueue({ reserved: '000001' }) }, 'EOPNOTSUPP'],
    ['too large a range', { driverIn: wqQueue({ logRange: 8 }) }, 'EOPNOTSUPP'],
    ['no receives', { maxWr: 0 }, 'EINVAL'],
    ['no SGEs', { maxSge: 0 }, 'EINVAL'],
    ['too many receives', { maxWr: 16352 }, 'EINVAL'],
    ['too many SGEs', { maxSge: 33 }, 'EINVAL'],
    ['a buffer that is not mapped', { driverIn: wqQueue({ buffer: '@U' }) }, 'EFAULT'],
    ['a doorbell record that is not mapped', { driverIn: wqQueue({ doorbell: '@U' }) }, 'EFAULT'],
  ]);
  await walkFrame(t, stage, createWq, { driverInput: false });
});

t.test('WQ CREATE', async (t) => {
  const stage = new Stage(t, daemon, { ...ETHERNET, context: 'ioctl' });
  const scene = await stage.scene();
  const answer = await callMethod(wqCreate, scene);
  t.equal(handleIn(wqCreate, scene, answer), scene.next);
  t.equal(u32Of(wqCreate, scene, answer, 'respMaxWr'), 16);
  t.equal(u32Of(wqCreate, scene, answer, 'respMaxSge'), 2);
  t.ok(u32Of(wqCreate, scene, answer, 'wqNum') >= 520);
  await stage.strike();
  await walkAttributes(t, stage, wqCreate);
  await walkMethodTable(t, stage, wqCreate, [
    ['a type that there is not', { type: 1 }, 'EINVAL'],
    ['short driver input', { driverIn: wqQueue().slice(0, -16) }, 'EINVAL'],
    ['other flags', { flags: 1 }, 'EOPNOTSUPP'],
    ["the driver's comp_mask", { driverIn: wqQueue({ compMask: 1 }) }, 'EOPNOTSUPP'],
    ['no receives', { maxWr: u32(0) }, 'EINVAL'],
    ['a buffer that is not mapped', { driverIn: wqQueue({ buffer: '@U' }) }, 'EFAULT'],
  ]);
});

t.test('MODIFY_WQ', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  const cur = STATE | CUR_STATE;
  await walkTable(t, stage, modifyWq, [
    ['ready', {}, 'ok'],
    ['RESET again', { wqState: RESET }, 'ok'],
    ['RDY from RDY', { attrMask: cur, wqState: RDY, currWqState: RDY }, 'ok'],
    ['ERR from RDY', { attrMask: cur, wqState: ERR, currWqState: RDY }, 'ok'],
    ['RESET from ERR', { attrMask: cur, wqState: RESET, currWqState: ERR }, 'ok'],
    ['the current state alone', { attrMask: CUR_STATE, currWqState: RDY, wqState: 99 }, 'ok'],
    ['a state, whatever the current one that is not named', { wqState: RDY, currWqState: ERR }, 'ok'],

    ['nothing', { attrMask: 0 }, 'EINVAL'],
    ['unknown attributes', { attrMask: 8 }, 'EINVAL'],
    ...badHandles('wqHandle', ({ pd }) => pd, foreign.pd),
    ['a state beyond ERR', { wqState: 3 }, 'EINVAL'],
    ['a current state beyond ERR', { attrMask: cur, currWqState: 3 }, 'EINVAL'],
    ['no driver input', { driverIn: '' }, 'EINVAL'],
    ['driver input that is not zero', { driverIn: u32(1) + u32(0) }, 'EOPNOTSUPP'],
    ['flags', { attrMask: STATE | FLAGS }, 'EOPNOTSUPP'],
    ['RDY from ERR', { attrMask: cur, wqState: RDY, currWqState: ERR }, 'EINVAL'],
    ['ERR from RESET', { wqState: ERR }, 'EINVAL'],
  ]);
  await walkFrame(t, stage, modifyWq, { driverInput: false });
});

t.test('a WQ remembers its state', async (t) => {
  const scene = await new Stage(t, daemon, ETHERNET).scene();
  const to = async (wqState: number) => outcome(await DOORS.write(scene, modifyWq(scene, { wqState })));
  t.type(await to(RDY), 'number');
  t.type(await to(ERR), 'number', 'ERR from RDY');
  t.equal(await to(RDY), 'EINVAL', 'not back');
  t.type(await to(RESET), 'number');
  t.equal(await to(ERR), 'EINVAL', 'nor from RESET to ERR');
});

t.test('DESTROY_WQ', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, destroyWq(scene));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsExDestroyWqResp, response), {
      ...{ compMask: 0, responseLength: 16, eventsReported: 0, reserved: 0 },
    });
    await stage.strike();
  }
  await walkTable(t, stage, destroyWq, [
    ['a WQ', {}, 'ok'],
    ['comp_mask', { compMask: 1 }, 'EOPNOTSUPP'],
    ...badHandles('wqHandle', ({ pd }) => pd, foreign.pd),
    ['a WQ of a table', ({ wq }) => ({ wqHandle: wq }), 'EBUSY'],
  ]);
  await walkFrame(t, stage, destroyWq, { staysDone: true });
});

t.test('WQ DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { ...ETHERNET, context: 'ioctl' });
  await walkAttributes(t, stage, wqDestroy, { staysDone: true });
  await walkMethodTable(t, stage, wqDestroy, [
    ['a WQ', {}, 'ok'],
    ['a WQ of a table', ({ wq }) => ({ handle: wq }), 'EBUSY'],
  ]);
});

t.test('CREATE_RWQ_IND_TBL', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createTable(scene));
    t.equal(overrun, undefined);
    const answer = parse(abi.ibUverbsExCreateRwqIndTableResp, response);
    t.match(answer, { compMask: 0, responseLength: 16, indTblHandle: scene.next });
    await stage.strike();
  }
  const handles = (...wqs: number[]) => ({ tail: wqs.map(u32).join('') });
  await walkTable(t, stage, createTable, [
    ['driver output', { driverOut: 8 }, 'ok'],
    ['driver input of zeroes', { driverIn: zeroes(8) }, 'ok'],

    ['comp_mask', { compMask: 1 }, 'EOPNOTSUPP'],
    ['too large a table', { logIndTblSize: 14 }, 'EINVAL'],
    ['fewer handles than its size', { logIndTblSize: 2 }, 'ENOSPC'],
    ['more than zeroes behind the handles', ({ wq, spare }) => handles(wq, spare.wq), 'EOPNOTSUPP'],
    ['no such WQ', handles(0x7fff_fff0, 0), 'ENOENT'],
    ["another file's WQ", handles(foreign.pd, 0), 'ENOENT'],
    ['another type', ({ pd, cq }) => handles(pd === 0 ? cq : pd, 0), 'EINVAL'],
  ]);
  await walkFrame(t, stage, createTable);
});

t.test('a table is of consecutive WQs from an aligned one on', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const scene = await stage.scene();
  const wqs: number[] = [];
  for (let i = 0; i < 4; i++) {
    wqs.push(await made(scene, createWq(scene, { driverIn: wqQueue({ logRange: i === 0 ? 2 : 0 }) })));
  }
  const [a, b, c, d] = wqs as [number, number, number, number];
  const make = async (logIndTblSize: number, ...handles: number[]) => {
    const command = createTable(scene, { logIndTblSize, tail: handles.map(u32).join('') });
    const answer = await DOORS.write(scene, command);
    if (answer.errno !== undefined) return answer.errno;
    const indTblHandle = handleOf(command, answer);
    return resultOfDestroy(await DOORS.write(scene, destroyTable(scene, { indTblHandle })));
  };
  const resultOfDestroy = (answer: { errno?: string }) => answer.errno ?? 'ok';
  t.equal(await make(2, a, b, c, d), 'ok');
  t.equal(await make(1, a, b), 'ok');
  t.equal(await make(1, c, d), 'ok');
  t.equal(await make(1, b, c), 'EINVAL', 'not aligned');
  t.equal(await make(1, b, a), 'EINVAL', 'not in order');
  t.equal(await make(1, a, a), 'EINVAL', 'twice the same');
  const large = await made(scene, createWq(scene));
  t.equal(await make(8, ...Array(256).fill(large)), 'EINVAL', 'larger than the hardware has');
});

t.test('DESTROY_RWQ_IND_TBL', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  await walkTable(t, stage, destroyTable, [
    ['a table', {}, 'ok'],
    ['comp_mask', { compMask: 1 }, 'EOPNOTSUPP'],
    ...badHandles('indTblHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, destroyTable);
});

t.test('RWQ_IND_TBL DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { ...ETHERNET, context: 'ioctl' });
  await walkAttributes(t, stage, tableDestroy);
  await walkMethodTable(t, stage, tableDestroy, [['a table', {}, 'ok']]);
});

/** What makes an EX_CREATE_QP one over a table. */
const RSS = {
  ...{ compMask: 1, qpType: QpType.RAW_PACKET, maxSendWr: 0, maxSendSge: 0 },
  ...{ maxRecvWr: 0, maxRecvSge: 0, driverIn: rssHash() },
};
const rssQp: typeof exCreateQp = (scene, change = {}) => exCreateQp(scene, { ...RSS, ...change });

t.test('EX_CREATE_QP over a table', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  const fields = (bits: bigint): Row<object> => [
    `hash fields 0x${bits.toString(16)}`,
    { driverIn: rssHash({ fields: bits }) },
    'EOPNOTSUPP',
  ];
  await walkTable(t, stage, rssQp, [
    ['IPv4 addresses', {}, 'ok'],
    ['no fields', { driverIn: rssHash({ fields: 0n }) }, 'ok'],
    ['addresses and ports', { driverIn: rssHash({ fields: 0xffn }) }, 'ok'],
    ['whatever the CQs', { sendCqHandle: 99, recvCqHandle: 99 }, 'ok'],

    ...badHandles('rwqIndTblHandle', ({ pd }) => pd, foreign.pd),
    ['receives', { maxRecvWr: 1 }, 'EINVAL'],
    ['receive SGEs', { maxRecvSge: 1 }, 'EINVAL'],
    ['an SRQ', { isSrq: 1 }, 'EINVAL'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ['driver output', { driverOut: 8 }, 'EOPNOTSUPP'],
    ['no driver input', { driverIn: '' }, 'EINVAL'],
    ['short driver input', { driverIn: rssHash().slice(0, -16) }, 'EINVAL'],
    ["the driver's reserved bytes", { driverIn: rssHash({ reserved: `${zeroes(6)}01` }) }, 'EOPNOTSUPP'],
    ["the driver's comp_mask", { driverIn: rssHash({ compMask: 1 }) }, 'EOPNOTSUPP'],
    ['another type', { qpType: QpType.UD }, 'EOPNOTSUPP'],
    ['create flags', { createFlags: 2 }, 'EOPNOTSUPP'],
    ['sends', { maxSendWr: 1 }, 'EOPNOTSUPP'],
    ['another hash function', { driverIn: rssHash({ hash: 2 }) }, 'EOPNOTSUPP'],
    fields(1n),
    fields(2n),
    fields(4n),
    fields(0x13n),
    fields(0x30n),
    fields(0xc0n),
    fields(1n << 31n),
    fields(1n << 40n),
  ]);
  const scene = await stage.scene();
  await DOORS.write(scene, rssQp(scene));
  t.equal(outcome(await DOORS.write(scene, destroyTable(scene))), 'EBUSY', 'a QP uses the table');
});

t.test('QP CREATE over a table', async (t) => {
  const stage = new Stage(t, daemon, { ...ETHERNET, context: 'ioctl' });
  const rss = ({ table }: Scene) => ({
    ...{ table, sendCq: undefined, recvCq: undefined, type: QpType.RAW_PACKET },
    ...{ cap: qpCap({ sendWr: 0, sendSge: 0, recvWr: 0, recvSge: 0 }), driverIn: rssHash() },
  });
  await walkMethodTable(
    t,
    stage,
    qpCreate,
    [
      ['a table', rss, 'ok'],
      ['receives', (s) => ({ ...rss(s), cap: qpCap({ recvWr: 1 }) }), 'EINVAL'],
      ['a receive CQ', (s) => ({ ...rss(s), recvCq: s.cq }), 'EINVAL'],
      ['an SRQ', (s) => ({ ...rss(s), srq: s.srq }), 'EINVAL'],
      ['an XRC target', (s) => ({ ...rss(s), type: QpType.XRC_TGT, xrcd: s.xrcd, pd: undefined }), 'EINVAL'],
      ['no table of another file', (s) => ({ ...rss(s), table: 0x7fff_fff0 }), 'ENOENT'],
      [
        'sends without a CQ',
        (s) => ({ ...rss(s), cap: qpCap({ sendWr: 1, recvWr: 0, recvSge: 0 }) }),
        'ENOENT',
      ],
    ],
    false,
  );
  const scene = await stage.scene();
  const answer = await callMethod(qpCreate, scene, rss(scene));
  t.equal(outputOf(qpCreate, scene, answer, 'respCap').length, 40);
});

t.test('an RSS QP is brought to RTR and asked nothing', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const scene = await stage.scene();
  const qpHandle = await made(scene, rssQp(scene));
  const to = async (qpState: number, attrMask: number) =>
    outcome(await DOORS.write(scene, modifyQp(scene, { qpHandle, qpState, attrMask })));
  t.equal(outcome(await DOORS.write(scene, queryQp(scene, { qpHandle }))), 'EOPNOTSUPP');
  t.equal(await to(QpState.RTR, QpMask.STATE), 'EINVAL', 'not from RESET');
  t.type(await to(QpState.INIT, QpMask.STATE | QpMask.PORT), 'number');
  t.equal(await to(QpState.INIT, QpMask.STATE), 'EOPNOTSUPP', 'which a raw QP could');
  t.type(await to(QpState.RTR, QpMask.STATE), 'number');
  t.equal(await to(QpState.RTS, QpMask.STATE), 'EOPNOTSUPP');
  t.equal(await to(QpState.RESET, QpMask.STATE), 'EOPNOTSUPP', 'there is no way back');
});

t.test('an InfiniBand device has no receive side scaling', async (t) => {
  const scene = await new Stage(t, daemon, { device: 1 }).scene();
  for (const build of [createWq, modifyWq, destroyWq, createTable, destroyTable]) {
    const command = build(scene);
    t.equal(outcome(await DOORS.write(scene, command)), 'EINVAL', `command ${command.number} by write`);
    t.equal(outcome(await DOORS.INVOKE_WRITE(scene, command)), 'EOPNOTSUPP', `command ${command.number}`);
  }
  for (const method of [wqCreate, wqDestroy, tableDestroy]) {
    t.equal(outcome(await callMethod(method, scene)), 'EPROTONOSUPPORT', method.name);
  }
});
