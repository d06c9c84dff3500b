/** What only Ethernet ports have: receive side scaling and flow steering; and multicast groups, which all have. */
import t from 'tap';
import { pinnedPagesOf } from '../../devfs/index.js';
import { GidType, LinkLayer } from '../../src/core/attributes.js';
import {
  type CompletionQueue,
  QpAttr,
  QpState,
  QpType,
  type QueuePair,
  type RwqIndTable,
  type WorkQueue,
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

t.test('an Ethernet device says so', async (t) => {
  const { ops } = openHca(process.pid, { linkLayer: 'ethernet' });
  const { base, rssCaps, maxWqTypeRq } = ops.queryDevice();
  t.equal(base.deviceCapFlags, 0x25361c66);
  t.same(rssCaps, {
    supportedQpts: 1 << 8,
    maxRwqIndirectionTables: 131000,
    maxRwqIndirectionTableSize: 128,
  });
  t.equal(maxWqTypeRq, 131000);
  t.match(ops.queryPort(1), {
    linkLayer: LinkLayer.ETHERNET,
    lid: 0,
    smLid: 0,
    pkeyTblLen: 1,
    portCapFlags: 0x04010000,
    activeMtu: 3,
  });
  const gid = ops.queryGid(1, 0);
  t.equal(Buffer.from(gid?.gid ?? []).toString('hex'), 'fe800000000000000202c9fffea1b2c1');
  t.equal(gid?.type, GidType.ROCE_V1);
  t.equal(ops.queryGid(1, 1), undefined);
});

t.test('an InfiniBand device has no receive side scaling, and flow steering if asked for', async (t) => {
  const { ops } = openHca(process.pid);
  t.equal(ops.queryDevice().base.deviceCapFlags, 0x05361c76);
  t.equal(ops.rss, undefined);
  t.equal(ops.flows, undefined);
  const steering = openHca(process.pid, { flowSteering: true }).ops;
  t.equal(steering.queryDevice().base.deviceCapFlags, 0x25361c76);
  t.ok(steering.flows);
});

t.test('objects of an Ethernet device', async (t) => {
  const client = new MemoryClient();
  t.teardown(() => client.close());
  const memory = await client.map('rw', 64);
  const doorbell = memory + 63n * 4096n;

  /** mlx4_ib_create_wq. */
  function wqInput(logRangeSize: number): Uint8Array {
    const bytes = new Uint8Array(24);
    bytes.set(addresses(memory, doorbell));
    bytes[16] = logRangeSize;
    return bytes;
  }
  const cqOf = ({ ops, context }: Hca): CompletionQueue =>
    ops.createCq(
      context,
      { cqe: 7, compVector: 0, flags: 0 },
      new BufferUdata(addresses(memory, doorbell), 8),
    );
  const wqInit = (cq: CompletionQueue) => ({ type: 0, maxWr: 10, maxSge: 1, createFlags: 0, cq });

  function rssOf({ ops }: Hca) {
    if (ops.rss === undefined) throw new Error('the device has no receive side scaling');
    return ops.rss;
  }

  /** A table of four WQs of one range. */
  function tableOf(hca: Hca): { wqs: WorkQueue[]; table: RwqIndTable } {
    const rss = rssOf(hca);
    const cq = cqOf(hca);
    const wqs = [2, 0, 0, 0].map((log) => rss.createWq(hca.pd, wqInit(cq), new BufferUdata(wqInput(log))));
    return { wqs, table: rss.createRwqIndTable(hca.context, 2, wqs, new BufferUdata()) };
  }

  /** mlx4_ib_create_qp_rss. */
  function rssInput(fields: number, change: Record<number, number> = { 8: 1 }): Uint8Array {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setUint32(0, fields, true);
    for (const [offset, value] of Object.entries(change)) bytes[Number(offset)] = value;
    return bytes;
  }
  function rssQp(
    { ops, context, pd }: Hca,
    indTable: RwqIndTable,
    input: Uint8Array,
    type = QpType.RAW_PACKET as number,
  ): QueuePair {
    const cap = { ...SMALL_QP, maxSendWr: 0, maxRecvWr: 0 };
    return ops.createQp(context, pd, qpInit({ type, indTable, cap }), new BufferUdata(input));
  }

  t.test(
    'work queue numbers of a range are consecutive and aligned, and a range is filled first',
    async (t) => {
      const hca = openHca(client.pid, { linkLayer: 'ethernet' });
      const rss = rssOf(hca);
      const cq = cqOf(hca);
      const make = (log: number) => rss.createWq(hca.pd, wqInit(cq), new BufferUdata(wqInput(log)));
      const first = make(2);
      t.equal(first.wqNum % 4, 0);
      t.equal(first.maxWr, 16, 'the ring, not what was asked for');
      t.equal(
        errorOf(() => make(2)),
        'EINVAL',
        'the range has room',
      );
      const rest = [make(0), make(0), make(0)];
      t.same(
        rest.map(({ wqNum }) => wqNum - first.wqNum),
        [1, 2, 3],
      );
      rss.destroyWq(rest[2] as WorkQueue);
      t.ok(make(0).wqNum >= first.wqNum + 4, 'a range that lost a number gives no more');
    },
  );

  t.test('work queues that the kernel does not make', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const rss = rssOf(hca);
    const cq = cqOf(hca);
    const held = pinnedPagesOf(client.pid);
    const fails = (udata: BufferUdata, change: object = {}): string =>
      errorOf(() => rss.createWq(hca.pd, { ...wqInit(cq), ...change }, udata));
    t.equal(fails(new BufferUdata(wqInput(0).subarray(0, 23))), 'EINVAL', 'short');
    t.equal(fails(new BufferUdata(wqInput(0), 8)), 'EOPNOTSUPP', 'with output');
    t.equal(fails(new BufferUdata(Uint8Array.of(...wqInput(0), 1))), 'EOPNOTSUPP', 'unknown input');
    t.equal(fails(new BufferUdata(wqInput(8))), 'EOPNOTSUPP', 'a range of 256');
    t.equal(fails(new BufferUdata(wqInput(0)), { type: 1 }), 'EOPNOTSUPP');
    t.equal(fails(new BufferUdata(wqInput(0)), { createFlags: 1 }), 'EOPNOTSUPP');
    t.equal(fails(new BufferUdata(wqInput(0)), { maxSge: 0 }), 'EINVAL');
    t.equal(pinnedPagesOf(client.pid), held);
  });

  t.test('a table is of consecutive work queues from an aligned one', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const rss = rssOf(hca);
    const { wqs } = tableOf(hca);
    const make = (logSize: number, of: WorkQueue[], udata = new BufferUdata()) =>
      errorOf(() => rss.createRwqIndTable(hca.context, logSize, of, udata));
    const [a, b, c] = wqs as [WorkQueue, WorkQueue, WorkQueue];
    t.equal(make(1, [a, b]), '');
    t.equal(make(1, [b, c]), 'EINVAL', 'not aligned');
    t.equal(make(1, [a, c]), 'EINVAL', 'not consecutive');
    t.equal(make(8, wqs), 'EINVAL', 'too large');
    t.equal(make(1, [a, b], new BufferUdata(Uint8Array.of(1))), 'EOPNOTSUPP');
    t.equal(make(1, [a, b], new BufferUdata(undefined, 4)), 'EINVAL');
    const udata = new BufferUdata(undefined, 8);
    t.equal(make(1, [a, b], udata), '');
    t.equal(udata.output[0], 4);
  });

  t.test('an RSS QP hashes pairs of fields, receives only, and is asked nothing', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const { table } = tableOf(hca);
    const make = (input: Uint8Array, type?: number) => errorOf(() => rssQp(hca, table, input, type));
    t.equal(make(rssInput(0x3f)), '', 'addresses and TCP ports');
    t.equal(make(rssInput(0x1)), 'EOPNOTSUPP', 'a source alone');
    t.equal(make(rssInput(0x30)), 'EOPNOTSUPP', 'ports alone');
    t.equal(make(rssInput(0x80000003)), 'EOPNOTSUPP', 'inner headers');
    t.equal(make(rssInput(0x3, { 8: 0 })), 'EOPNOTSUPP', 'no hash function');
    t.equal(make(rssInput(0x3, { 8: 1, 9: 1 })), 'EOPNOTSUPP', 'reserved');
    t.equal(make(rssInput(0x3).subarray(0, 63)), 'EINVAL', 'short');
    t.equal(make(rssInput(0x3), QpType.UD), 'EOPNOTSUPP');
    const qp = rssQp(hca, table, rssInput(0x3));
    t.equal(
      errorOf(() => hca.ops.queryQp(qp)),
      'EOPNOTSUPP',
    );
  });

  t.test('a work queue belongs to the port of its first RSS QP', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const { table, wqs } = tableOf(hca);
    const [first, second] = [rssQp(hca, table, rssInput(0x3)), rssQp(hca, table, rssInput(0x3))];
    const modify = (qp: QueuePair, mask: number, qpState: QpState, portNum = 0) =>
      errorOf(() => hca.ops.modifyQp(qp, mask, { ...resetAttributes(), qpState, portNum }));
    const { STATE, PORT } = QpAttr;
    t.equal(modify(first, STATE | PORT, QpState.INIT, 1), '');
    t.equal(modify(second, STATE | PORT, QpState.INIT, 2), 'EINVAL');
    t.equal(modify(second, STATE | PORT, QpState.INIT, 1), '');
    t.equal(modify(first, STATE, QpState.RTR), '');
    t.equal(modify(first, STATE, QpState.RTS), 'EOPNOTSUPP');
    const toReady = (state: number, currentState: number, mask = 1): string =>
      errorOf(() =>
        rssOf(hca).modifyWq(
          wqs[0] as WorkQueue,
          mask,
          { state, currentState, flags: 0, flagsMask: 0 },
          new BufferUdata(new Uint8Array(8)),
        ),
      );
    t.equal(toReady(1, 0), '');
    t.match(wqs[0], { state: 1, hardwareState: 1 });
    t.equal(toReady(1, 2), 'EINVAL');
    t.equal(toReady(2, 0), 'EINVAL');
    t.equal(toReady(1, 0, 4), 'EOPNOTSUPP');
    hca.ops.destroyQp(first);
    hca.ops.destroyQp(second);
    t.match(wqs[0], { rssUsers: 0 });
  });

  t.test('flow rules match what the adapter can', async (t) => {
    const hca = openHca(client.pid, { linkLayer: 'ethernet' });
    const qp = hca.ops.createQp(
      hca.context,
      hca.pd,
      qpInit({ type: QpType.RAW_PACKET }),
      new BufferUdata(qpInput({ buffer: memory, doorbell })),
    );
    const spec = (type: number, ...mask: number[]) => ({
      type,
      value: new Uint8Array(16),
      mask: Uint8Array.of(...mask),
    });
    const make = (change: object): string =>
      errorOf(() => {
        const attributes = { type: 0, priority: 0, port: 1, flags: 0, specs: [], ...change };
        const flow = hca.ops.flows?.createFlow(qp, attributes);
        if (flow) hca.ops.flows?.destroyFlow(flow);
      });
    const ipv4 = [255, 255, 255, 255, 0, 0, 0, 0];
    t.equal(make({ specs: [spec(0x20), spec(0x30, ...ipv4)] }), '');
    t.equal(make({ specs: [spec(0x30, ...ipv4, 1)] }), 'EINVAL', 'the protocol');
    t.equal(make({ specs: [spec(0x31)] }), 'EINVAL', 'IPv6');
    t.equal(make({ port: 3 }), 'EINVAL');
    t.equal(make({ type: 4 }), 'EINVAL');
    t.equal(make({ priority: 0x1000 }), 'EINVAL');
    t.equal(make({ flags: 1 }), 'EOPNOTSUPP');
    t.equal(make({ flags: 2, type: 1 }), 'EOPNOTSUPP');
    t.equal(make({ flags: 2, priority: 1 }), 'EOPNOTSUPP');
    t.equal(make({ flags: 2, specs: [spec(0x20, 1)] }), '');
    t.equal(make({ flags: 2, specs: [spec(0x20, 3)] }), 'EINVAL');
    t.equal(make({ flags: 2, specs: [spec(0x30)] }), 'EINVAL');
  });

  t.test('groups and their members are limited, and a QP that goes leaves its groups', async (t) => {
    const hca = openHca(client.pid, { limits: { maxMcastGrp: 1, maxMcastQpAttach: 2 } });
    const udQp = () =>
      hca.ops.createQp(
        hca.context,
        hca.pd,
        qpInit({ type: QpType.UD }),
        new BufferUdata(qpInput({ buffer: memory, doorbell })),
      );
    const group = (last: number) => {
      const gid = new Uint8Array(16).fill(0xff);
      gid[15] = last;
      return { gid, lid: 0xc001 };
    };
    const [a, b, c] = [udQp(), udQp(), udQp()];
    const attach = (qp: QueuePair, last: number) => errorOf(() => hca.ops.attachMcast(qp, group(last)));
    const detach = (qp: QueuePair, last: number) => errorOf(() => hca.ops.detachMcast(qp, group(last)));
    t.equal(attach(a, 1), '');
    t.equal(attach(a, 1), '', 'again');
    t.equal(attach(b, 1), '');
    t.equal(attach(c, 1), 'ENOMEM', 'members');
    t.equal(attach(c, 2), 'ENOMEM', 'groups');
    t.equal(detach(c, 1), 'EINVAL');
    t.equal(detach(a, 1), '');
    t.equal(detach(a, 1), 'EINVAL');
    hca.ops.destroyQp(b);
    t.equal(attach(c, 2), '', 'the first group is gone');
  });
});
