/** Memory windows. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { parse } from '../uverbs/support/messages.js';
import { mwDestroy } from './support/methods.js';
import { allocMw, deallocMw } from './support/requests.js';
import { Stage } from './support/scene.js';
import { badHandles, DOORS, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

t.test('ALLOC_MW', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, allocMw(scene));
    t.equal(overrun, undefined);
    const { mwHandle, rkey } = parse(abi.ibUverbsAllocMwResp, response);
    t.equal(mwHandle, scene.next);
    t.not(rkey, 0);
    await stage.strike();
  }
  await walkTable(t, stage, allocMw, [
    ['type 1', { mwType: 1 }, 'ok'],
    ['type 2', { mwType: 2 }, 'ok'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ['type 0', { mwType: 0 }, 'EINVAL'],
    ['type 3', { mwType: 3 }, 'EINVAL'],
  ]);
  await walkFrame(t, stage, allocMw);
});

t.test('DEALLOC_MW', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, deallocMw, [
    ['a window', {}, 'ok'],
    ...badHandles('mwHandle', ({ mr }) => mr, foreign.pd),
  ]);
  await walkFrame(t, stage, deallocMw);
});

t.test('MW DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  await walkAttributes(t, stage, mwDestroy);
  await walkMethodTable(t, stage, mwDestroy, [['a window', {}, 'ok']]);
});
