/** Completion queues: what is in the client's memory after they are made and resized. */
import t from 'tap';
import { copyFromUser, pinnedPagesOf } from '../../devfs/index.js';
import type { CompletionQueue } from '../../src/core/objects.js';
import type { Mlx4Cq } from '../../src/mlx4/cq.js';
import { addresses, BufferUdata, errorOf, openHca } from './support/hca.js';
import { Arena, MemoryClient } from './support/memory-client.js';

const CQE = 32;

/** The client's view: entry `index` holds something iff the owner bit of its slot is that of its round. */
function isValid(ring: Buffer, index: number, entries: number): boolean {
  const owner = (ring[(index % entries) * CQE + 31] ?? 0) >> 7;
  return owner === Math.floor(index / entries) % 2;
}

t.test('completion queues', async (t) => {
  const client = new MemoryClient();
  t.teardown(() => client.close());
  const { ops, context } = openHca(client.pid, { limits: { maxCq: 3, maxCqe: 100000 } });
  const arena = new Arena(await client.map('rw', 16384));
  const doorbell = arena.take(4096);
  const create = (cqe: number, buffer: bigint, udata?: BufferUdata, flags = 0): CompletionQueue =>
    ops.createCq(
      context,
      { cqe, compVector: 0, flags },
      udata ?? new BufferUdata(addresses(buffer, doorbell), 8),
    );

  t.test('a new queue is empty, and one smaller than a power of two', async (t) => {
    const buffer = arena.take(128 * CQE);
    const udata = new BufferUdata(addresses(buffer, doorbell), 8);
    const cq = create(100, buffer, udata);
    t.equal(cq.cqe, 127);
    t.same([...udata.output], [128, 0, 0, 0, 0, 0, 0, 0], 'the number');
    t.ok(copyFromUser(client.pid, buffer, 128 * CQE).every((byte) => byte === 0xcc));
    t.equal(pinnedPagesOf(client.pid), 2n, 'its buffer, and the page of its doorbell record');
    ops.destroyCq(cq);
    t.equal(pinnedPagesOf(client.pid), 0n);
  });

  t.test('what cannot be made leaves nothing behind', async (t) => {
    const buffer = arena.take(4096);
    t.equal(
      errorOf(() => create(0, buffer)),
      'EINVAL',
    );
    t.equal(
      errorOf(() => create(100001, buffer)),
      'EINVAL',
    );
    t.equal(
      errorOf(() => create(7, buffer, undefined, 2)),
      'EINVAL',
    );
    t.equal(
      errorOf(() => create(7, buffer, new BufferUdata())),
      'EFAULT',
      'no driver input',
    );
    t.equal(
      errorOf(() => create(7, 0n)),
      'EFAULT',
      'no buffer',
    );
    t.equal(
      errorOf(() => create(7, buffer, new BufferUdata(addresses(buffer, 0n), 8))),
      'EFAULT',
      'no doorbell',
    );
    t.equal(
      errorOf(() => create(7, buffer, new BufferUdata(addresses(buffer, doorbell)))),
      'EFAULT',
      'no output',
    );
    t.equal(
      errorOf(() => create(7, buffer, undefined, 1)),
      '',
      'timestamps',
    );
    create(7, buffer);
    const last = create(7, buffer);
    t.equal(
      errorOf(() => create(7, buffer)),
      'ENOMEM',
    );
    ops.destroyCq(last);
    t.equal(pinnedPagesOf(client.pid), 3n);
  });

  t.test('the client finds the end of the old ring, and nothing behind it in the new one', async (t) => {
    for (const [entries, newEntries] of [
      [8, 32],
      [32, 8],
      [8, 65536],
    ] as const) {
      for (const produced of [0, 1, 7, 8, 20, 31, 32, 45, 64, 100]) {
        const [before, after] = [arena.take(entries * CQE), arena.take(newEntries * CQE)];
        const cq = create(entries - 1, before) as Mlx4Cq;
        // As if so many completions had been written, and all of them taken.
        cq.producerIndex = produced;
        const udata = new BufferUdata(addresses(after, 0n).subarray(0, 8));
        ops.resizeCq(cq, newEntries - 1, udata);
        t.equal(cq.cqe, newEntries - 1);
        const oldRing = copyFromUser(client.pid, before, entries * CQE);
        const newRing = copyFromUser(client.pid, after, newEntries * CQE);
        const end = (produced % entries) * CQE;
        const context = `${entries} to ${newEntries} after ${produced}`;
        t.equal((oldRing[end + 31] ?? 0) & 0x1f, 0x16, context);
        t.ok(isValid(oldRing, produced, entries), context);
        t.equal(cq.producerIndex, produced + 1);
        for (let index = produced + 1; index <= produced + newEntries; index++) {
          if (isValid(newRing, index, newEntries)) t.fail(`${context}: entry ${index} looks valid`);
        }
        ops.destroyCq(cq);
      }
    }
  });

  t.test('a resize to the same size reads nothing, and one that fails changes nothing', async (t) => {
    const buffer = arena.take(4096);
    const cq = create(63, buffer);
    const resize = (cqe: number, udata = new BufferUdata()) => errorOf(() => ops.resizeCq(cq, cqe, udata));
    const pinned = pinnedPagesOf(client.pid);
    t.equal(resize(40), '');
    t.equal(resize(0), 'EINVAL');
    t.equal(resize(100001), 'EINVAL');
    t.equal(resize(100), 'EFAULT');
    t.equal(resize(100, new BufferUdata(addresses(0n, 0n))), 'EFAULT');
    t.equal(cq.cqe, 63);
    t.equal(pinnedPagesOf(client.pid), pinned);
    ops.destroyCq(cq);
  });
});
