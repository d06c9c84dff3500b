/** Whatever a client does to the files, it gets an answer, and the daemon goes on. */
import t from 'tap';
import { Attribute } from '../../devfs/index.js';
import { eventually, hex } from './support/clients.js';
import { Toy } from './support/toy.js';

const toy = await Toy.mount(t);

/** What must be refused, and with what; calls that are not listed may do what they like, but must return. */
const REFUSED: Record<string, RegExp> = {
  'open-directory': /^ENOTDIR$/,
  'open-tmpfile': /^EOPNOTSUPP$/,
  fallocate: /^(EOPNOTSUPP|ENODEV)$/,
  punch: /^(EOPNOTSUPP|ENODEV)$/,
  'seek-negative': /^EINVAL$/,
  clone: /^(EOPNOTSUPP|EXDEV|EINVAL|ENOTTY|EBADF)$/,
  getflags: /^ENOTTY$/,
  setxattr: /^EOPNOTSUPP$/,
  getxattr: /^EOPNOTSUPP$/,
  removexattr: /^EOPNOTSUPP$/,
  'chmod-directory': /^EPERM$/,
  'chown-directory': /^EPERM$/,
  execute: /^EACCES$/,
  'link-inside': /^EPERM$/,
  rename: /^EPERM$/,
  exchange: /^EPERM$/,
  symlink: /^EPERM$/,
  create: /^EPERM$/,
  'create-exclusive': /^EPERM$/,
  mknod: /^EPERM$/,
  mkfifo: /^EPERM$/,
  bind: /^EPERM$/,
  mkdir: /^EPERM$/,
  unlink: /^EPERM$/,
  rmdir: /^EPERM$/,
  'truncate-directory': /^EISDIR$/,
  'long-name': /^(ENAMETOOLONG|ENOENT)$/,
  close: /^0$/,
};

for (const [kind, path] of [
  ['device', 'toy'],
  ['attribute', 'attributes/text'],
] as const) {
  t.test(`system calls that a ${kind} is not for`, async (t) => {
    // Reads through the page cache (sendfile, readahead) cannot be interrupted, so they must not wait.
    toy.device.beforeOpen = () => {
      setImmediate(() => {
        for (const file of toy.device.files) file.read = (_call, count) => Buffer.alloc(count);
      });
    };
    const { stdout, stderr, code, signal } = await toy.run('toy-hostile', toy.path(path), toy.path('folder'));
    toy.device.beforeOpen = () => undefined;
    t.strictSame({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    const results = new Map(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ') as [string, string]),
    );
    for (const [call, expected] of Object.entries(REFUSED)) t.match(results.get(call), expected, call);
    t.comment([...results].map((result) => result.join(' ')).join(', '));
    const door = await toy.door(t);
    const fd = await door.open(toy.path());
    t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 }, 'the device still works');
    t.strictSame(await door.ask('read', fd, 10), { result: 1, data: hex('x') });
    t.strictSame(
      (await toy.shell('ls')).stdout,
      'attributes\nfolder\nlink\npipe\ntoy\n',
      'and nothing has changed',
    );
    await door.kill();
    t.ok(await eventually(() => toy.session.openHandles === 0), 'nothing is left open');
  });
}

t.test('a descriptor opened again through /proc stays a descriptor of the same open file', async (t) => {
  const door = await toy.door(t);
  const device = await door.open(toy.path());
  const made = await door.ask('write', device, '6d04-000000000000-@R', 4);
  const fd = Number.parseInt(made.response!.slice(0, 2), 16);
  const { pid } = await door.ask('pid');
  const again = await door.ask('open', `/proc/${pid}/fd/${fd}`, 'rdwr');
  const file = toy.device.mailboxes.at(-1)!;
  if (again.fd! >= 0) await door.ask('close', again.fd!);
  t.equal(file.released, 0, 'not released as long as the first is open');
  file.put('x');
  t.strictSame(await door.ask('read', fd, 10), { result: 1, data: hex('x') });
  await door.ask('close', fd);
  t.ok(await eventually(() => file.released === 1), 'released once');
});

t.test('handlers that throw what is no Errno', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  toy.log.length = 0;
  t.strictSame(await door.ask('write', fd, hex('bug')), { result: -1, errno: 'EIO' });
  toy.device.file().read = async () => {
    throw new TypeError('a bug of the toy');
  };
  t.strictSame(await door.ask('read', fd, 10), { result: -1, errno: 'EIO' });
  toy.device.file().poll = () => {
    throw new TypeError('a bug of the toy');
  };
  t.match(await door.ask('poll', fd, 0), { revents: 8 });
  toy.device.beforeOpen = () => {
    throw new TypeError('a bug of the toy');
  };
  t.strictSame(await door.ask('open', toy.path()), { result: -1, errno: 'EIO' });
  toy.device.beforeOpen = () => undefined;
  t.equal(
    toy.log.filter(({ level, message }) => level === 'error' && /a handler failed/.test(message)).length,
    4,
  );
  for (const { context } of toy.log) t.match(context, { err: TypeError, operation: String });
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 });
});

t.test('release and finished that throw', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  toy.log.length = 0;
  toy.device.onFinished = () => {
    throw new TypeError('a bug of the toy');
  };
  const made = await door.ask('write', fd, '6d04-000000000000-@R', 4);
  t.match(made, { result: 16 });
  toy.device.onFinished = () => {};
  toy.device.mailboxes.at(-1)!.release = () => {
    throw new TypeError('a bug of the toy');
  };
  await door.ask('close', Number.parseInt(made.response!.slice(0, 2), 16));
  t.ok(await eventually(() => toy.log.length === 2), 'both are logged');
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 });
});

t.test('sizes', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  t.strictSame(await door.ask('write-at', fd, '@B', 0), { result: 0 });
  t.strictSame(await door.ask('write-at', fd, '@B', 1 << 20), { result: 1 << 20 });
  const before = toy.device.writes;
  const megabyte = 'x'.repeat(1 << 20);
  toy.device.file().put(megabyte);
  t.strictSame(await door.ask('read-at', fd, '@B', 1 << 20), { result: 1 << 20 });
  toy.device.file().put(`${megabyte}y`);
  t.strictSame(await door.ask('read-at', fd, '@B', 1 << 20), { result: 1 << 20 });
  t.equal(toy.device.writes, before);
  toy.root.add('long', new Attribute(() => 'z'.repeat(100_000)));
  t.equal((await toy.shell('cat long | wc -c')).stdout.trim(), '100000');
});
