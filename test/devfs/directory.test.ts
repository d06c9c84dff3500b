import t from 'tap';
import { Attribute, Directory, Symlink } from '../../devfs/index.js';
import { Talk } from './support/clients.js';
import { Toy } from './support/toy.js';

const toy = await Toy.mount(t);
const COUNT = 500;
const name = (i: number): string => `entry-${String(i).padStart(4, '0')}-${'x'.repeat(i % 60)}`;

t.test('a large directory', async (t) => {
  const large = toy.root.add('large', new Directory());
  for (let i = 0; i < COUNT; i++) large.add(name(i), new Attribute(() => `${i}\n`));
  const expected = Array.from({ length: COUNT }, (_, i) => name(i));
  t.strictSame((await toy.shell('ls -U large')).stdout.trim().split('\n'), expected, 'names alone, in order');
  const long = (await toy.shell('ls -l large')).stdout.trim().split('\n');
  t.equal(long.length, COUNT + 1, 'with attributes');
  t.equal((await toy.shell('cat large/entry-0499*')).stdout, '499\n');
  t.equal((await toy.shell('find large -type f | wc -l')).stdout.trim(), String(COUNT));
});

t.test('kinds, and directories in directories', async (t) => {
  const nest = toy.root.directory('nest');
  nest.path('a/b/c/d').add('leaf', new Attribute(() => 'x\n'));
  nest.add('up', new Symlink('a/b/ü'));
  const { stdout } = await toy.shell(
    'find nest -printf "%y %p\\n" | sort; readlink nest/up; stat -c %s nest/up',
  );
  t.strictSame(stdout.trim().split('\n'), [
    'd nest',
    'd nest/a',
    'd nest/a/b',
    'd nest/a/b/c',
    'd nest/a/b/c/d',
    'f nest/a/b/c/d/leaf',
    'l nest/up',
    'a/b/ü',
    '6',
  ]);
  t.equal((await toy.shell('cat nest/a/b/c/d/../d/leaf; ls -a nest/a')).stdout, 'x\n.\n..\nb\n');
});

t.test('entries that come and go while somebody lists', async (t) => {
  const busy = toy.root.add('busy', new Directory());
  for (let i = 0; i < COUNT; i++) busy.add(`stays-${i}`, new Attribute(() => 'x\n'));
  let round = 0;
  const change = setInterval(() => {
    const goes = `goes-${round++ % 20}`;
    if (busy.entries.has(goes)) busy.remove(goes);
    else busy.add(goes, round % 3 === 0 ? new Directory() : new Attribute(() => 'x\n'));
  }, 0);
  for (let i = 0; i < 20; i++) {
    const { stdout } = await toy.shell('ls -lU busy 2>/dev/null');
    const stays = stdout.match(/stays-\d+/g) ?? [];
    if (new Set(stays).size !== COUNT || stays.length !== COUNT)
      t.fail(`round ${i}: ${stays.length} entries`);
  }
  clearInterval(change);
  for (let i = 0; i < 20; i++) busy.remove(`goes-${i}`);
  await toy.session.forgotten();
  t.equal((await toy.shell('ls busy | grep -c goes')).stdout.trim(), '0');
  for (let i = 0; i < 20; i++)
    if ((await toy.shell('stat busy/goes-$1', String(i))).code === 0) t.fail(`goes-${i} is still there`);
});

t.test('an entry removed between two parts of a listing stays removed', async (t) => {
  const parts = toy.root.add('parts', new Directory());
  for (let i = 0; i < COUNT; i++) parts.add(name(i), new Attribute(() => 'x\n'));
  const listing = await toy.start('toy-list', toy.path('parts'));
  await listing.line();
  for (let i = 1; i < COUNT; i++) parts.remove(name(i));
  await toy.session.forgotten();
  listing.say('go');
  const count = Number(await listing.line());
  t.ok(count >= 3 && count < COUNT, `${count} entries seen`);
  for (const i of [100, 250, COUNT - 1])
    t.match((await toy.shell('stat "parts/$1"', name(i))).stderr, /No such file/, name(i));
  t.strictSame((await toy.shell('ls parts')).stdout, `${name(0)}\n`);
});

t.test('a directory removed while it is open', async (t) => {
  toy.root.directory('gone').add('x', new Attribute(() => 'x\n'));
  const script = 'exec 2>&1; cd "$0" && echo inside && read -r _; ls -la; ls -la . ; pwd';
  const shell = new Talk('sh', ['-c', script, toy.path('gone')]);
  t.equal(await shell.line(), 'inside');
  toy.root.remove('gone');
  await toy.session.forgotten();
  shell.say('go');
  for (let line = await shell.line(); line !== undefined; line = await shell.line()) t.notMatch(line, / x$/);
});
