/** MODIFY_QP and QUERY_QP: every check, in its order. The state machine has a test of its own. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { openByIoctl } from '../uverbs/support/context.js';
import { outcome, succeeded, UverbsDoor } from '../uverbs/support/door.js';
import { parse, zeroes } from '../uverbs/support/messages.js';
import type { Build } from './support/builder.js';
import {
  allocPd,
  createCq,
  createQp,
  exModifyQp,
  QpMask as M,
  modifyQp,
  path,
  QpState,
  QpType,
  queryQp,
} from './support/requests.js';
import { made, type Scene, Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t, {
  config: '[[device]]\nports = 2\n\n[[device]]\nlink_layer = "ethernet"\n',
});
const PORTS = [1, 2];
const ETHERNET = { device: 1, ethernet: true };

type Fields = Omit<abi.IbUverbsModifyQpInit, 'reserved'>;

const INIT_MASK = M.STATE | M.PKEY | M.PORT | M.ACC;
const RTR_MASK = M.STATE | M.AV | M.MTU | M.DQPN | M.RQPSN | M.MAXDRD | M.MINRNR;
const RTS_MASK = M.STATE | M.TMO | M.RETRY | M.RNR | M.SQPSN | M.MAXRD;

const toInit = (scene: Scene) => scene.door.command(scene.fd, modifyQp(scene));
const toRtr: Build<Fields> = (scene, change) =>
  modifyQp(scene, { attrMask: RTR_MASK, qpState: QpState.RTR, ...change });
const toRts: Build<Fields> = (scene, change) =>
  modifyQp(scene, { attrMask: RTS_MASK, qpState: QpState.RTS, ...change });

async function toState(scene: Scene, state: number): Promise<void> {
  const steps = [modifyQp(scene), toRtr(scene), toRts(scene)];
  for (const [i, step] of steps.slice(0, state).entries())
    succeeded(`state ${i + 1}`, await scene.door.command(scene.fd, step));
}

/** A path with a GRH. */
const routed = (sgidIndex: number) => path({ isGlobal: 1, sgidIndex, dgid: new Uint8Array(16).fill(9) });

const PORT_ROWS: Row<Fields>[] = [
  ['no port', { portNum: 0 }, 'EINVAL'],
  ['a port beyond the last', { portNum: PORTS.length + 1 }, 'EINVAL'],
];

t.test('MODIFY_QP from RESET', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  const unknown = [21, 22, 23, 24, 26, 31].map(
    (bit): Row<Fields> => [`attribute ${bit}`, { attrMask: (INIT_MASK | (1 << bit)) >>> 0 }, 'EOPNOTSUPP'],
  );
  const handles = badHandles('qpHandle', ({ pd }) => pd, foreign.pd);
  const rate: Row<Fields> = ['a rate limit', { attrMask: INIT_MASK | M.RATE }, 'EOPNOTSUPP'];
  const later: Row<Fields>[] = [
    ...PORT_ROWS,
    ['a state beyond ERR', { qpState: 7 }, 'EINVAL'],
    ['a current state beyond ERR', { attrMask: INIT_MASK | M.CUR, curQpState: 7 }, 'EINVAL'],
    ['a current state', { attrMask: INIT_MASK | M.CUR, curQpState: QpState.RESET }, 'EINVAL'],
    ['a path', { attrMask: INIT_MASK | M.AV }, 'EINVAL'],
    ['a path over no port', { attrMask: INIT_MASK | M.AV, dest: path({ portNum: 0 }) }, 'EINVAL'],
    ['an alternate path', { attrMask: INIT_MASK | M.ALT }, 'EINVAL'],
    ['capabilities', { attrMask: INIT_MASK | M.CAP }, 'EINVAL'],
    ['a P_Key beyond the table', { pkeyIndex: 128 }, 'EINVAL'],
    ['nothing at all', { attrMask: 0 }, 'ok'],
    ['to RESET again', { attrMask: M.STATE, qpState: QpState.RESET }, 'ok'],
    ['the second port', { portNum: 2 }, 'ok'],
    ['the last P_Key', { pkeyIndex: 127 }, 'ok'],
    ['attributes that are not in the mask', { dest: path({ portNum: 9 }), curQpState: 99 }, 'ok'],
  ];
  await walkTable(t, stage, modifyQp, [...unknown, rate, ...handles, ...later]);
  await walkTable(t, stage, exModifyQp, [...unknown, ...handles, ...later, rate], {
    ordered: false,
  });
  await walkFrame(t, stage, modifyQp);
  await walkFrame(t, stage, exModifyQp, { staysDone: true });
});

t.test('EX_MODIFY_QP tells how long its answer is', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, exModifyQp(scene));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsExModifyQpResp, response), { compMask: 0, responseLength: 8 });
    await stage.strike();
    const again = await stage.scene();
    t.type(outcome(await door(again, exModifyQp(again, { coreOut: 0 }))), 'number', 'no answer is wanted');
    await stage.strike();
  }
});

t.test('MODIFY_QP from INIT', async (t) => {
  const stage = new Stage(t, daemon, { prepare: toInit });
  await walkTable(t, stage, toRtr, [
    ['a path', {}, 'ok'],
    ['a path with a GRH', { dest: routed(0) }, 'ok'],
    ['an alternate path', { attrMask: RTR_MASK | M.ALT, altPortNum: 2, altDest: path({ portNum: 2 }) }, 'ok'],
    ['a PSN of more than 24 bits', { rqPsn: 0xff00_0001 }, 'ok'],
    ['the largest depth', { maxDestRdAtomic: 16 }, 'ok'],
    ['the smallest MTU', { pathMtu: 1 }, 'ok'],
    ['the largest MTU', { pathMtu: 5 }, 'ok'],

    ['a path over no port', { dest: path({ portNum: 0 }) }, 'EINVAL'],
    ['a path over a port that is not there', { dest: path({ portNum: 3 }) }, 'EINVAL'],
    ["a path over another port than the QP's", { dest: path({ portNum: 2 }) }, 'EINVAL'],
    [
      'an alternate path over no port',
      { attrMask: RTR_MASK | M.ALT, altPortNum: 0, altDest: path({ portNum: 0 }) },
      'EINVAL',
    ],
    [
      'an alternate path that names two ports',
      { attrMask: RTR_MASK | M.ALT, altPortNum: 1, altDest: path({ portNum: 2 }) },
      'EINVAL',
    ],
    ['a GID beyond the table', { dest: routed(128) }, 'EINVAL'],
    ['a GID that is empty', { dest: routed(5) }, 'ENODATA'],
    ['too deep', { maxDestRdAtomic: 17 }, 'EINVAL'],
    ['no MTU', { pathMtu: 0 }, 'EINVAL'],
    ['an MTU that there is not', { pathMtu: 6 }, 'EINVAL'],
  ]);
});

t.test('an alternate path with an empty GID', async (t) => {
  const stage = new Stage(t, daemon, { prepare: toInit });
  await walkTable(t, stage, toRtr, [
    ['empty', { attrMask: RTR_MASK | M.ALT, altDest: routed(5) }, 'ENODATA'],
    ['beyond the table', { attrMask: RTR_MASK | M.ALT, altDest: routed(128) }, 'EINVAL'],
    ['beyond the P_Keys', { attrMask: RTR_MASK | M.ALT, altPkeyIndex: 128 }, 'EINVAL'],
  ]);
});

t.test('MODIFY_QP from RTR and RTS', async (t) => {
  const rtr = new Stage(t, daemon, { prepare: (scene) => toState(scene, QpState.RTR) });
  await walkTable(t, rtr, toRts, [
    ['the largest depth', { maxRdAtomic: 128 }, 'ok'],
    ['a PSN of more than 24 bits', { sqPsn: 0xff00_0001 }, 'ok'],
    ['too deep', { maxRdAtomic: 129 }, 'EINVAL'],
    ['the right current state', { attrMask: RTS_MASK | M.CUR, curQpState: QpState.RTR }, 'ok'],
    ['a wrong current state', { attrMask: RTS_MASK | M.CUR, curQpState: QpState.INIT }, 'EINVAL'],
  ]);

  const rts = new Stage(t, daemon, { prepare: (scene) => toState(scene, QpState.RTS) });
  const inState: Build<Fields> = (scene, change) => modifyQp(scene, { attrMask: M.ACC, ...change });
  await walkTable(t, rts, inState, [
    ['rights, without a state', {}, 'ok'],
    ['a port', { attrMask: M.PORT }, 'EINVAL'],
    ['a path, which sets the port', { attrMask: M.AV }, 'EINVAL'],
    ['a path and another port', { attrMask: M.AV | M.PORT, portNum: 2 }, 'EINVAL'],
    ['to be drained, without SQD', { attrMask: M.EN_SQD }, 'EINVAL'],
  ]);

  const sqd = new Stage(t, daemon, {
    prepare: async (scene) => {
      await toState(scene, QpState.RTS);
      await scene.door.command(scene.fd, modifyQp(scene, { attrMask: M.STATE, qpState: QpState.SQD }));
    },
  });
  await walkTable(t, sqd, inState, [
    ['a path alone', { attrMask: M.AV, dest: path({ portNum: 2 }) }, 'ok'],
    ['a path and its port', { attrMask: M.AV | M.PORT, portNum: 2, dest: path({ portNum: 2 }) }, 'ok'],
    ['a path and another port', { attrMask: M.AV | M.PORT, portNum: 2 }, 'EINVAL'],
  ]);
  const scene = await sqd.scene();
  await scene.door.command(scene.fd, inState(scene, { attrMask: M.AV, dest: path({ portNum: 2 }) }));
  const { response } = await scene.door.command(scene.fd, queryQp(scene));
  t.equal(parse(abi.ibUverbsQueryQpResp, response).portNum, 2, 'a path alone sets the port');
});

t.test('Q_Keys that need CAP_NET_RAW', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, new Stage(t, daemon).path);
  const scene = { door, fd, asyncFd, pd: 0, cq: 1, recvCq: 1, qp: 2, channel: -1 } as unknown as Scene;
  const send = DOORS.INVOKE_WRITE;
  succeeded('PD', await send(scene, allocPd(scene)));
  succeeded('CQ', await send(scene, createCq(scene)));
  succeeded('QP', await send(scene, createQp(scene, { qpType: QpType.UD })));
  const set = async (qkey: number) => {
    const init = modifyQp(scene, { attrMask: M.STATE | M.PKEY | M.PORT | M.QKEY, qkey });
    return outcome(await send(scene, init));
  };
  t.equal(await set(0x8000_0000), 0);
  succeeded('setuid', await door.ask('setuid', 65534));
  t.equal(await set(0x7fff_ffff), 0);
  t.equal(await set(0x8000_0000), 'EPERM');
  t.equal(await set(0xffff_ffff), 'EPERM');
});

t.test('a port of the other link layer', async (t) => {
  const raw = { qpType: QpType.RAW_PACKET };
  const infiniband = new Stage(t, daemon);
  const scene = await infiniband.scene();
  const qpHandle = await made(scene, createQp(scene, raw));
  const init = { qpHandle, attrMask: M.STATE | M.PORT };
  t.equal(outcome(await DOORS.write(scene, modifyQp(scene, init))), 'EINVAL', 'raw packets over InfiniBand');

  const ethernet = new Stage(t, daemon, { ...ETHERNET, prepare: toInit });
  await walkTable(t, ethernet, toRtr, [
    ['a GID', { dest: routed(0) }, 'ok'],
    ['a GID beyond the table', { dest: routed(128) }, 'EINVAL'],
    ['an empty GID', { dest: routed(127) }, 'ENODATA'],
    ['an alternate path', { attrMask: RTR_MASK | M.ALT, dest: routed(0) }, 'EINVAL'],
    ['a path without a GRH', {}, 'EINVAL'],
  ]);
  const eth = await ethernet.scene();
  const rawInit = modifyQp(eth, { qpHandle: eth.raw, attrMask: M.STATE | M.PORT });
  t.type(outcome(await DOORS.write(eth, rawInit)), 'number', 'raw packets over Ethernet');
});

t.test('QUERY_QP', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  const ask = async (scene: Scene, door: (typeof DOORS)[keyof typeof DOORS], qpHandle = scene.qp) => {
    const { response, overrun } = await door(scene, queryQp(scene, { qpHandle }));
    t.equal(overrun, undefined);
    return parse(abi.ibUverbsQueryQpResp, response);
  };
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    t.match(await ask(scene, door), {
      ...{ qpState: QpState.RESET, curQpState: QpState.RESET, sqSigAll: 0, sqDraining: 0 },
      ...{ maxSendWr: 0, maxSendSge: 0, maxInlineData: 0, maxRecvWr: 16, maxRecvSge: 4 },
    });
    await door(scene, modifyQp(scene));
    t.match(await ask(scene, door), { qpState: QpState.INIT, curQpState: QpState.INIT, portNum: 1 });
    const dgid = Uint8Array.from({ length: 16 }, (_, i) => i);
    const dest = path({ isGlobal: 1, dgid, sl: 3, flowLabel: 0x12345, hopLimit: 5, trafficClass: 6 });
    await door(scene, toRtr(scene, { dest, maxDestRdAtomic: 5, rqPsn: 0xab00_0007 }));
    await door(scene, toRts(scene, { maxRdAtomic: 0, sqPsn: 0xcd00_0009 }));
    const rts = await ask(scene, door);
    t.match(rts, {
      ...{ qpState: QpState.RTS, curQpState: QpState.RTS, pathMtu: 3, qpAccessFlags: 6 },
      ...{ rqPsn: 7, sqPsn: 9, destQpNum: 0x99, timeout: 14, retryCnt: 7, rnrRetry: 6, minRnrTimer: 12 },
      ...{ maxRdAtomic: 1, maxDestRdAtomic: 8 },
    });
    t.match(rts.dest, { sl: 3, flowLabel: 0x12345, hopLimit: 5, trafficClass: 6, dlid: 5, portNum: 1 });
    t.equal(Buffer.from(rts.dest.dgid).toString('hex'), Buffer.from(dgid).toString('hex'));

    const ud = { qpHandle: scene.ud, attrMask: M.STATE | M.PKEY | M.PORT | M.QKEY, qkey: 0x8765_4321 };
    await door(scene, modifyQp(scene, ud));
    t.match(await ask(scene, door, scene.ud), { qkey: 0x8765_4321, pathMtu: 5 });
    const signalled = await made(scene, createQp(scene, { sqSigAll: 1 }));
    t.match(await ask(scene, door, signalled), { sqSigAll: 1 });
    await stage.strike();
  }
  await walkTable(
    t,
    stage,
    queryQp,
    badHandles('qpHandle', ({ pd }) => pd, foreign.pd),
  );
  await walkFrame(t, stage, queryQp);
});

t.test('without responder resources only remote writes are allowed', async (t) => {
  const stage = new Stage(t, daemon, { prepare: toInit });
  const scene = await stage.scene();
  await DOORS.write(scene, toRtr(scene, { maxDestRdAtomic: 0 }));
  const { response } = await DOORS.write(scene, queryQp(scene));
  t.match(parse(abi.ibUverbsQueryQpResp, response), { qpAccessFlags: 2, maxDestRdAtomic: 1 });
});

t.test('a response of QUERY_QP with more room', async (t) => {
  const scene = await new Stage(t, daemon).scene();
  const { response, overrun } = await DOORS.write(scene, queryQp(scene, { coreOut: 160 }));
  t.equal(overrun, undefined);
  t.equal(response?.slice(256), zeroes(32));
});
