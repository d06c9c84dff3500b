import { promises as fs } from 'node:fs';
import t from 'tap';
import { eventually, hex } from './support/clients.js';
import { Toy } from './support/toy.js';

const mounted = async (toy: Toy): Promise<boolean> =>
  (await fs.readFile('/proc/self/mounts', 'utf8')).includes(` ${toy.mountpoint} `);

t.test('from outside, without clients', async (t) => {
  const toy = await Toy.mount(t);
  t.ok(await mounted(toy));
  await toy.shell('cd / && umount "$0"');
  t.ok(await eventually(() => toy.lost === 1), 'the session says so');
  toy.session.close();
  toy.session.close();
  t.equal(toy.lost, 1);
  t.match(toy.log, [{ level: 'warn', message: /the FUSE connection ended/ }]);
});

t.test('lazily, from outside: open files go on, and their end is the end', async (t) => {
  const toy = await Toy.mount(t);
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  await toy.shell('cd / && umount -l "$0"');
  t.strictSame(await door.ask('open', toy.path()), { result: -1, errno: 'ENOENT' });
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 });
  t.equal(toy.lost, 0);
  await door.ask('close', fd);
  t.ok(await eventually(() => toy.lost === 1));
  t.equal(toy.session.openHandles, 0);
});

t.test('by force, from outside: clients get errors', async (t) => {
  const toy = await Toy.mount(t);
  const door = await toy.door(t);
  const fd = await door.open(toy.path('pipe'));
  const file = toy.pipe.file();
  const job = await door.start('read', fd, 10);
  await eventually(() => file.sleepers === 1);
  await toy.shell('cd / && umount -f -l "$0"');
  t.match(await door.wait(job), { result: -1, errno: /ECONNABORTED|ENOTCONN/ });
  t.ok(await eventually(() => toy.lost === 1));
  t.equal(file.released, 1);
  t.equal(toy.session.openHandles, 0);
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: -1, errno: 'ENOTCONN' });
});

t.test('close: clients get errors, also those that wait, and the loop is free', async (t) => {
  const toy = await Toy.mount(t);
  const door = await toy.door(t);
  const pipe = await door.open(toy.path('pipe'));
  const fd = await door.open(toy.path());
  const file = toy.device.file();
  const { map } = await door.ask('mmap', fd, 0, 4096, 'rw', 'shared');
  const made = await door.ask('write', fd, '6d04-000000000000-@R', 4);
  const event = Number.parseInt(made.response!.slice(0, 2), 16);
  const jobs = [await door.start('read', pipe, 10), await door.start('poll', event, 60_000)];
  await eventually(() => toy.pipe.file().sleepers === 1);
  toy.session.close();
  t.match(await door.wait(jobs[0]!), { result: -1, errno: /ECONNABORTED|ENOTCONN/ });
  t.match(await door.wait(jobs[1]!), { result: 1, revents: 8 });
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: -1, errno: 'ENOTCONN' });
  await door.ask('store32', map!, 0, 5);
  t.equal(new Uint32Array(file.pages.buffer)[0], 5, 'mappings stay');
  t.equal(file.released, 1);
  t.equal(toy.device.mailboxes[0]!.released, 1);
  file.put('nobody reads this');
  toy.session.close();
  t.equal(toy.lost, 0, 'a close of our own is no loss');
  t.notOk(await mounted(toy));
});

t.test('close while an open waits in the device', async (t) => {
  const toy = await Toy.mount(t);
  const door = await toy.door(t);
  let go: (() => void) | undefined;
  toy.device.beforeOpen = () => new Promise<void>((resolve) => (go = resolve));
  const job = await door.start('open', toy.path());
  t.ok(await eventually(() => go !== undefined), 'the device has the open');
  toy.session.close();
  t.match(await door.wait(job), { result: -1, errno: /ECONNABORTED|ENOTCONN/ });
  go?.();
  t.ok(await eventually(() => toy.device.files.size === 0));
  t.equal(toy.session.openHandles, 0);
});

t.test('close while names are being removed and looked up', async (t) => {
  for (let i = 0; i < 20; i++) {
    const toy = await Toy.mount(t);
    const looking = toy.shell('for i in 1 2 3 4 5 6 7 8 9; do ls -lR . ; done');
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const name of [...toy.root.entries.keys()]) toy.root.remove(name);
    toy.session.close();
    await looking;
    await toy.session.forgotten();
  }
});

t.test('a mountpoint that is not there', async (t) => {
  const { Directory, Session, silentLog } = await import('../../devfs/index.js');
  t.throws(
    () =>
      Session.mount({
        mountpoint: '/nowhere/at/all',
        root: new Directory(),
        fsname: 'toy',
        clientDirectories: [],
        log: silentLog,
      }),
    /cannot mount FUSE at \/nowhere\/at\/all: ENOENT/,
  );
});
