/** Completion queues. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { parse, u32, zeroes } from '../uverbs/support/messages.js';
import { attributeOf, callMethod, handleIn, outputOf, u32Of } from './support/attributes.js';
import { cqCreate, cqDestroy } from './support/methods.js';
import {
  BUFFER,
  createCq,
  DOORBELL,
  destroyCq,
  exCreateCq,
  modifyCq,
  QUEUE,
  resizeCq,
} from './support/requests.js';
import { Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

const MAX_CQE = 4194303;
const EMPTY_CQE = 'cc';

interface CqFields {
  cqe: number;
  compVector: number;
  compChannel: number;
}

/** What both forms of the command refuse, in the order of the checks. */
const REFUSALS: Row<CqFields>[] = [
  ['a completion vector that is not there', { compVector: 2 }, 'EINVAL'],
  ['a channel that is not open', { compChannel: 900 }, 'EBADF'],
  ['no entries', { cqe: 0 }, 'EINVAL'],
  ['too many entries', { cqe: MAX_CQE + 1 }, 'EINVAL'],
  ['more entries than a signed number holds', { cqe: 0xffff_ffff }, 'EINVAL'],
  ['no driver input', { driverIn: '' }, 'EFAULT'],
  ['half the driver input', { driverIn: BUFFER }, 'EFAULT'],
  ['a buffer that is not mapped', { driverIn: `@U${DOORBELL}` }, 'EFAULT'],
  ['a buffer that is read-only', { driverIn: `@O${DOORBELL}` }, 'EFAULT'],
  ['a doorbell record that is not mapped', { driverIn: `${BUFFER}@U` }, 'EFAULT'],
  ['no driver output', { driverOut: 0 }, 'EFAULT'],
];

const CREATIONS: Row<CqFields>[] = [
  ['one entry', { cqe: 1 }, 'ok'],
  ['no channel', { compChannel: 0xffff_ffff | 0 }, 'ok'],
  ['any negative channel', { compChannel: -7 }, 'ok'],
];

/** The entries that are answered. */
const SIZES: [asked: number, answered: number][] = [
  [1, 1],
  [2, 3],
  [3, 3],
  [4, 7],
  [100, 127],
  [255, 255],
];

t.test('CREATE_CQ', async (t) => {
  const stage = new Stage(t, daemon);
  for (const [name, door] of Object.entries(DOORS)) {
    for (const [asked, answered] of SIZES) {
      const scene = await stage.scene();
      const { response, overrun } = await door(scene, createCq(scene, { cqe: asked }));
      t.equal(overrun, undefined);
      const expected = { cqHandle: scene.next, cqe: answered };
      t.same(parse(abi.ibUverbsCreateCqResp, response), expected, `${name}: ${asked} entries`);
      t.ok(parse(abi.mlx4IbCreateCqResp, response, 8).cqn);
      t.equal(response?.slice(24), 'aaaaaaaa', 'the reserved word is not written');
      await stage.strike();
    }
  }
  await walkTable(t, stage, createCq, [...CREATIONS, ...REFUSALS]);
  await walkFrame(t, stage, createCq);
});

t.test('EX_CREATE_CQ', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, exCreateCq(scene, { flags: 1 }));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsExCreateCqResp, response), {
      base: { cqHandle: scene.next, cqe: 127 },
      compMask: 0,
      responseLength: 16,
    });
    t.ok(parse(abi.mlx4IbCreateCqResp, response, 16).cqn);
    await stage.strike();
  }
  type Fields = CqFields & { compMask: number; flags: number; reserved: number };
  const first: Row<Fields>[] = [
    ['comp_mask', { compMask: 1 }, 'EINVAL'],
    ['a reserved field', { reserved: 1 }, 'EINVAL'],
  ];
  const flags: Row<Fields> = ['flags that the driver has not', { flags: 2 }, 'EINVAL'];
  const rows = [...first, ...CREATIONS, ...REFUSALS.slice(0, 5), flags, ...REFUSALS.slice(5)];
  await walkTable(t, stage, exCreateCq, rows);
  await walkFrame(t, stage, exCreateCq);
});

t.test('CQ CREATE', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  for (const [asked, answered] of SIZES) {
    const scene = await stage.scene();
    const answer = await callMethod(cqCreate, scene, { cqe: u32(asked) });
    t.equal(handleIn(cqCreate, scene, answer), scene.next);
    t.equal(u32Of(cqCreate, scene, answer, 'respCqe'), answered, `${asked} entries`);
    for (const output of ['respCqe', 'driverOut']) {
      t.equal(attributeOf(cqCreate, scene, answer, output).flags, 3, `${output} is marked as valid`);
    }
    t.equal(outputOf(cqCreate, scene, answer, 'driverOut').slice(8), 'aaaaaaaa');
    await stage.strike();
  }
  await walkAttributes(t, stage, cqCreate);
  await walkMethodTable(t, stage, cqCreate, [
    ['no channel and no event file', { channel: undefined, eventFd: undefined }, 'ok'],
    ['time stamps', { flags: 1 }, 'ok'],
    ['a channel where an event file belongs', ({ channel }) => ({ eventFd: channel }), 'EBADF'],
    ['an event file where a channel belongs', ({ asyncFd }) => ({ channel: asyncFd }), 'EBADF'],
    ['a completion vector that is not there', { compVector: u32(2) }, 'EINVAL'],
    ['no entries', { cqe: u32(0) }, 'EINVAL'],
    ['too many entries', { cqe: u32(MAX_CQE + 1) }, 'EINVAL'],
    ['a flag that the driver has not', { flags: 2 }, 'EINVAL'],
    ['half the driver input', { driverIn: BUFFER }, 'EFAULT'],
    ['a buffer that is not mapped', { driverIn: `@U${DOORBELL}` }, 'EFAULT'],
    ['a buffer that is read-only', { driverIn: `@O${DOORBELL}` }, 'EFAULT'],
    ['a doorbell record that is not mapped', { driverIn: `${BUFFER}@U` }, 'EFAULT'],
  ]);
});

t.test('a new queue holds no completion', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const { door, fd } = scene;
  await door.ask('scratch-fill', zeroes(4096));
  await door.command(fd, createCq(scene, { cqe: 63 }));
  const bytes = (await door.ask('scratch-dump', 64 * 32)).data ?? '';
  const owners = Array.from({ length: 64 }, (_, i) => bytes.slice(64 * i + 62, 64 * i + 64));
  t.same(owners, Array(64).fill(EMPTY_CQE), 'the owner bit of every entry is set');
  t.equal((await door.ask('scratch-dump', 32, 64 * 32)).data, zeroes(32), 'nothing behind it is touched');
});

t.test('driver input that is too short goes on in what follows it', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const { door, fd } = scene;
  const command = createCq(scene, { driverIn: BUFFER, userHandle: 0n });
  const request = command.request.replace('@R', '@B+8192;');
  const inWords = (8 + 32 + 8) / 4;
  await door.ask(
    'scratch-fill',
    `12000000_${inWords.toString(16).padStart(2, '0')}00_0400_${request}${QUEUE}`,
    4096,
  );
  t.equal(outcome(await door.ask('write-at', fd, '@B+4096;', 48)), 48);
  const short = await callMethod(cqCreate, await stage.scene(), { driverIn: BUFFER });
  t.equal(outcome(short), 'EFAULT', 'an inline attribute is followed by nothing');
});

t.test('RESIZE_CQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, resizeCq(scene, { cqe: 300 }));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsResizeCqResp, response), { cqe: 511, reserved: 0 });
    const same = await door(scene, resizeCq(scene, { cqe: 257, driverIn: '' }));
    t.equal(parse(abi.ibUverbsResizeCqResp, same.response).cqe, 511, 'the same size: its input is not read');
    await stage.strike();
  }
  await walkTable(t, stage, resizeCq, [
    ['a smaller queue', { cqe: 10 }, 'ok'],
    ['the size that it has, without driver input', { cqe: 64, driverIn: '' }, 'ok'],
    ...badHandles('cqHandle', ({ pd }) => pd, foreign.pd),
    ['no entries', { cqe: 0 }, 'EINVAL'],
    ['too many entries', { cqe: MAX_CQE + 1 }, 'EINVAL'],
    ['no driver input', { driverIn: '' }, 'EFAULT'],
    ['a buffer that is not mapped', { driverIn: '@U' }, 'EFAULT'],
    ['a buffer that is read-only', { driverIn: '@O' }, 'EFAULT'],
  ]);
  await walkFrame(t, stage, resizeCq, { staysDone: true });
});

t.test('MODIFY_CQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, modifyCq, [
    ['moderation', {}, 'ok'],
    ['nothing', { attrMask: 0 }, 'EINVAL'],
    ['a reserved field', { reserved: 1 }, 'EINVAL'],
    ['unknown attributes', { attrMask: 2 }, 'EOPNOTSUPP'],
    ...badHandles('cqHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, modifyCq);
});

t.test('DESTROY_CQ', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, destroyCq(scene));
    t.equal(overrun, undefined);
    t.equal(response, zeroes(8), 'no event was read');
    await stage.strike();
  }
  await walkTable(t, stage, destroyCq, [
    ...badHandles('cqHandle', ({ pd }) => pd, foreign.pd),
    ['a CQ that a QP uses', ({ cq }) => ({ cqHandle: cq }), 'EBUSY'],
  ]);
  await walkFrame(t, stage, destroyCq, { staysDone: true });
});

t.test('CQ DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  const scene = await stage.scene();
  const answer = await callMethod(cqDestroy, scene);
  t.equal(outputOf(cqDestroy, scene, answer, 'resp'), zeroes(8));
  await stage.strike();
  await walkAttributes(t, stage, cqDestroy, { staysDone: true });
  await walkMethodTable(t, stage, cqDestroy, [
    ['an unused CQ', {}, 'ok'],
    ['a CQ that QPs use', ({ cq }) => ({ handle: cq }), 'EBUSY'],
  ]);
});
