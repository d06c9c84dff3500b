/** Protection domains and completion channels. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { parse } from '../uverbs/support/messages.js';
import { callMethod } from './support/attributes.js';
import { cqCreate, pdDestroy } from './support/methods.js';
import { allocPd, createCompChannel, createCq, deallocPd } from './support/requests.js';
import { Stage } from './support/scene.js';
import { badHandles, DOORS, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

t.test('ALLOC_PD', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, allocPd(scene));
    t.equal(overrun, undefined);
    t.equal(parse(abi.ibUverbsAllocPdResp, response).pdHandle, scene.next);
    t.ok(parse(abi.mlx4IbAllocPdResp, response, 4).pdn);
    t.equal(response?.slice(16), 'aaaaaaaa', 'the reserved word is not written');
    await stage.strike();
  }
  await walkFrame(t, stage, allocPd);
});

t.test('DEALLOC_PD', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, deallocPd, [
    ['an unused PD', {}, 'ok'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ['a PD that objects use', ({ pd }) => ({ pdHandle: pd }), 'EBUSY'],
  ]);
  await walkFrame(t, stage, deallocPd);
});

t.test('PD DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  await walkAttributes(t, stage, pdDestroy);
  await walkMethodTable(t, stage, pdDestroy, [
    ['an unused PD', {}, 'ok'],
    ['a PD that objects use', ({ pd }) => ({ handle: pd }), 'EBUSY'],
  ]);
});

t.test('CREATE_COMP_CHANNEL', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createCompChannel(scene));
    t.equal(overrun, undefined);
    const { fd } = parse(abi.ibUverbsCreateCompChannelResp, response);
    t.equal(outcome(await stage.door.read(fd, 8, 'nonblock')), 'EAGAIN');
    t.equal(await stage.door.poll(fd), 0);
    t.equal(outcome(await stage.door.write(fd, '00')), 'EBADF');
    t.ok(await stage.isUntouched(), 'it takes no handle');
    await stage.door.close(fd);
  }
  await walkFrame(t, stage, createCompChannel);
});

t.test('what is no completion channel', async (t) => {
  const stage = new Stage(t, daemon);
  const { asyncFd, fd } = await stage.scene();
  const closed = 900;
  const foreign = await stage.foreign();
  for (const compChannel of [asyncFd, fd, closed, foreign.channel, foreign.asyncFd]) {
    const scene = await stage.scene();
    for (const [name, door] of Object.entries(DOORS)) {
      const answer = await door(scene, createCq(scene, { compChannel }));
      t.equal(outcome(answer), 'EBADF', `${name}: descriptor ${compChannel}`);
    }
    t.equal(outcome(await callMethod(cqCreate, scene, { channel: compChannel })), 'EBADF');
    t.ok(await stage.isUntouched());
  }
});
