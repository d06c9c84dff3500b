import t from 'tap';
import { eventually, hex } from './support/clients.js';
import { Toy } from './support/toy.js';
import { IOCTL } from './support/toy-device.js';

const POLLIN = 0x041; // with POLLRDNORM
const POLLOUT = 0x004;
const POLLERR = 0x008;

const toy = await Toy.mount(t);

/** A door with the device open, and an event descriptor of it. */
async function withDescriptor(t: Parameters<Toy['door']>[0]) {
  const door = await toy.door(t);
  const device = await door.open(toy.path('pipe'));
  const made = await door.ask('write', device, `6d04-000000000000-@R`, 8);
  const fd = Number.parseInt(made.response?.slice(0, 2) ?? '', 16);
  const mailbox = toy.pipe.mailboxes.at(-1)!;
  return { door, device, fd, mailbox };
}

for (const kind of ['device', 'descriptor'] as const) {
  t.test(`reading from a ${kind}`, async (t) => {
    const { door, device, fd: descriptor } = await withDescriptor(t);
    const fd = kind === 'device' ? device : descriptor;
    const mailbox = kind === 'device' ? toy.pipe.file() : toy.pipe.mailboxes.at(-1)!;

    await t.test('waits for data', async (t) => {
      const job = await door.start('read', fd, 100);
      t.ok(await eventually(() => mailbox.sleepers === 1), 'the read sleeps in the device');
      t.strictSame(await door.wait(job, 20), { pending: true });
      mailbox.put('late');
      t.strictSame(await door.wait(job), { result: 4, data: hex('late') });
    });

    await t.test('O_NONBLOCK counts as it is at the time of the read', async (t) => {
      t.strictSame(await door.ask('read', fd, 100, 'nonblock'), { result: -1, errno: 'EAGAIN' });
      await door.ask('fcntl', fd, 'nonblock');
      t.strictSame(await door.ask('read', fd, 100), { result: -1, errno: 'EAGAIN' });
      await door.ask('fcntl', fd, 'block');
      mailbox.put('now');
      t.strictSame(await door.ask('read', fd, 100), { result: 3, data: hex('now') });
    });

    await t.test('a signal ends the wait, and the reader is gone from the queue', async (t) => {
      const job = await door.start('read', fd, 100);
      await eventually(() => mailbox.sleepers === 1);
      await door.ask('signal-thread', job);
      t.strictSame(await door.wait(job), { result: -1, errno: 'EINTR' });
      t.equal(mailbox.sleepers, 0);
      mailbox.put('kept');
      t.strictSame(await door.ask('read', fd, 100), { result: 4, data: hex('kept') });
    });

    await t.test('two readers: each message is for one of them', async (t) => {
      const jobs = [await door.start('read', fd, 100), await door.start('read', fd, 100)];
      t.ok(await eventually(() => mailbox.sleepers === 2));
      mailbox.put('a');
      await eventually(() => mailbox.sleepers === 1);
      mailbox.put('b');
      const data = await Promise.all(jobs.map(async (job) => (await door.wait(job)).data));
      t.strictSame(data.sort(), [hex('a'), hex('b')]);
    });

    await t.test('a message longer than the buffer is cut, and nothing is written behind it', async (t) => {
      mailbox.put('0123456789');
      t.strictSame(await door.ask('read', fd, 4), { result: 4, data: hex('0123') });
    });

    for (const how of ['poll', 'epoll']) {
      await t.test(`${how} is woken, and level-triggered`, async (t) => {
        const idle = kind === 'device' ? POLLOUT : 0;
        t.strictSame(await door.ask(how, fd, 0), { result: idle ? 1 : 0, revents: idle });
        if (kind === 'descriptor') {
          const job = await door.start(how, fd, 60_000);
          t.strictSame(await door.wait(job, 20), { pending: true });
          mailbox.put('x');
          t.strictSame(await door.wait(job), { result: 1, revents: POLLIN });
        } else {
          mailbox.put('x');
        }
        for (let i = 0; i < 2; i++)
          t.strictSame(await door.ask(how, fd, 1000), { result: 1, revents: POLLIN | idle }, 'still ready');
        await door.ask('read', fd, 100);
        t.strictSame(await door.ask(how, fd, 0), { result: idle ? 1 : 0, revents: idle }, 'ready no more');
      });
    }
    await door.ask('close', device);
  });
}

t.test('several pollers of one descriptor are all woken', async (t) => {
  const { door, fd, mailbox } = await withDescriptor(t);
  const jobs = [];
  for (const how of ['poll', 'epoll', 'poll']) jobs.push(await door.start(how, fd, 60_000));
  t.strictSame(await door.wait(jobs[0]!, 30), { pending: true });
  mailbox.put('x');
  for (const job of jobs) t.strictSame(await door.wait(job), { result: 1, revents: POLLIN });
});

t.test('an error wakes poll, epoll and the reader', async (t) => {
  const { door, fd, mailbox } = await withDescriptor(t);
  const jobs = [];
  for (const how of ['poll', 'epoll']) jobs.push(await door.start(how, fd, 60_000));
  const read = await door.start('read', fd, 100);
  await eventually(() => mailbox.sleepers === 1);
  mailbox.break();
  for (const job of jobs) t.strictSame(await door.wait(job), { result: 1, revents: POLLERR });
  t.strictSame(await door.wait(read), { result: -1, errno: 'EIO' });
});

t.test('an interrupt that comes before the device waits is not lost', async (t) => {
  const door = await toy.door(t);
  let go: (() => void) | undefined;
  const file = await door.open(toy.path('pipe'));
  const original = toy.pipe.file().read;
  // As a handler that first takes a lock.
  toy.pipe.file().read = function (call, count) {
    return new Promise<void>((resolve) => (go = resolve)).then(() => original.call(this, call, count));
  };
  const job = await door.start('read', file, 10);
  t.ok(await eventually(() => go !== undefined), 'the handler has begun');
  await door.ask('signal-thread', job);
  t.strictSame(await door.wait(job, 30), { pending: true });
  go?.();
  t.strictSame(await door.wait(job), { result: -1, errno: 'EINTR' });
});

t.test('what a device leaves out fails as in the kernel', async (t) => {
  const { door, fd } = await withDescriptor(t);
  t.strictSame(await door.ask('ioctl', fd, IOCTL.HEADER, '00'.repeat(24)), {
    result: -1,
    errno: 'ENOTTY',
    buffer: '00'.repeat(24),
  });
  t.strictSame(
    await door.ask('write', fd, '00'),
    { result: -1, errno: 'EBADF' },
    'it is open for reading only',
  );
});
