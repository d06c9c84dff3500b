/** After many opens everything is as before. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { Attribute } from '../../devfs/index.js';
import { collectGarbage } from '../support/garbage.js';
import { limit } from '../support/limit.js';
import { eventually } from './support/clients.js';
import { Toy } from './support/toy.js';

const toy = await Toy.mount(t);
limit(t);

/** Mappings that what was done last may still hold. */
const HELD = 10;

interface Usage {
  handles: number;
  inodes: number;
  files: number;
  descriptors: number;
  mappings: number;
}

/** What the session has, and descriptors and mapped device pages of this process, once its garbage is collected. */
function usage(): Usage {
  collectGarbage();
  return {
    handles: toy.session.openHandles,
    inodes: toy.session.inodes.size,
    files: toy.device.files.size,
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('memfd:').length - 1,
  };
}

/** What stays more than it was. */
async function growth(before: Usage): Promise<string[]> {
  let grown: string[] = [];
  await eventually(() => {
    const now = usage();
    grown = Object.entries(before).flatMap(([name, was]) => {
      const is = now[name as keyof Usage];
      return is > was + (name === 'mappings' ? HELD : 0) ? [`${name}: ${was} before, ${is} after`] : [];
    });
    return grown.length === 0;
  });
  return grown;
}

t.test('2,000 opens and closes', async (t) => {
  const door = await toy.door(t);
  const round = async (): Promise<void> => {
    const fd = await door.open(toy.path());
    await door.ask('close', fd);
  };
  for (let i = 0; i < 20; i++) await round();
  await eventually(() => toy.session.openHandles === 0);
  const before = usage();
  for (let i = 0; i < 2000; i++) await round();
  t.strictSame(await growth(before), []);
});

t.test('200 descriptors made and closed', async (t) => {
  await toy.run('toy-make', toy.path(), '1');
  await eventually(() => toy.session.openHandles === 0);
  const before = usage();
  t.equal((await toy.run('toy-make', toy.path(), '200')).stdout, 'ok\n');
  t.strictSame(await growth(before), []);
  t.ok(toy.device.mailboxes.every(({ released }) => released === 1));
});

t.test('nodes that come and go', async (t) => {
  let before = 0;
  for (let i = 0; i < 20; i++) {
    const directory = toy.root.directory('plugged');
    for (let j = 0; j < 50; j++) directory.add(`a${j}`, new Attribute(() => 'x\n'));
    await toy.shell('ls -lR . > /dev/null');
    toy.root.remove('plugged');
    await toy.session.forgotten();
    if (i === 0) before = toy.session.inodes.size;
  }
  t.ok(await eventually(() => toy.session.inodes.size <= before), `${before} after the first round`);
});
