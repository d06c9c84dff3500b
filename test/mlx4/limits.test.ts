import t from 'tap';
import { completeLimits } from '../../src/mlx4/limits.js';
import { BufferUdata, errorOf, openHca } from './support/hca.js';

t.test('what is not given is that of a ConnectX-3', async (t) => {
  const limits = completeLimits({ maxQp: 5 });
  t.equal(limits.maxQp, 5);
  t.equal(limits.maxCqe, 4194303);
});

t.test('what the adapter cannot have is refused with a sentence', async (t) => {
  t.throws(() => completeLimits({ maxQp: 262144 }), {
    message: 'max_qp must be a whole number from 1 to 261624, not 262144',
  });
  t.throws(() => completeLimits({ maxPd: 0 }), { message: /^max_pd must be/ });
  t.throws(() => completeLimits({ maxCq: 1.5 }), { message: /^max_cq must be/ });
  t.throws(() => completeLimits({ maxRwqIndirectionTableSize: 3 }), { message: /must be a power of two/ });
});

t.test('clients see the limits, and ENOMEM at them', async (t) => {
  const { ops, context } = openHca(process.pid, { limits: { maxPd: 2, maxMr: 1 } });
  t.equal(ops.queryDevice().base.maxPd, 2);
  const allocate = () => ops.allocPd(context, new BufferUdata(undefined, 8));
  const second = allocate();
  t.equal(errorOf(allocate), 'ENOMEM');
  ops.deallocPd(second);
  t.equal(errorOf(allocate), '');
  const window = ops.memoryWindows?.allocMw(second, 1, new BufferUdata());
  t.equal(
    errorOf(() => ops.memoryWindows?.allocMw(second, 2, new BufferUdata())),
    'ENOMEM',
  );
  if (window) ops.memoryWindows?.deallocMw(window);
  t.equal(
    errorOf(() => ops.memoryWindows?.allocMw(second, 3, new BufferUdata())),
    'EINVAL',
  );
});

t.test('a PD whose number cannot be told to the client is not there', async (t) => {
  const { ops, context } = openHca(process.pid, { limits: { maxPd: 2 } });
  t.equal(
    errorOf(() => ops.allocPd(context, new BufferUdata())),
    'EFAULT',
  );
  const udata = new BufferUdata(undefined, 8);
  ops.allocPd(context, udata);
  t.same([...udata.output.subarray(4)], [0, 0, 0, 0]);
});
