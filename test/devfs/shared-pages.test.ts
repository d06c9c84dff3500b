import t from 'tap';
import { hex, u32 } from './support/clients.js';
import { Toy } from './support/toy.js';
import { PAGES } from './support/toy-device.js';

const toy = await Toy.mount(t);
const SIZE = PAGES * 4096;

t.test('a store of the client is seen by the daemon, and the reverse', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  const words = new Uint32Array(toy.device.file().pages.buffer);
  t.equal(words.byteLength, SIZE);
  t.ok(words.every((word) => word === 0));
  const { map } = await door.ask('mmap', fd, 0, SIZE, 'rw', 'shared');
  await door.ask('store32', map!, 4096 + 8, 0x12345678);
  t.equal(words[1024 + 2], 0x12345678);
  words[3] = 0xcafe;
  t.strictSame(await door.ask('load32', map!, 12), { value: 0xcafe });
  const second = await door.ask('mmap', fd, 1, 4096, 'r', 'shared');
  t.strictSame(await door.ask('load32', second.map!, 8), { value: 0x12345678 }, 'an offset in pages');

  await door.ask('close', fd);
  words[3] = 0xbeef;
  t.strictSame(await door.ask('load32', map!, 12), { value: 0xbeef }, 'a mapping outlives the descriptor');
});

t.test('each open has pages of its own', async (t) => {
  const door = await toy.door(t);
  const other = await toy.door(t);
  const maps = [];
  for (const client of [door, door, other]) {
    const fd = await client.open(toy.path());
    maps.push({ client, ...(await client.ask('mmap', fd, 0, SIZE, 'rw', 'shared')) });
  }
  for (const [index, { client, map }] of maps.entries()) await client.ask('store32', map!, 0, index + 1);
  for (const [index, { client, map }] of maps.entries())
    t.strictSame(await client.ask('load32', map!, 0), { value: index + 1 });
});

t.test('beyond the pages is SIGBUS, for the client alone', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  const { map } = await door.ask('mmap', fd, 0, SIZE + 4096, 'rw', 'shared');
  t.strictSame(await door.ask('store32', map!, SIZE, 1), { signal: 'SIGBUS' });
  t.strictSame(await door.ask('store32', map!, SIZE - 4, 1), { result: 0 });
});

/** `peek` of 4096 bytes at a place of the client. */
const peek = (place: string): string => `${hex('p')}000000${u32(4096)}${place}`;

t.test('a mapping of our own files as the memory that a command names', async (t) => {
  const door = await toy.door(t);
  const device = await door.open(toy.path());
  const made = await door.ask('write', device, '6d04-000000000000-@R', 8);
  const files = {
    attribute: await door.open(toy.path('attributes/text'), 'rdonly'),
    descriptor: Number.parseInt(made.response!.slice(0, 2), 16),
  };
  for (const [name, fd] of Object.entries(files)) {
    for (const kind of ['private', 'shared']) {
      const { map } = await door.ask('mmap', fd, 0, 4096, 'r', kind);
      if (map === undefined) continue; // a descriptor cannot be mapped shared
      t.strictSame(
        await door.ask('write', device, peek(`@M:${map};`)),
        { result: -1, errno: 'EFAULT' },
        `${name} ${kind}`,
      );
      t.strictSame(await door.ask('load32', map!, 0), { signal: 'SIGBUS' }, `${name} ${kind}`);
    }
  }
  // Where nothing is mapped, the kernel asks the daemon for the page while the daemon itself waits for it.
  const pipe = await door.open(toy.path('pipe'));
  const { map: asking } = await door.ask('mmap', pipe, 0, 4096, 'rw', 'private');
  const { map: told } = await door.ask('mmap', pipe, 0, 4096, 'rw', 'private');
  await door.ask('write', pipe, `${hex('e')}${hex('x'.repeat(20))}`);
  const other = await toy.door(t);
  const waiting = await door.start('write', device, peek(`@M:${asking};`));
  t.ok((await other.open(toy.path())) >= 0, 'others get their turn');
  t.strictSame(await door.wait(waiting), { result: -1, errno: 'EFAULT' }, 'device without pages');
  t.strictSame(await door.ask('load32', told!, 0), { signal: 'SIGBUS' });
  t.match(await door.ask('read', pipe, 64), { result: 20 }, 'which takes no message');

  const { map } = await door.ask('mmap', device, 0, 4096, 'rw', 'private');
  await door.ask('store32', map!, 0, 7);
  t.equal((await door.ask('write', device, peek(`@M:${map};`))).result, 16, 'private pages of the device');
  t.match(await door.ask('read', device, 4096), { result: 4096, data: /^07000000/ });
  t.equal(new Uint32Array(toy.device.file().pages.buffer)[0], 0);
});

t.test('bad memory of the caller', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  for (const place of ['@U', '@Q', '0000000000800000', 'ffffffffffffffff'])
    t.strictSame(await door.ask('write', fd, peek(place)), { result: -1, errno: 'EFAULT' }, place);
  t.strictSame(await door.ask('write', fd, peek('@O')), { result: 16 }, 'a read-only page can be read');
  t.strictSame(await door.ask('write-at', fd, '@U', 16), { result: -1, errno: 'EFAULT' });
});
