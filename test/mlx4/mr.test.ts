/** Memory regions: rights, keys, re-registration. */
import t from 'tap';
import { pinnedPagesOf } from '../../devfs/index.js';
import type { Rereg } from '../../src/core/device-ops.js';
import type { MemoryRegion } from '../../src/core/objects.js';
import { BufferUdata, errorOf, openHca } from './support/hca.js';
import { MemoryClient } from './support/memory-client.js';

const LOCAL_WRITE = 1;
const REMOTE_READ = 4;

t.test('memory regions', async (t) => {
  const client = new MemoryClient();
  t.teardown(() => client.close());
  const { ops, context, pd } = openHca(client.pid);
  const register = (start: bigint, length: bigint, access: number): MemoryRegion =>
    ops.regUserMr(pd, { start, length, iova: start, access }, new BufferUdata());
  const errorOfRereg = (mr: MemoryRegion, change: Rereg): string =>
    errorOf(() => ops.reregUserMr(mr, change, new BufferUdata()));

  t.test('lkey and rkey are the same, and no two regions share one', async (t) => {
    const at = await client.map('rw', 1);
    const [one, other] = [register(at, 100n, LOCAL_WRITE), register(at, 100n, LOCAL_WRITE)];
    t.equal(one.lkey, one.rkey);
    t.equal(one.lkey & 0xff, 0);
    t.not(one.lkey, other.lkey);
    for (const mr of [one, other]) ops.deregMr(mr);
    t.equal(pinnedPagesOf(client.pid), 0n);
  });

  t.test('read-only memory in one mapping can be read, and gets no other rights later', async (t) => {
    const at = await client.map('ro', 2);
    t.equal(
      errorOf(() => register(at, 8192n, LOCAL_WRITE)),
      'EFAULT',
    );
    const mr = register(at, 8192n, REMOTE_READ);
    t.equal(errorOfRereg(mr, { access: LOCAL_WRITE }), 'EACCES');
    const translation = { start: at, length: 4096n, iova: at };
    t.equal(errorOfRereg(mr, { access: LOCAL_WRITE, translation }), 'EPERM');
    t.equal(errorOfRereg(mr, { translation }), '');
    t.equal(mr.length, 4096n);
    ops.deregMr(mr);
  });

  t.test('over several mappings memory is pinned for writing, or not at all', async (t) => {
    const at = await client.ask('split ro 1');
    t.equal(
      errorOf(() => register(at, 8192n, REMOTE_READ)),
      'EFAULT',
    );
    ops.deregMr(register(at, 4096n, REMOTE_READ));
  });

  t.test('writable memory can be given more rights, and moved, under its old keys', async (t) => {
    const at = await client.map('rw', 4);
    const mr = register(at, 4096n, 0);
    const { lkey } = mr;
    const other = ops.allocPd(context, new BufferUdata(undefined, 8));
    const translation = { start: at + 4096n, length: 8192n, iova: 0x1000n };
    t.equal(errorOfRereg(mr, { access: LOCAL_WRITE, pd: other, translation }), '');
    t.match(mr, { lkey, access: LOCAL_WRITE, start: at + 4096n, length: 8192n, iova: 0x1000n });
    t.equal(mr.pd, other);
    t.equal(pinnedPagesOf(client.pid), 2n);
    ops.deregMr(mr);
    t.equal(pinnedPagesOf(client.pid), 0n);
  });

  t.test('a change that fails changes nothing', async (t) => {
    const at = await client.map('rw', 1);
    const mr = register(at, 4096n, LOCAL_WRITE);
    const translation = { start: 0n, length: 4096n, iova: 0n };
    t.equal(errorOfRereg(mr, { access: 0, translation }), 'EFAULT');
    t.match(mr, { start: at, access: LOCAL_WRITE });
    mr.users = 1;
    t.equal(errorOfRereg(mr, { access: 0 }), 'EBUSY', 'a window is bound');
    ops.deregMr(mr);
    t.equal(pinnedPagesOf(client.pid), 0n);
  });

  t.test('a region that finds no key leaves nothing behind', async (t) => {
    const few = openHca(client.pid, { limits: { maxMr: 1 } });
    const at = await client.map('rw', 1);
    const request = { start: at, length: 4096n, iova: at, access: LOCAL_WRITE };
    const mr = few.ops.regUserMr(few.pd, request, new BufferUdata());
    t.equal(
      errorOf(() => few.ops.regUserMr(few.pd, request, new BufferUdata())),
      'ENOMEM',
    );
    t.equal(pinnedPagesOf(client.pid), 1n);
    few.ops.deregMr(mr);
  });
});
