import t from 'tap';
import { completeLimits } from '../../src/mlx4/limits.js';
import { qpLayout, receiveQueue, sendQueue, targetCapabilities } from '../../src/mlx4/qp-layout.js';
import { srqLayout } from '../../src/mlx4/srq.js';
import { errorOf } from './support/hca.js';

const limits = completeLimits({});
const receives = (maxRecvWr: number, maxRecvSge: number, inlineReceiveSize = 0) => ({
  maxRecvWr,
  maxRecvSge,
  inlineReceiveSize,
});

t.test('of the two queues the one with larger entries comes first, of equals the send queue', async (t) => {
  const sq = sendQueue(limits, 8, 6);
  const small = qpLayout(sq, receiveQueue(limits, receives(100, 1), true));
  t.same(small.sq, { entries: 256, logStride: 6, offset: 0 });
  t.same(small.rq, { entries: 128, logStride: 4, offset: 16384 });
  t.equal(small.bytes, 16384 + 2048);
  const equal = qpLayout(sq, receiveQueue(limits, receives(128, 4), true));
  t.same([equal.sq.offset, equal.rq.offset], [0, 16384]);
  const large = qpLayout(sq, receiveQueue(limits, receives(128, 5), true));
  t.same([large.rq.logStride, large.rq.offset, large.sq.offset], [7, 0, 16384]);
});

t.test('inline receives widen the entries of the receive queue', async (t) => {
  t.same(receiveQueue(limits, receives(4, 1, 64), true), { entries: 4, logStride: 6 });
  t.equal(
    errorOf(() => receiveQueue(limits, receives(4, 1, 513), true)),
    'EINVAL',
  );
});

t.test('receive queues have at least one receive and one SGE, and no more than the device', async (t) => {
  for (const [wr, sge] of [
    [0, 1],
    [1, 0],
    [16352, 1],
    [1, 33],
  ] as const) {
    t.equal(
      errorOf(() => receiveQueue(limits, receives(wr, sge), true)),
      'EINVAL',
      `${wr} with ${sge}`,
    );
  }
  t.same(receiveQueue(limits, receives(16351, 32), true), { entries: 16384, logStride: 9 });
});

t.test('without a receive queue there are no receives', async (t) => {
  t.same(receiveQueue(limits, receives(0, 1), false), { entries: 0, logStride: 0 });
  t.equal(
    errorOf(() => receiveQueue(limits, receives(1, 1), false)),
    'EINVAL',
  );
  t.equal(
    errorOf(() => receiveQueue(limits, receives(0, 0, 16), false)),
    'EINVAL',
  );
});

t.test('send queues have 64 to 1024 bytes an entry and up to 16384 entries', async (t) => {
  t.same(sendQueue(limits, 14, 10), { entries: 16384, logStride: 10 });
  for (const [entries, stride] of [
    [15, 6],
    [31, 6],
    [255, 6],
    [6, 5],
    [6, 11],
  ] as const) {
    t.equal(
      errorOf(() => sendQueue(limits, entries, stride)),
      'EINVAL',
      `2^${entries} of 2^${stride}`,
    );
  }
});

t.test('a smaller limit still leaves room for the entries that must stay unused', async (t) => {
  const few = completeLimits({ maxQpWr: 100 });
  t.equal(sendQueue(few, 8, 6).entries, 256);
  t.equal(
    errorOf(() => sendQueue(few, 9, 6)),
    'EINVAL',
  );
});

t.test('an XRC target is given the send limits of a queue that the kernel would make', async (t) => {
  const cap = { maxSendWr: 0, maxRecvWr: 0, maxSendSge: 0, maxRecvSge: 0, maxInlineData: 0 };
  t.same(targetCapabilities(limits, cap), { ...cap, maxSendWr: 63, maxSendSge: 1 });
  t.equal(
    errorOf(() => targetCapabilities(limits, { ...cap, maxInlineData: 1000 })),
    'EINVAL',
  );
});

t.test('an SRQ has one entry more than the client asks for, of at least 32 bytes', async (t) => {
  t.same(srqLayout(0, 0), { entries: 1, logStride: 5 });
  t.same(srqLayout(127, 1), { entries: 128, logStride: 5 });
  t.same(srqLayout(128, 31), { entries: 256, logStride: 9 });
});
