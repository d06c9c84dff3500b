/** Queue pairs: making them, changing their state, asking them. */
import t from 'tap';
import { pinnedPagesOf } from '../../devfs/index.js';
import type { QpInit, QueuePair } from '../../src/core/objects.js';
import {
  QpAttr as A,
  type QpAttributes,
  QpCreateFlag,
  QpType,
  QpState as S,
} from '../../src/core/objects.js';
import { resetAttributes } from '../../src/mlx4/qp-state.js';
import {
  addresses,
  BufferUdata,
  errorOf,
  type Hca,
  openHca,
  qpInit,
  qpInput,
  SMALL_QP,
} from './support/hca.js';
import { MemoryClient } from './support/memory-client.js';

const READ_WRITE = 2 | 4;
const NO_RECEIVES = { ...SMALL_QP, maxRecvWr: 0, maxRecvSge: 0 };
/** 64 entries of 64 bytes and 16 of 16 bytes: two pages; and one page of doorbell records. */
const PAGES_OF_QP = 3n;

const path = (change: Partial<QpAttributes['dest']>): QpAttributes['dest'] => ({
  ...resetAttributes().dest,
  portNum: 1,
  ...change,
});
const attributes = (change: Partial<QpAttributes>): QpAttributes => ({ ...resetAttributes(), ...change });

/** What each state of an RC connection needs. */
const RC_STEPS: [mask: number, given: Partial<QpAttributes>][] = [
  [
    A.STATE | A.PKEY_INDEX | A.PORT | A.ACCESS_FLAGS,
    { qpState: S.INIT, portNum: 1, qpAccessFlags: READ_WRITE },
  ],
  [
    A.STATE | A.AV | A.PATH_MTU | A.DEST_QPN | A.RQ_PSN | A.MAX_DEST_RD_ATOMIC | A.MIN_RNR_TIMER,
    {
      qpState: S.RTR,
      dest: path({ dlid: 3, sl: 2 }),
      pathMtu: 3,
      destQpNum: 0x2_0001,
      rqPsn: 7,
      maxDestRdAtomic: 5,
      minRnrTimer: 12,
    },
  ],
  [
    A.STATE | A.TIMEOUT | A.RETRY_CNT | A.RNR_RETRY | A.SQ_PSN | A.MAX_QP_RD_ATOMIC,
    { qpState: S.RTS, timeout: 14, retryCnt: 7, rnrRetry: 6, sqPsn: 9, maxRdAtomic: 0 },
  ],
];

t.test('queue pairs', async (t) => {
  const client = new MemoryClient();
  t.teardown(() => client.close());
  const memory = await client.map('rw', 16);
  const input = { buffer: memory, doorbell: memory + 15n * 4096n };

  function create(hca: Hca, init: Partial<QpInit> & { type: number }, udata = qpInput(input)): QueuePair {
    return hca.ops.createQp(hca.context, hca.pd, qpInit(init), new BufferUdata(udata));
  }
  const modifier =
    ({ ops }: Hca, qp: QueuePair) =>
    (mask: number, given: Partial<QpAttributes>): string =>
      errorOf(() => ops.modifyQp(qp, mask, attributes(given)));
  function connect(hca: Hca, qp: QueuePair, steps = RC_STEPS.length): void {
    for (const [mask, given] of RC_STEPS.slice(0, steps)) hca.ops.modifyQp(qp, mask, attributes(given));
  }

  t.test('numbers start behind the special ones, and answers say what the receive queue holds', async (t) => {
    const hca = openHca(client.pid);
    const qp = create(hca, { type: QpType.RC, cap: { ...SMALL_QP, maxRecvSge: 3 } });
    t.equal(qp.qpNum, 520);
    t.match(qp.cap, { maxSendWr: 31, maxRecvWr: 16, maxSendSge: 1, maxRecvSge: 4 });
    t.equal(pinnedPagesOf(client.pid), PAGES_OF_QP);
    hca.ops.destroyQp(qp);
    t.equal(pinnedPagesOf(client.pid), 0n);
    t.equal(create(hca, { type: QpType.UC }).qpNum, 521);
    hca.ops.destroyQp(create(hca, { type: QpType.XRC_INI, cap: NO_RECEIVES }));
  });

  t.test('what cannot be made leaves nothing behind', async (t) => {
    const hca = openHca(client.pid, { limits: { maxQp: 1 } });
    const held = pinnedPagesOf(client.pid);
    const fails = (init: Partial<QpInit> & { type: number }, udata?: Uint8Array): string =>
      errorOf(() => create(hca, init, udata));
    t.equal(fails({ type: QpType.DRIVER }), 'EOPNOTSUPP');
    t.equal(fails({ type: QpType.RC, createFlags: QpCreateFlag.SCATTER_FCS }), 'EOPNOTSUPP');
    t.equal(fails({ type: QpType.RC }, new Uint8Array(0)), 'EFAULT', 'no driver input');
    t.equal(fails({ type: QpType.XRC_INI }), 'EINVAL', 'receives');
    t.equal(fails({ type: QpType.RC }, qpInput({ ...input, logStride: 5 })), 'EINVAL');
    t.equal(fails({ type: QpType.RC }, qpInput({ ...input, buffer: 0n })), 'EFAULT');
    t.equal(fails({ type: QpType.RC }, qpInput({ ...input, doorbell: 0n })), 'EFAULT');
    const only = create(hca, { type: QpType.RC, createFlags: QpCreateFlag.BLOCK_MULTICAST_LOOPBACK });
    t.equal(fails({ type: QpType.RC }), 'ENOMEM');
    hca.ops.destroyQp(only);
    t.equal(pinnedPagesOf(client.pid), held);
  });

  t.test('an XRC target has no driver input, bit 23 in its number, and no context', async (t) => {
    const hca = openHca(client.pid);
    const xrcd = hca.ops.xrc?.allocXrcd(hca.context.device, new BufferUdata());
    const init = qpInit({ type: QpType.XRC_TGT, xrcd, cap: NO_RECEIVES });
    const target = hca.ops.createQp(hca.context, undefined, init, new BufferUdata());
    t.equal(target.qpNum, 0x80_0000 | 520);
    t.equal(target.context, undefined);
    t.equal(target.cap.maxRecvWr, 0);
    hca.ops.destroyQp(target);
    t.equal(hca.ops.createQp(hca.context, undefined, init, new BufferUdata()).qpNum, 0x80_0000 | 521);
  });

  t.test('a connection reads back as it was set up', async (t) => {
    const hca = openHca(client.pid);
    const qp = create(hca, { type: QpType.RC, sqSigAll: true });
    const query = () => hca.ops.queryQp(qp);
    t.match(query(), { qpState: S.RESET, curQpState: S.RESET, maxRecvWr: 16, maxSendWr: 0, maxRdAtomic: 0 });
    connect(hca, qp, 1);
    t.match(query(), { qpState: S.INIT, portNum: 1, maxRdAtomic: 1, maxDestRdAtomic: 1 });
    t.equal(query().qpAccessFlags, 2, 'without responder resources only writes');
    t.match(query().dest, { portNum: 1, dlid: 0 }, 'no path yet');
    for (const [mask, given] of RC_STEPS.slice(1)) hca.ops.modifyQp(qp, mask, attributes(given));
    t.equal(qp.state, S.RTS);
    t.match(query(), {
      qpState: S.RTS,
      dest: { dlid: 3, sl: 2, portNum: 1, isGlobal: 0 },
      pathMtu: 3,
      destQpNum: 0x2_0001,
      rqPsn: 7,
      sqPsn: 9,
      maxDestRdAtomic: 8,
      maxRdAtomic: 1,
      minRnrTimer: 12,
      timeout: 14,
      retryCnt: 7,
      rnrRetry: 6,
      qpAccessFlags: READ_WRITE,
      sqSigAll: 1,
    });
    t.equal(modifier(hca, qp)(A.STATE, { qpState: S.RESET }), '');
    t.match(query(), { qpState: S.RESET, destQpNum: 0, pathMtu: 0 });
    connect(hca, qp, 1);
    t.equal(query().destQpNum, 0, 'nothing is left of the old connection');
    hca.ops.destroyQp(qp);
  });

  t.test('a UD QP has an MTU of its own and no path', async (t) => {
    const hca = openHca(client.pid);
    const qp = create(hca, { type: QpType.UD });
    const modify = modifier(hca, qp);
    const mask = A.STATE | A.PKEY_INDEX | A.PORT | A.QKEY;
    t.equal(modify(mask, { qpState: S.INIT, portNum: 2, qkey: 0x1234 }), '');
    t.match(hca.ops.queryQp(qp), {
      pathMtu: 5,
      qkey: 0x1234,
      portNum: 2,
      altPortNum: 0,
      dest: { portNum: 0 },
    });
    hca.ops.destroyQp(qp);
  });

  t.test('attributes are checked in the order of the driver', async (t) => {
    const hca = openHca(client.pid, { limits: { pkeyTableLength: 4 } });
    const qp = create(hca, { type: QpType.RC });
    const modify = modifier(hca, qp);
    const [toInit = 0] = RC_STEPS[0] ?? [];
    t.equal(modify(A.RATE_LIMIT | A.STATE, { qpState: S.ERR }), 'EOPNOTSUPP', 'newer than the driver');
    t.equal(modify(A.STATE, { qpState: S.RESET }), '', 'RESET to RESET');
    t.equal(modify(A.STATE, { qpState: S.ERR }), 'EINVAL', 'not from RESET');
    t.equal(modify(toInit, { qpState: S.RTR, portNum: 1 }), 'EINVAL');
    t.equal(modify(toInit & ~A.PORT, { qpState: S.INIT }), 'EINVAL', 'no port');
    t.equal(modify(toInit | A.QKEY, { qpState: S.INIT, portNum: 1 }), 'EINVAL', 'a Q_Key');
    t.equal(modify(toInit, { qpState: S.INIT, portNum: 3 }), 'EINVAL', 'port 3');
    t.equal(modify(toInit, { qpState: S.INIT, portNum: 1, pkeyIndex: 4 }), 'EINVAL', 'P_Key 4 of 4');
    t.equal(modify(toInit, { qpState: S.INIT, portNum: 1, pkeyIndex: 3 }), '');
    const [toRtr = 0, connection = {}] = RC_STEPS[1] ?? [];
    t.equal(modify(toRtr, { ...connection, pathMtu: 0 }), 'EINVAL', 'MTU 0');
    t.equal(modify(toRtr, { ...connection, pathMtu: 6 }), 'EINVAL', 'MTU 6');
    t.equal(modify(toRtr, { ...connection, maxDestRdAtomic: 17 }), 'EINVAL', 'responder resources');
    t.equal(
      modify(toRtr, { ...connection, dest: path({ isGlobal: 1, sgidIndex: 128 }) }),
      'EINVAL',
      'GID 128',
    );
    t.equal(qp.state, S.INIT);
    t.equal(modify(toRtr, connection), '');
    const [toRts = 0, flow = {}] = RC_STEPS[2] ?? [];
    t.equal(modify(toRts, { ...flow, maxRdAtomic: 129 }), 'EINVAL', 'initiator depth');
    t.equal(modify(toRts | A.CUR_STATE, { ...flow, curQpState: S.RTS }), 'EINVAL', 'no such step from RTS');
    t.equal(modify(toRts | A.CUR_STATE, { ...flow, curQpState: S.RTR }), '');
    t.equal(modify(A.STATE | A.CUR_STATE, { qpState: S.RTS, curQpState: S.SQD }), 'EINVAL', 'it is in RTS');
    t.equal(qp.state, S.RTS);
    hca.ops.destroyQp(qp);
  });

  t.test('draining and failing are told to the client', async (t) => {
    const hca = openHca(client.pid);
    const udata = new BufferUdata(addresses(memory, input.doorbell), 8);
    const srq = hca.ops.createSrq(
      hca.pd,
      { type: 0, maxWr: 15, maxSge: 1, srqLimit: 0, xrcd: undefined, cq: undefined },
      udata,
    );
    const qp = create(hca, { type: QpType.RC, srq, cap: NO_RECEIVES });
    const events: number[] = [];
    qp.onEvent = (type) => events.push(type);
    connect(hca, qp);
    const modify = modifier(hca, qp);
    t.equal(modify(A.STATE | A.EN_SQD_ASYNC_NOTIFY, { qpState: S.SQD, enSqdAsyncNotify: 1 }), '');
    t.equal(modify(A.STATE, { qpState: S.RTS }), '');
    t.equal(modify(A.STATE, { qpState: S.SQD }), '', 'this time without notice');
    t.equal(modify(A.STATE, { qpState: S.ERR }), '');
    t.equal(modify(A.STATE, { qpState: S.ERR }), '');
    t.same(events, [5, 16], 'SQ_DRAINED, LAST_WQE_REACHED');
    hca.ops.destroyQp(qp);
    hca.ops.destroySrq(srq);
  });

  t.test('raw packets need an Ethernet port', async (t) => {
    for (const [linkLayer, error] of [
      ['infiniband', 'EINVAL'],
      ['ethernet', ''],
    ] as const) {
      const hca = openHca(client.pid, { linkLayer });
      const qp = create(hca, { type: QpType.RAW_PACKET });
      t.equal(modifier(hca, qp)(A.STATE | A.PORT, { qpState: S.INIT, portNum: 1 }), error, linkLayer);
      hca.ops.destroyQp(qp);
    }
  });

  t.test('a path over Ethernet needs a GRH', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const qp = create(hca, { type: QpType.RC });
    connect(hca, qp, 1);
    const [toRtr = 0, connection = {}] = RC_STEPS[1] ?? [];
    const modify = modifier(hca, qp);
    t.equal(modify(toRtr, connection), 'EINVAL');
    t.equal(modify(toRtr, { ...connection, dest: path({ isGlobal: 1, sl: 9, hopLimit: 64 }) }), '');
    t.match(hca.ops.queryQp(qp).dest, { isGlobal: 1, sl: 1, hopLimit: 64 });
    hca.ops.destroyQp(qp);
  });

  t.test('shared receive queues have a limit, but no other size', async (t) => {
    const hca = openHca(client.pid);
    const make = (change: object, udata = new BufferUdata(addresses(memory, input.doorbell), 8)) =>
      hca.ops.createSrq(
        hca.pd,
        { type: 0, maxWr: 100, maxSge: 1, srqLimit: 5, xrcd: undefined, cq: undefined, ...change },
        udata,
      );
    const held = pinnedPagesOf(client.pid);
    t.equal(
      errorOf(() => make({ type: 2 })),
      'EOPNOTSUPP',
    );
    t.equal(
      errorOf(() => make({ maxWr: 16384 })),
      'EINVAL',
    );
    t.equal(
      errorOf(() => make({ maxSge: 32 })),
      'EINVAL',
    );
    t.equal(
      errorOf(() => make({}, new BufferUdata())),
      'EFAULT',
    );
    t.equal(
      errorOf(() => make({}, new BufferUdata(addresses(memory, input.doorbell)))),
      'EFAULT',
      'no output',
    );
    t.equal(pinnedPagesOf(client.pid), held);
    const udata = new BufferUdata(addresses(memory, input.doorbell), 8);
    const srq = make({}, udata);
    t.equal(udata.output[0], srq.srqn);
    t.same(hca.ops.querySrq(srq), { maxWr: 127, maxSge: 1, srqLimit: 0 });
    const modify = (mask: number, srqLimit: number) =>
      errorOf(() => hca.ops.modifySrq(srq, mask, { maxWr: 50, srqLimit }));
    t.equal(modify(1, 0), 'EINVAL');
    t.equal(modify(2, 128), 'EINVAL');
    t.equal(modify(2, 127), '');
    t.equal(hca.ops.querySrq(srq).srqLimit, 127);
    hca.ops.destroySrq(srq);
    t.equal(pinnedPagesOf(client.pid), held);
  });
});
