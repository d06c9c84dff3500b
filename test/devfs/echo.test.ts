import t from 'tap';
import { hex } from './support/clients.js';
import { Toy } from './support/toy.js';

t.test('what is written can be read', async (t) => {
  const toy = await Toy.mount(t);
  const door = await toy.door(t);
  const fd = await door.open(toy.path());
  t.strictSame(await door.ask('write', fd, hex('ehello')), { result: 6 });
  t.strictSame(await door.ask('read', fd, 100), { result: 5, data: hex('hello') });
  const through = await door.open(toy.path('link'));
  t.strictSame(await door.ask('write', through, hex('elink')), { result: 5 });
  t.strictSame(await door.ask('read', through, 100), { result: 4, data: hex('link') });
  t.strictSame(await door.ask('close', fd), { result: 0 });
});
