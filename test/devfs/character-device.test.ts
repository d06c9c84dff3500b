import t from 'tap';
import { Toy } from './support/toy.js';

const toy = await Toy.mount(t);

t.test('the stat after an open shows the device', async (t) => {
  for (const how of ['fstat', 'newfstatat', 'statx'])
    t.equal((await toy.run('agent-client', 'stat', toy.path(), how)).stdout, '20666 240 7\n', how);
  t.equal(
    (await toy.run('agent-client', 'stat', toy.path('link'), 'fstat')).stdout,
    '20666 240 7\n',
    'by a link',
  );
});

t.test('a stat by path shows a file', async (t) => {
  t.equal((await toy.shell('stat -c "%F %a" toy')).stdout, 'regular file 666\n');
});

t.test('owner and mode can be changed, as udev does', async (t) => {
  const changed = await toy.shell('chmod 640 toy && chown 1:2 toy && stat -c "%a %u %g" toy');
  t.equal(changed.stdout, '640 1 2\n');
  t.equal((await toy.run('agent-client', 'stat', toy.path(), 'fstat')).stdout, '20640 240 7\n');
  const door = await toy.door(t);
  await door.ask('setuid', 65534);
  t.strictSame(await door.ask('open', toy.path()), { result: -1, errno: 'EACCES' });
  await toy.shell('chmod 666 toy && chown 0:0 toy');
  t.type(await door.open(toy.path()), 'number');
});

t.test('a device that refuses an open', async (t) => {
  const { Errno } = await import('../../devfs/index.js');
  toy.device.beforeOpen = () => {
    throw new Errno('ENXIO');
  };
  const door = await toy.door(t);
  t.strictSame(await door.ask('open', toy.path()), { result: -1, errno: 'ENXIO' });
  toy.device.beforeOpen = async () => {
    throw new Errno('ENODEV');
  };
  t.strictSame(await door.ask('open', toy.path()), { result: -1, errno: 'ENODEV' });
  toy.device.beforeOpen = () => undefined;
  t.type(await door.open(toy.path()), 'number');
});

t.test('a client under a debugger is refused, with a word in the log', async (t) => {
  const { stdout } = await toy.run('agent-client', 'traced', toy.path());
  t.match(stdout, /./);
  t.match(
    toy.log.map(({ message }) => message),
    [/the client is traced already/],
  );
  t.equal(toy.session.openHandles, 0);
});
