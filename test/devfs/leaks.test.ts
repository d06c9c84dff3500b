/** After many opens everything is as before. */
import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { Attribute } from '../../devfs/index.js';
import { limit } from '../support/limit.js';
import { eventually } from './support/clients.js';
import { Toy } from './support/toy.js';

const toy = await Toy.mount(t);
limit(t);

/** Descriptors and mapped device pages of this process. */
function usage() {
  return {
    handles: toy.session.openHandles,
    inodes: toy.session.inodes.size,
    files: toy.device.files.size,
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: readFileSync('/proc/self/maps', 'latin1').split('memfd:').length - 1,
  };
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
  await eventually(() => toy.session.openHandles === 0 && usage().descriptors === before.descriptors);
  const after = usage();
  // The mappings go when JavaScript's memory is cleaned up, which is at some time.
  t.comment(`mappings: ${before.mappings} before, ${after.mappings} after`);
  t.ok(after.mappings < 1500, 'mappings are given back');
  t.strictSame({ ...after, mappings: 0 }, { ...before, mappings: 0 });
});

t.test('200 descriptors made and closed', async (t) => {
  await toy.run('toy-make', toy.path(), '1');
  await eventually(() => toy.session.openHandles === 0);
  const before = usage();
  t.equal((await toy.run('toy-make', toy.path(), '200')).stdout, 'ok\n');
  t.ok(await eventually(() => toy.session.openHandles === 0));
  t.ok(await eventually(() => toy.session.inodes.size <= before.inodes));
  t.ok(toy.device.mailboxes.every(({ released }) => released === 1));
  t.equal(usage().descriptors, before.descriptors);
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
