/** A write or ioctl that gives its caller a new descriptor. */
import t from 'tap';
import { type Answer, type Door, eventually, hex } from './support/clients.js';
import { Toy } from './support/toy.js';
import { IOCTL } from './support/toy-device.js';

const FD_CLOEXEC = 1;
const make = (width: number, ...places: string[]): string =>
  `${hex('m')}${width.toString(16).padStart(2, '0')}000000000000${places.join('')}`;

const toy = await Toy.mount(t);

async function open(
  t: Parameters<Toy['door']>[0],
  ...wrapper: string[]
): Promise<{ door: Door; fd: number }> {
  const door = await toy.door(t, ...wrapper);
  return { door, fd: await door.open(toy.path()) };
}

/** The number in a response of `bytes` bytes. */
const numberIn = (answer: Answer): number => Buffer.from(answer.response ?? '', 'hex').readUInt32LE();

t.test('by write, 4 bytes', async (t) => {
  const { door, fd } = await open(t);
  const answer = await door.ask('write', fd, make(4, '@R'), 8);
  t.match(answer, { result: 16, response: /^..000000aaaaaaaa$/ });
  const made = numberIn(answer);
  t.equal(made, fd + 1, 'the lowest free number');
  t.equal(toy.device.mailboxes.at(-1)!.descriptor, made, 'the device is told');
  t.strictSame(await door.ask('fcntl', made, 'getfd'), { result: FD_CLOEXEC });
  toy.device.mailboxes.at(-1)!.put('event');
  t.strictSame(await door.ask('read', made, 16), { result: 5, data: hex('event') });
  t.equal(toy.device.mailboxes.at(-1)!.released, 0);
  await door.ask('close', made);
  t.ok(await eventually(() => toy.device.mailboxes.at(-1)!.released === 1), 'released once closed');
});

t.test('8 bytes, at several addresses', async (t) => {
  const { door, fd } = await open(t);
  const answer = await door.ask('write', fd, make(8, '@R', '@B'), 12);
  t.match(answer, { result: 24, response: /^..00000000000000aaaaaaaa$/ });
  const scratch = await door.ask('scratch-dump', 8);
  t.equal(scratch.data, answer.response!.slice(0, 16));
});

t.test('by ioctl, whose result stays', async (t) => {
  const { door, fd } = await open(t);
  const answer = await door.ask('ioctl', fd, IOCTL.MAKE, make(4, '@R', '@R'), 4);
  t.match(answer, { result: 0 });
  t.strictSame(await door.ask('poll', numberIn(answer), 0), { result: 0, revents: 0 });
});

t.test('the device knows of it before the client can use it', async (t) => {
  for (let i = 0; i < 3; i++) t.equal((await toy.run('toy-make', toy.path(), '300')).stdout, 'ok\n');
});

t.test('a client that is not root', async (t) => {
  const { door, fd } = await open(t, 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups');
  const answer = await door.ask('write', fd, make(4, '@R'), 4);
  t.match(answer, { result: 16 });
  t.strictSame(await door.ask('poll', numberIn(answer), 0), { result: 0, revents: 0 });
});

t.test('a number that is taken away by the limit', async (t) => {
  // stdin, stdout, stderr and the device
  const { door, fd } = await open(t, 'prlimit', '--nofile=4');
  t.equal(fd, 3);
  const answer = await door.ask('write', fd, make(4, '@R'), 4);
  t.strictSame(answer, { result: -1, errno: 'EMFILE', response: 'aaaaaaaa' });
  t.equal(toy.device.mailboxes.at(-1)!.descriptor, -24);
  t.strictSame(await door.ask('write', fd, hex('ex')), { result: 2 }, 'the device file is as before');
});

t.test('a bad address: EFAULT, and the descriptor is closed again', async (t) => {
  for (const places of [['@U'], ['@O'], ['@B', '@U']]) {
    const { door, fd } = await open(t);
    t.strictSame(await door.ask('write', fd, make(4, ...places)), { result: -1, errno: 'EFAULT' });
    t.equal(toy.device.mailboxes.at(-1)!.descriptor, -14);
    t.ok(await eventually(() => toy.device.mailboxes.at(-1)!.released === 1));
    t.strictSame(await door.ask('fcntl', fd + 1, 'getfd'), { result: -1, errno: 'EBADF' });
  }
});

t.test('no path leads to it', async (t) => {
  const { door, fd } = await open(t);
  const made = numberIn(await door.ask('write', fd, make(4, '@R'), 4));
  const { stdout } = await toy.shell('ls -a; readlink /proc/$1/fd/$2', String(door.pid), String(made));
  t.match(stdout, /\.descriptor-\w+/);
  t.notMatch(stdout.split('\n').slice(0, -2).join('\n'), /descriptor/);
  t.match(
    (await toy.shell('stat "$(basename "$(readlink /proc/$1/fd/$2)")"', String(door.pid), String(made)))
      .stderr,
    /No such file/,
  );
});

t.test('nothing is left open', async (t) => {
  t.ok(await eventually(() => toy.session.openHandles === 0));
});
