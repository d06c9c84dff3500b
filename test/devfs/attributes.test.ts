import t from 'tap';
import { Attribute, Errno } from '../../devfs/index.js';
import { hex } from './support/clients.js';
import { Toy } from './support/toy.js';

/** Clocks differ a little. */
const SLACK_MS = 1000;

const toy = await Toy.mount(t);

t.test('computed on each read from the beginning, once for one reading', async (t) => {
  const door = await toy.door(t);
  const fd = await door.open(toy.path('attributes/reads'), 'rdonly');
  t.equal(toy.reads, 0, 'not by open');
  t.strictSame(await door.ask('read', fd, 4096), { result: 2, data: hex('1\n') });
  t.strictSame(await door.ask('read', fd, 4096), { result: 0, data: '' });
  t.equal(toy.reads, 1);
  const again = await door.open(toy.path('attributes/reads'), 'rdonly');
  t.strictSame(await door.ask('read', again, 1), { result: 1, data: hex('2') });
  t.strictSame(await door.ask('read', again, 1), { result: 1, data: hex('\n') }, 'the rest');
  t.equal(toy.reads, 2);
});

t.test('one read gives all of it, up to a page', async (t) => {
  const text = `${'x'.repeat(4095)}\n`;
  toy.root.add('page', new Attribute(() => text));
  t.equal((await toy.shell('dd if=page bs=4096 count=1 status=none')).stdout, text);
  t.equal((await toy.shell('cat page')).stdout, text);
  t.equal((await toy.shell('tail -c +4000 page')).stdout, text.slice(3999));
});

t.test('stat shows one page and the time it was made', async (t) => {
  const before = Date.now();
  toy.root.add('dated', new Attribute(() => 'x\n'));
  const after = Date.now();
  const { stdout } = await toy.shell('stat -c "%s %a %F" dated; stat -c %.6Y dated');
  const [first, time] = stdout.split('\n');
  t.equal(first, '4096 444 regular file');
  const made = Number(time) * 1000;
  t.ok(before - SLACK_MS < made && made < after + SLACK_MS, `${made} is from ${before} to ${after}`);
});

t.test('writing', async (t) => {
  t.equal((await toy.shell('echo second > attributes/text && cat attributes/text')).stdout, 'second\n');
  t.equal(toy.text, 'second\n');
  t.match((await toy.shell('echo x | tee attributes/reads')).stderr, /Input\/output error/, 'no store');
  toy.root.add(
    'picky',
    new Attribute(
      () => 'x\n',
      (text) => {
        throw new Errno(text === 'range\n' ? 'ERANGE' : 'EINVAL');
      },
    ),
  );
  t.match((await toy.shell('echo range | tee picky')).stderr, /Numerical result out of range/);
  t.match((await toy.shell('echo other | tee picky')).stderr, /Invalid argument/);
});

t.test('an attribute that fails', async (t) => {
  toy.root.add(
    'failing',
    new Attribute(() => {
      throw new Errno('EOPNOTSUPP');
    }),
  );
  t.match((await toy.shell('cat failing')).stderr, /Operation not supported/);
  toy.log.length = 0;
  t.match((await toy.shell('cat attributes/broken')).stderr, /Input\/output error/);
  t.match(toy.log, [{ level: 'error', message: /a handler failed/ }], 'a bug is logged');
});

t.test('removed while open: ENODEV', async (t) => {
  const door = await toy.door(t);
  toy.root.add(
    'brief',
    new Attribute(
      () => 'x\n',
      () => {},
    ),
  );
  const fd = await door.open(toy.path('brief'));
  t.strictSame(await door.ask('read', fd, 16), { result: 2, data: hex('x\n') });
  toy.root.remove('brief');
  t.strictSame(await door.ask('read', fd, 16), { result: -1, errno: 'ENODEV' });
  t.strictSame(await door.ask('write', fd, hex('x')), { result: -1, errno: 'ENODEV' });
  t.strictSame(await door.ask('close', fd), { result: 0 });
});
