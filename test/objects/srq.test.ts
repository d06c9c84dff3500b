/** Shared receive queues, of both types. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { parse, u32, zeroes } from '../uverbs/support/messages.js';
import { callMethod, handleIn, outputOf, u32Of } from './support/attributes.js';
import { srqCreate, srqDestroy } from './support/methods.js';
import {
  BUFFER,
  createQp,
  createSrq,
  createXsrq,
  DOORBELL,
  destroySrq,
  modifySrq,
  querySrq,
  SrqType,
} from './support/requests.js';
import { made, Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

const MAX_WR = 16383;
const MAX_SGE = 31;

interface Sizes {
  maxWr: number;
  maxSge: number;
  srqLimit: number;
}

/** What the driver looks at. */
const DRIVER_ROWS: Row<Sizes>[] = [
  ['the largest queue', { maxWr: 1023, maxSge: MAX_SGE }, 'ok'],
  ['no receives', { maxWr: 0 }, 'ok'],
  ['no SGEs', { maxSge: 0 }, 'ok'],
  ['a limit that is higher than the queue is long', { srqLimit: 100_000 }, 'ok'],
  ['too many receives', { maxWr: MAX_WR + 1 }, 'EINVAL'],
  ['too many SGEs', { maxSge: MAX_SGE + 1 }, 'EINVAL'],
  ['no driver input', { driverIn: '' }, 'EFAULT'],
  ['half the driver input', { driverIn: BUFFER }, 'EFAULT'],
  ['a buffer that is not mapped', { driverIn: `@U${DOORBELL}` }, 'EFAULT'],
  ['a doorbell record that is not mapped', { driverIn: `${BUFFER}@U` }, 'EFAULT'],
  ['no driver output', { driverOut: 0 }, 'EFAULT'],
];

const SIZES: [asked: number, answered: number][] = [
  [0, 0],
  [1, 1],
  [2, 3],
  [20, 31],
  [63, 63],
];

t.test('CREATE_SRQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    for (const [asked, answered] of SIZES) {
      const scene = await stage.scene();
      const { response, overrun } = await door(scene, createSrq(scene, { maxWr: asked, maxSge: 3 }));
      t.equal(overrun, undefined);
      t.same(
        parse(abi.ibUverbsCreateSrqResp, response),
        { srqHandle: scene.next, maxWr: answered, maxSge: 3, srqn: 0 },
        `${asked} receives`,
      );
      t.ok(parse(abi.mlx4IbCreateSrqResp, response, 16).srqn);
      t.equal(response?.slice(40), 'aaaaaaaa', 'the reserved word is not written');
      await stage.strike();
    }
  }
  const rows = [...badHandles('pdHandle', ({ cq }) => cq, foreign.pd), ...DRIVER_ROWS];
  await walkTable(t, stage, createSrq, rows);
  await walkFrame(t, stage, createSrq);
});

t.test('CREATE_XSRQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createXsrq(scene));
    t.equal(overrun, undefined);
    const { srqHandle, srqn, maxWr } = parse(abi.ibUverbsCreateSrqResp, response);
    t.equal(srqHandle, scene.next);
    t.equal(maxWr, 31);
    t.equal(parse(abi.mlx4IbCreateSrqResp, response, 16).srqn, srqn, 'the number in both parts');
    await stage.strike();
  }
  type Fields = Sizes & Record<'srqType' | 'xrcdHandle' | 'cqHandle' | 'pdHandle', number>;
  const other: Row<Fields>[] = [
    ['a basic one', { srqType: SrqType.BASIC }, 'ok'],
    ['a basic one, whatever the domain and the CQ', { srqType: 0, xrcdHandle: 99, cqHandle: 99 }, 'ok'],
  ];
  const types: Row<Fields>[] = [
    ['tag matching', { srqType: SrqType.TM }, 'EOPNOTSUPP'],
    ['an unknown type', { srqType: 3 }, 'EOPNOTSUPP'],
  ];
  const rows = [
    ...other,
    ...badHandles('xrcdHandle', ({ pd }) => pd, foreign.pd, { unknown: 'EINVAL' }),
    ...badHandles('cqHandle', ({ pd }) => pd, foreign.pd),
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ...types,
    ...DRIVER_ROWS,
  ];
  // The type decides whether the domain and the CQ are looked at, so pairs with it say nothing of the order.
  await walkTable(t, stage, createXsrq, rows, { ordered: false });
  await walkFrame(t, stage, createXsrq);
});

t.test('SRQ CREATE', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  for (const [asked, answered] of SIZES) {
    const scene = await stage.scene();
    const answer = await callMethod(srqCreate, scene, { maxWr: u32(asked), maxSge: u32(3) });
    t.equal(handleIn(srqCreate, scene, answer), scene.next);
    t.equal(u32Of(srqCreate, scene, answer, 'respMaxWr'), answered);
    t.equal(u32Of(srqCreate, scene, answer, 'respMaxSge'), 3);
    const srqn = outputOf(srqCreate, scene, answer, 'srqNum');
    t.equal(outputOf(srqCreate, scene, answer, 'driverOut'), `${srqn}aaaaaaaa`);
    await stage.strike();
  }
  await walkAttributes(t, stage, srqCreate);
  const basic = { type: SrqType.BASIC, xrcd: undefined, cq: undefined };
  await walkMethodTable(
    t,
    stage,
    srqCreate,
    [
      ['a basic one', { ...basic, srqNum: undefined }, 'ok'],
      ['a basic one with a domain and a CQ', { type: SrqType.BASIC }, 'ok'],
      ['an unknown type', { type: 3 }, 'EINVAL'],
      ['tag matching without a CQ', { type: SrqType.TM, cq: undefined }, 'ENOENT'],
      ['tag matching', { type: SrqType.TM }, 'EOPNOTSUPP'],
      ['XRC without a domain', { xrcd: undefined }, 'ENOENT'],
      ['XRC without a CQ', { cq: undefined }, 'ENOENT'],
      ['too many receives', { maxWr: u32(MAX_WR + 1) }, 'EINVAL'],
      ['too many SGEs', { maxSge: u32(MAX_SGE + 1) }, 'EINVAL'],
      ['a buffer that is not mapped', { driverIn: `@U${DOORBELL}` }, 'EFAULT'],
      ['a doorbell record that is not mapped', { driverIn: `${BUFFER}@U` }, 'EFAULT'],
      ['a channel for an event file', ({ channel }) => ({ eventFd: channel }), 'EBADF'],
    ],
    false,
  );
});

t.test('MODIFY_SRQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  // The SRQ of the scene has 32 entries.
  await walkTable(t, stage, modifySrq, [
    ['a limit', { srqLimit: 31 }, 'ok'],
    ['no limit any more', { srqLimit: 0 }, 'ok'],
    ['nothing', { attrMask: 0, srqLimit: 1000 }, 'ok'],
    ['unknown attributes', { attrMask: 4 }, 'ok'],
    ...badHandles('srqHandle', ({ pd }) => pd, foreign.pd),
    ['its size', { attrMask: 1, maxWr: 100 }, 'EINVAL'],
    ['its size and a limit', { attrMask: 3 }, 'EINVAL'],
    ['a limit of all entries', { srqLimit: 32 }, 'EINVAL'],
  ]);
  await walkFrame(t, stage, modifySrq);
});

t.test('QUERY_SRQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const ask = async () => {
      const { response, overrun } = await door(scene, querySrq(scene));
      t.equal(overrun, undefined);
      return parse(abi.ibUverbsQuerySrqResp, response);
    };
    const expected = { maxWr: 31, maxSge: 2, srqLimit: 0, reserved: 0 };
    t.same(await ask(), expected, 'the limit of its creation is ignored');
    await door(scene, modifySrq(scene, { srqLimit: 9 }));
    t.same(await ask(), { ...expected, srqLimit: 9 });
    await door(scene, modifySrq(scene, { srqLimit: 0 }));
    t.same(await ask(), expected);
  }
  await walkTable(
    t,
    stage,
    querySrq,
    badHandles('srqHandle', ({ pd }) => pd, foreign.pd),
  );
  await walkFrame(t, stage, querySrq);
});

t.test('DESTROY_SRQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const qp = await made(scene, createQp(scene, { isSrq: 1, maxRecvWr: 0, maxRecvSge: 0 }));
    t.equal((await door(scene, destroySrq(scene))).errno, 'EBUSY', `QP ${qp} uses it`);
    const { response } = await door(scene, destroySrq(scene, { srqHandle: scene.xsrq }));
    t.equal(response, zeroes(4), 'no event was read');
    await stage.strike();
  }
  await walkTable(t, stage, destroySrq, [
    ['an SRQ', {}, 'ok'],
    ...badHandles('srqHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, destroySrq, { staysDone: true });
});

t.test('SRQ DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  await walkAttributes(t, stage, srqDestroy, { staysDone: true });
  await walkMethodTable(t, stage, srqDestroy, [['an SRQ', {}, 'ok']]);
});
