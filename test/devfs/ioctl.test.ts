import t from 'tap';
import { hex } from './support/clients.js';
import { Toy } from './support/toy.js';
import { IOCTL } from './support/toy-device.js';

const toy = await Toy.mount(t);
const door = await toy.door(t);
const fd = await door.open(toy.path());
const zeros = '00'.repeat(24);

t.test('the header comes along, and is not overwritten by the answer', async (t) => {
  t.strictSame(await door.ask('ioctl', fd, IOCTL.HEADER, '5a'.repeat(24)), {
    result: 24,
    buffer: '5a'.repeat(24),
  });
});

t.test('pointers in the header lead to the memory of the caller', async (t) => {
  const answer = await door.ask('ioctl', fd, IOCTL.POINTER, `${'00'.repeat(8)}@R${'00'.repeat(8)}`, 12);
  t.match(answer, { result: 5, response: `${hex('ioctl!!!')}aaaaaaaa` });
});

t.test('the argument itself is the raw pointer of the caller', async (t) => {
  t.strictSame(await door.ask('ioctl', fd, IOCTL.ARGUMENT, zeros), { result: 0, buffer: '11'.repeat(24) });
});

t.test('errors', async (t) => {
  const failed = (errno: string, buffer: string) => ({ result: -1, errno, buffer });
  for (const [number, name] of [
    [22, 'EINVAL'],
    [5, 'EIO'],
    [19, 'ENODEV'],
  ] as const) {
    const header = `${number.toString(16).padStart(2, '0')}${'00'.repeat(23)}`;
    t.strictSame(await door.ask('ioctl', fd, IOCTL.FAIL, header), failed(name, header));
  }
  t.strictSame(await door.ask('ioctl', fd, '0xc01874ff', zeros), failed('ENOTTY', zeros), 'unknown');
  t.strictSame(await door.ask('ioctl', fd, '0x5401', zeros), failed('ENOTTY', zeros), 'TCGETS');
  t.strictSame(await door.ask('ioctl-at', fd, IOCTL.HEADER, '@U'), { result: -1, errno: 'EFAULT' });
  const bad = await door.ask('ioctl', fd, IOCTL.POINTER, `${'00'.repeat(8)}@U${'00'.repeat(8)}`);
  t.equal(bad.errno, 'EFAULT');
  const readOnly = await door.ask('ioctl', fd, IOCTL.POINTER, `${'00'.repeat(8)}@O${'00'.repeat(8)}`);
  t.equal(readOnly.errno, 'EFAULT');
});

t.test('attributes and directories have none', async (t) => {
  const attribute = await door.open(toy.path('attributes/text'), 'rdonly');
  t.equal((await door.ask('ioctl', attribute, IOCTL.HEADER, zeros)).errno, 'ENOTTY');
  const directory = await door.open(toy.path('folder'), 'rdonly');
  t.equal((await door.ask('ioctl', directory, IOCTL.HEADER, zeros)).errno, 'ENOTTY');
});
