/** A node leaves the tree: what paths, caches, watches and open descriptors see of it. */
import t from 'tap';
import { Attribute, CharacterDevice, type Directory, Symlink } from '../../devfs/index.js';
import { eventually, hex, sleep } from './support/clients.js';
import { Toy } from './support/toy.js';
import { ToyDevice } from './support/toy-device.js';

const toy = await Toy.mount(t);

/** Adds one node of each kind below a directory of that name. */
function plant(name: string): Directory {
  const directory = toy.root.directory(name);
  directory.add('device', new ToyDevice().node);
  directory.add('attribute', new Attribute(() => 'x\n'));
  directory.add('link', new Symlink('attribute'));
  directory.directory('nested').add('deep', new Attribute(() => 'y\n'));
  return directory;
}

const NAMES = ['device', 'attribute', 'link', 'nested', 'nested/deep'];

t.test('removed names are gone at once, cached or not', async (t) => {
  for (const cached of [false, true]) {
    const directory = plant('plant');
    if (cached) {
      const { stdout } = await toy.shell('stat -c %n plant/* plant/nested/*');
      t.equal(stdout.split('\n').length, 6);
    }
    for (const name of [...directory.entries.keys()]) directory.remove(name);
    await toy.session.forgotten();
    for (const name of NAMES)
      t.match(
        (await toy.shell('stat "plant/$1"', name)).stderr,
        /No such file/,
        `${name}, cached: ${cached}`,
      );
    t.equal((await toy.shell('ls -a plant')).stdout, '.\n..\n');
    t.equal((await toy.shell('test -e plant && echo there')).stdout, 'there\n');
  }
});

t.test('a whole tree goes with its directory', async (t) => {
  plant('tree');
  await toy.shell('find tree -exec stat {} +');
  toy.root.remove('tree');
  await toy.session.forgotten();
  t.match((await toy.shell('stat tree')).stderr, /No such file/);
  t.match((await toy.shell('cat tree/nested/deep')).stderr, /No such file/);
});

t.test('a name can be used again, also for the same node', async (t) => {
  const attribute = new Attribute(() => 'one\n');
  for (const round of ['first', 'second', 'third']) {
    toy.root.add('again', attribute);
    t.equal((await toy.shell('cat again')).stdout, 'one\n', round);
    toy.root.remove('again');
    await toy.session.forgotten();
    t.match((await toy.shell('cat again')).stderr, /No such file/, round);
  }
  toy.root.directory('again').add('below', attribute);
  t.equal((await toy.shell('cat again/below')).stdout, 'one\n', 'another kind of node');
  toy.root.remove('again');
});

t.test('open descriptors go on until the device says otherwise', async (t) => {
  const other = new ToyDevice();
  toy.root.add('other', other.node);
  const door = await toy.door(t);
  const fd = await door.open(toy.path('other'));
  const made = await door.ask('write', fd, '6d04-000000000000-@R', 4);
  const event = Number.parseInt(made.response!.slice(0, 2), 16);
  const reading = await door.start('read', event, 16);
  const { map } = await door.ask('mmap', fd, 0, 4096, 'rw', 'shared');

  toy.root.remove('other');
  await toy.session.forgotten();
  t.strictSame(await door.ask('open', toy.path('other')), { result: -1, errno: 'ENOENT' });
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 });
  t.strictSame(await door.ask('read', fd, 16), { result: 1, data: hex('x') });
  t.match(await door.ask('stat', fd), { result: 0 });
  await door.ask('store32', map!, 0, 9);
  t.equal(new Uint32Array(other.file().pages.buffer)[0], 9);
  const again = await door.ask('write', fd, '6d04-000000000000-@R', 4);
  t.match(again, { result: 16 }, 'a new descriptor');
  other.mailboxes[0]!.put('z');
  t.strictSame(await door.wait(reading), { result: 1, data: hex('z') });
  other.mailboxes[0]!.break();
  t.strictSame(await door.ask('read', event, 16), { result: -1, errno: 'EIO' });
});

t.test('a lookup in flight does not bring a removed name back', async (t) => {
  const door = await toy.door(t);
  for (let i = 0; i < 100; i++) {
    toy.root.add('flicker', new Attribute(() => 'x\n'));
    const job = await door.start('open', toy.path('flicker'), 'rdonly');
    if (i % 2 === 0) await sleep(Math.random());
    toy.root.remove('flicker');
    await toy.session.forgotten();
    const { fd } = await door.wait(job);
    if (fd! >= 0) await door.ask('close', fd!);
    const answer = await door.ask('open', toy.path('flicker'), 'rdonly');
    if (answer.errno !== 'ENOENT') t.fail(`round ${i}: ${JSON.stringify(answer)}`);
  }
});

/** Enough for an event to arrive, in milliseconds. */
const A_WHILE = 300;

/** What toy-watch prints of `change`: as many lines as are expected, and what comes a while later. */
async function watch(path: string, change: () => void, expected: number): Promise<string[]> {
  const watching = await toy.start('toy-watch', toy.path(path));
  await watching.line();
  const seen: string[] = [];
  const read = async (): Promise<void> => {
    for (let line = await watching.line(); line !== undefined; line = await watching.line()) seen.push(line);
  };
  const ended = read();
  change();
  await toy.session.forgotten();
  await eventually(() => seen.length >= expected);
  await sleep(A_WHILE);
  watching.end();
  await ended;
  return seen;
}

t.test('inotify: a watched node says that it is gone', async (t) => {
  const directory = plant('watched');
  for (const name of ['device', 'attribute']) {
    const seen = await watch(`watched/${name}`, () => directory.remove(name), 2);
    t.strictSame(seen, ['0 DELETE_SELF', '0 IGNORED'], name);
  }
});

t.test(
  'inotify: a watched directory hears nothing, as the kernel sends IN_DELETE for unlink(2) alone',
  async (t) => {
    const directory = plant('watching');
    await toy.shell('stat watching/*');
    t.strictSame(await watch('watching', () => directory.remove('device'), 0), []);
  },
);

t.test('a device whose open waits is removed meanwhile', async (t) => {
  let go: (() => void) | undefined;
  const node = new CharacterDevice({
    major: 240,
    minor: 8,
    mode: 0o666,
    mappableBytes: 4096,
    open: () => new Promise((resolve) => (go = () => resolve({}))),
  });
  toy.root.add('slow', node);
  const door = await toy.door(t);
  const job = await door.start('open', toy.path('slow'));
  t.ok(await eventually(() => go !== undefined), 'the device has the open');
  toy.root.remove('slow');
  await toy.session.forgotten();
  go?.();
  t.match(await door.wait(job), { fd: /\d+/ });
});

t.test('nothing is left', async (t) => {
  t.ok(await eventually(() => toy.session.openHandles === 0));
});
