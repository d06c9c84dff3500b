/** How often a client is told that its device is lost: by the driver, and by the removal. */
import { GET_CONTEXT } from '../../uverbs/support/context.js';
import { outcome } from '../../uverbs/support/door.js';
import { drain, eventOf, FATAL, RECORD } from '../../uverbs/support/events.js';
import { type Cell, type Row, shown } from '../table.js';
import type { Removal } from '../world.js';

/** Clients of a device that is removed in each of these ways are told so often. */
const told = (events: number, ...methods: Removal[]): Cell =>
  shown(async (t, world) => {
    const { disassociates } = world.combination;
    await world.plugIn();
    for (const method of methods) {
      const { door, fd, asyncFd, channel } = await world.open();
      const removal = world.begin(method);
      if (disassociates) await removal;
      for (let i = 0; i < events; i++) t.equal(eventOf(await door.read(asyncFd, RECORD)), FATAL, method);
      for (const file of [fd, channel]) await door.close(file);
      t.same(await drain(door, asyncFd), [], 'and no more');
      t.equal(world.isRemoved, disassociates, 'whether it is over');
      await door.close(asyncFd);
      await removal;
      if (method === 'device.unplug') await world.plug();
    }
  });

/** Between the driver's event and the restart, which takes the seconds that hardware takes. */
const notActive = shown(async (t, world) => {
  const { door, fd, asyncFd } = await world.bareClient();
  const late = await door.open(world.node);
  const { disassociates } = world.combination;
  const restart = disassociates ? world.begin('device.fatal', true) : world.begin('device.fatal');
  t.equal(eventOf(await door.read(asyncFd, RECORD)), FATAL);
  t.equal(outcome(await door.command(late, GET_CONTEXT)), 'EAGAIN');
  if (disassociates) {
    t.equal(eventOf(await door.read(asyncFd, RECORD)), FATAL, 'the restart begins');
    t.equal(outcome(await door.command(late, GET_CONTEXT)), 'EIO', 'with a removal');
  }
  for (const file of [late, fd, asyncFd]) await door.close(file);
  await restart;
  t.equal((await world.ended()).contexts.length, disassociates ? 1 : 0, 'contexts that were cut off');
  const fresh = await door.open(world.node);
  t.type(outcome(await door.command(fresh, GET_CONTEXT)), 'number', 'after it');
});

export const restartRows: readonly Row[] = [
  {
    number: 45,
    situation: 'fatal error',
    call: 'read of asynchronous events',
    '6.12': told(2, 'device.fatal'),
    '4.3': told(2, 'device.fatal'),
    without: told(1, 'device.fatal'),
  },
  {
    number: 46,
    situation: 'fatal error, before the restart',
    call: 'GET_CONTEXT',
    '6.12': notActive,
    '4.3': notActive,
    without: notActive,
  },
  {
    number: 47,
    situation: 'unplug, reset',
    call: 'read of asynchronous events',
    '6.12': told(1, 'device.unplug', 'device.reset'),
    '4.3': told(1, 'device.unplug', 'device.reset'),
    without: told(0, 'device.unplug', 'device.reset'),
  },
];
