/** What of a client's memory may be pinned, and how much. */
import t from 'tap';
import { type Pinned, pinnedPagesOf, pinPages } from '../../devfs/index.js';
import { errorOf } from './support/hca.js';
import { MemoryClient } from './support/memory-client.js';

const PAGE = 4096n;

t.test('memory of a client', async (t) => {
  const client = new MemoryClient();
  t.teardown(() => client.close());
  const pin = (start: bigint, length: bigint, writable = false): Pinned =>
    pinPages(client.pid, { start, length, writable });
  const errorOfPin = (...request: Parameters<typeof pin>): string => errorOf(() => pin(...request).unpin());

  t.test('pages count until they are unpinned, once', async (t) => {
    const at = await client.map('rw', 4);
    const pinned = pin(at + 1n, PAGE, true);
    t.equal(pinned.pages, 2n);
    t.equal(pinnedPagesOf(client.pid), 2n);
    pinned.unpin();
    pinned.unpin();
    t.equal(pinnedPagesOf(client.pid), 0n);
  });

  t.test('a range that wraps or is empty is EINVAL, but within a page nothing is something', async (t) => {
    const at = await client.map('rw', 1);
    t.equal(errorOfPin(0xffff_ffff_ffff_f000n, 0x1000n), 'EINVAL');
    t.equal(errorOfPin(0xffff_ffff_ffff_f000n, 0xffff_ffff_ffff_ffffn), 'EINVAL');
    t.equal(errorOfPin(at, 0n), 'EINVAL');
    t.equal(errorOfPin(at + 8n, 0n), '');
  });

  t.test('what is not mapped, or not with these rights, is EFAULT', async (t) => {
    const [none, ro, split] = [
      await client.map('none', 2),
      await client.map('ro', 2),
      await client.ask('split ro 2'),
    ];
    t.equal(errorOfPin(0n, PAGE), 'EFAULT');
    t.equal(errorOfPin(none, PAGE), 'EFAULT');
    t.equal(errorOfPin(ro, 2n * PAGE), '');
    t.equal(errorOfPin(ro, 2n * PAGE, true), 'EFAULT');
    t.equal(errorOfPin(split, 2n * PAGE, true), '');
    t.equal(errorOfPin(split, 2n * PAGE + 1n, true), 'EFAULT');
    t.equal(errorOfPin(split, 4n * PAGE), '');
    t.equal(errorOfPin(0x7fff_ffff_f000n, PAGE), 'EFAULT');
  });

  t.test('pages of a file beyond its end are EFAULT', async (t) => {
    const at = await client.ask('map file 4 2');
    t.equal(errorOfPin(at, 2n * PAGE, true), '');
    t.equal(errorOfPin(at, 2n * PAGE + 1n, true), 'EFAULT');
  });

  t.test('a process that is gone has no memory', async (t) => {
    t.equal(
      errorOf(() => pinPages(0x3f_fff0, { start: PAGE, length: 1n, writable: false })),
      'EFAULT',
    );
  });

  t.test('without CAP_IPC_LOCK the limit of locked memory holds', async (t) => {
    const at = await client.map('rw', 16);
    await client.ask(`limit ${8n * PAGE}`);
    t.equal(errorOfPin(at, 16n * PAGE), '', 'root is not limited');
    await client.ask('drop');
    t.equal(errorOfPin(at, 9n * PAGE), 'ENOMEM');
    const held = pin(at, 5n * PAGE);
    t.equal(errorOfPin(at, 4n * PAGE), 'ENOMEM');
    t.equal(errorOfPin(at, 3n * PAGE), '');
    const replacement = pinPages(client.pid, {
      start: at,
      length: 8n * PAGE,
      writable: true,
      replaces: held,
    });
    t.equal(pinnedPagesOf(client.pid), 8n);
    t.equal(
      errorOf(() => pinPages(client.pid, { start: 0n, length: PAGE, writable: true, replaces: replacement })),
      'EFAULT',
    );
    t.equal(pinnedPagesOf(client.pid), 8n, 'a failed replacement changes nothing');
    replacement.unpin();
    await client.ask('limit 0');
    t.equal(errorOfPin(at, PAGE), 'EPERM');
    t.equal(pinnedPagesOf(client.pid), 0n);
  });
});
