/** A client is killed at the worst moment, again and again. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { limit } from '../support/limit.js';
import { type Door, eventually, sleep } from './support/clients.js';
import { Toy } from './support/toy.js';

const ROUNDS = 100;

const toy = await Toy.mount(t);
limit(t);

/** Doors of this test that are still there. */
function held(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(dirname(toy.mountpoint))) continue;
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      found.push(`${status.match(/State:.*/)} ${status.match(/TracerPid:.*/)}`);
    } catch {
      // it ended meanwhile
    }
  }
  return found;
}

async function rounds(t: Parameters<Toy['door']>[0], prepare: (door: Door) => Promise<void>): Promise<void> {
  for (let i = 0; i < ROUNDS; i++) {
    const door = await toy.door(t);
    await prepare(door);
    await door.kill();
  }
  t.ok(await eventually(() => toy.session.openHandles === 0), `${toy.session.openHandles} handles are left`);
  for (const device of [toy.device, toy.pipe]) {
    t.equal(device.files.size, 0);
    t.equal(device.gate.sleepers, 0);
  }
  t.strictSame(held(), []);
}

t.test('while it waits in read, write and poll', async (t) => {
  await rounds(t, async (door) => {
    const fd = await door.open(toy.path('pipe'));
    await door.start('read', fd, 10);
    await door.start('write', fd, '77');
    await eventually(() => toy.pipe.gate.sleepers === 1 && toy.pipe.file().sleepers === 1);
  });
});

t.test('while its open waits in the device', async (t) => {
  let opening = 0;
  toy.device.beforeOpen = async (call) => {
    opening++;
    await toy.device.gate.sleep(call);
  };
  await rounds(t, async (door) => {
    opening = 0;
    await door.start('open', toy.path());
    await eventually(() => opening === 1);
  });
  toy.device.beforeOpen = () => undefined;
});

t.test('at any moment of an open', async (t) => {
  await rounds(t, async (door) => {
    void door.ask('open', toy.path());
    void door.ask('open', toy.path());
    await sleep(Math.random() * 3);
  });
});

t.test('at any moment while it gets a descriptor', async (t) => {
  await rounds(t, async (door) => {
    const fd = await door.open(toy.path());
    for (let i = 0; i < 4; i++) void door.ask('write', fd, '6d04-000000000000-@R', 4);
    await sleep(Math.random() * 3);
  });
  const { mailboxes } = toy.device;
  t.ok(
    await eventually(() => mailboxes.every(({ descriptor }) => descriptor !== undefined)),
    'each was finished, for better or worse',
  );
  const installed = mailboxes.filter(({ descriptor }) => descriptor! >= 0);
  t.comment(`${installed.length} of ${mailboxes.length} were installed`);
  t.ok(
    installed.every(({ released }) => released === 1),
    'what was installed was released, once',
  );
});
