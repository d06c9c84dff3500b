/** Protection domains and completion channels, by the write commands and the ioctl methods. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { parse } from '../uverbs/support/messages.js';
import { allocPd, createCompChannel, deallocPd } from './support/requests.js';
import { Stage } from './support/scene.js';
import { badHandles, DOORS, walkFrame, walkTable } from './support/table.js';

const daemon = await startDaemon(t);

t.test('ALLOC_PD', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, allocPd(scene));
    t.equal(overrun, undefined);
    const { pdHandle } = parse(abi.ibUverbsAllocPdResp, response);
    t.equal(pdHandle, scene.next);
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

t.test('CREATE_COMP_CHANNEL', async (t) => {
  const stage = new Stage(t, daemon);
  await walkFrame(t, stage, createCompChannel);
});
