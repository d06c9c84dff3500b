/** A device that has less of everything than a ConnectX-3, as its configuration says. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { EX_QUERY_DEVICE } from '../uverbs/support/context.js';
import { outcome } from '../uverbs/support/door.js';
import { parse, u32 } from '../uverbs/support/messages.js';
import { callMethod, type MethodCall } from './support/attributes.js';
import type { AnyBuild } from './support/builder.js';
import { cqDestroy, mrDestroy, mwDestroy, pdDestroy, qpDestroy, srqDestroy } from './support/methods.js';
import {
  allocMw,
  allocPd,
  attachMcast,
  createCq,
  createQp,
  createSrq,
  createTable,
  createWq,
  MGID,
  modifyQp,
  openXrcd,
  QpMask,
  QpState,
  QpType,
  qpQueues,
  regMr,
  wqQueue,
} from './support/requests.js';
import { made, Stage } from './support/scene.js';
import { DOORS, type DoorName, resultOf } from './support/table.js';

/** What a scene needs, and a little more. */
const LIMITS = {
  max_pd: 10,
  max_cq: 8,
  max_mr: 5,
  max_qp: 6,
  max_srq: 4,
  max_qp_wr: 100,
  max_sge: 4,
  max_cqe: 1023,
  max_srq_wr: 63,
  max_srq_sge: 3,
  max_qp_rd_atom: 4,
  max_qp_init_rd_atom: 8,
  max_mcast_grp: 2,
  max_mcast_qp_attach: 1,
  pkey_table_length: 4,
  gid_table_length: 8,
};
const toml = (limits: object) =>
  `[device.limits]\n${Object.entries(limits)
    .map(([key, value]) => `${key} = ${value}\n`)
    .join('')}`;
const daemon = await startDaemon(t, {
  config: `[[device]]\n${toml(LIMITS)}\n[[device]]\nlink_layer = "ethernet"\n${toml({ max_rwq_indirection_table_size: 2 })}`,
});

t.test('what the device says of itself', async (t) => {
  const scene = await new Stage(t, daemon).scene();
  const { response } = await DOORS.write(scene, EX_QUERY_DEVICE);
  t.match(parse(abi.ibUverbsExQueryDeviceResp, response).base, {
    ...{ maxPd: 10, maxCq: 8, maxMr: 5, maxQp: 6, maxSrq: 4, maxQpWr: 100, maxSge: 4, maxCqe: 1023 },
    ...{ maxSrqWr: 63, maxSrqSge: 3, maxQpRdAtom: 4, maxQpInitRdAtom: 8, maxResRdAtom: 24 },
    ...{ maxMcastGrp: 2, maxMcastQpAttach: 1, maxTotalMcastQpAttach: 2, maxPkeys: 4 },
  });
});

/** Something that there is a number of: made until it is used up; one that goes makes room for one. */
const NUMBERED: [what: string, build: AnyBuild, destroy: MethodCall][] = [
  ['PDs', allocPd, pdDestroy],
  ['CQs', createCq, cqDestroy],
  ['memory regions', regMr, mrDestroy],
  ['memory windows, which count as regions', allocMw, mwDestroy],
  ['QPs', createQp, qpDestroy],
  ['SRQs', createSrq, srqDestroy],
];

t.test('what is used up is ENOMEM', async (t) => {
  const stage = new Stage(t, daemon);
  for (const [what, build, destroy] of NUMBERED) {
    const scene = await stage.scene();
    let last = -1;
    let answer = await DOORS.write(scene, build(scene));
    for (let i = 0; i < 10 && answer.errno === undefined; i++) {
      last = Buffer.from(answer.response ?? '', 'hex').readInt32LE();
      answer = await DOORS.write(scene, build(scene));
    }
    t.equal(answer.errno, 'ENOMEM', what);
    t.equal(outcome(await DOORS.INVOKE_WRITE(scene, build(scene))), 'ENOMEM', `${what} by ioctl`);
    t.equal(resultOf(await callMethod(destroy, scene, { handle: last })), 'ok');
    t.equal(await made(scene, build(scene)), last, `${what}: room for one more`);
    await stage.strike();
  }
});

t.test('an XRC domain takes a PD and a CQ of the device', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  while ((await DOORS.write(scene, createCq(scene))).errno === undefined);
  t.equal(outcome(await DOORS.write(scene, openXrcd(scene))), 'ENOMEM');
});

type Case = [what: string, build: AnyBuild, result: string];

/** Sizes of single objects. */
const SIZES: Case[] = [
  ['the largest CQ', (s) => createCq(s, { cqe: 1023 }), 'ok'],
  ['a larger CQ', (s) => createCq(s, { cqe: 1024 }), 'EINVAL'],
  ['the largest SRQ', (s) => createSrq(s, { maxWr: 63, maxSge: 3 }), 'ok'],
  ['a larger SRQ', (s) => createSrq(s, { maxWr: 64 }), 'EINVAL'],
  ['an SRQ of more SGEs', (s) => createSrq(s, { maxSge: 4 }), 'EINVAL'],
  ['the largest receive queue', (s) => createQp(s, { maxRecvWr: 100, maxRecvSge: 4 }), 'ok'],
  ['a larger receive queue', (s) => createQp(s, { maxRecvWr: 101 }), 'EINVAL'],
  ['a receive queue of more SGEs', (s) => createQp(s, { maxRecvSge: 5 }), 'EINVAL'],
  ['the largest send queue', (s) => createQp(s, { driverIn: qpQueues({ logEntries: 8 }) }), 'ok'],
  ['a larger send queue', (s) => createQp(s, { driverIn: qpQueues({ logEntries: 9 }) }), 'EINVAL'],
];

t.test('sizes beyond the limits are EINVAL', async (t) => {
  const stage = new Stage(t, daemon);
  for (const [what, build, result] of SIZES) {
    const scene = await stage.scene();
    for (const name of Object.keys(DOORS) as DoorName[]) {
      t.equal(resultOf(await DOORS[name](scene, build(scene))), result, `${what} (${name})`);
      if (result === 'ok') break;
    }
    await stage.strike();
  }
});

t.test('depths, P_Keys and GIDs beyond the limits', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const M = QpMask;
  const to = async (attrMask: number, qpState: number, change: object) =>
    resultOf(await DOORS.write(scene, modifyQp(scene, { attrMask: M.STATE | attrMask, qpState, ...change })));
  const init = M.PKEY | M.PORT | M.ACC;
  t.equal(await to(init, QpState.INIT, { pkeyIndex: 4 }), 'EINVAL');
  t.equal(await to(init, QpState.INIT, { pkeyIndex: 3 }), 'ok');
  const rtr = M.AV | M.MTU | M.DQPN | M.RQPSN | M.MAXDRD | M.MINRNR;
  t.equal(await to(rtr, QpState.RTR, { maxDestRdAtomic: 5 }), 'EINVAL');
  t.equal(await to(rtr, QpState.RTR, { maxDestRdAtomic: 4 }), 'ok');
  const rts = M.TMO | M.RETRY | M.RNR | M.SQPSN | M.MAXRD;
  t.equal(await to(rts, QpState.RTS, { maxRdAtomic: 9 }), 'EINVAL');
  t.equal(await to(rts, QpState.RTS, { maxRdAtomic: 8 }), 'ok');
});

t.test('multicast groups', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const other = await made(scene, createQp(scene, { qpType: QpType.UD }));
  const attach = async (last: number, qpHandle = scene.ud) => {
    const gid = Uint8Array.of(...MGID.subarray(0, 15), last);
    return resultOf(await DOORS.write(scene, attachMcast(scene, { gid, qpHandle })));
  };
  t.equal(await attach(1), 'ok');
  t.equal(await attach(1, other), 'ENOMEM', 'members');
  t.equal(await attach(2), 'ok');
  t.equal(await attach(3), 'ENOMEM', 'groups');
});

t.test('indirection tables', async (t) => {
  const scene = await new Stage(t, daemon, { device: 1, ethernet: true }).scene();
  const wide = createWq(scene, { driverIn: wqQueue({ logRange: 2 }) });
  t.equal(resultOf(await DOORS.write(scene, wide)), 'EOPNOTSUPP', 'a range of 4');
  const wq = u32(await made(scene, createWq(scene, { driverIn: wqQueue({ logRange: 1 }) })));
  const table = createTable(scene, { logIndTblSize: 2, tail: wq + wq + wq + wq });
  t.equal(resultOf(await DOORS.write(scene, table)), 'EINVAL', 'a table of 4');
});
