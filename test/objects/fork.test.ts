/** A context that a process shares with its forked child. */
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { callMethod } from './support/attributes.js';
import { cqCreate, cqDestroy, mrQuery, pdDestroy, qpCreate } from './support/methods.js';
import { allocPd, createQp, deallocPd, queryQp, regMr } from './support/requests.js';
import { Stage } from './support/scene.js';
import { DOORS, resultOf } from './support/table.js';

const CQE_SIZE = 32;

const daemon = await startDaemon(t);

t.test("a forked child uses its parent's context through ioctl", async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const { door } = stage;
  await door.ask('fork');

  t.equal(outcome(await DOORS.write(scene, allocPd(scene))), 'EACCES', "write is the opener's");
  t.equal(outcome(await DOORS.write(scene, queryQp(scene))), 'EACCES');
  t.equal(outcome(await DOORS.INVOKE_WRITE(scene, queryQp(scene))), 0);
  t.equal(resultOf(await callMethod(mrQuery, scene)), 'ok', 'it sees what its parent made');
  t.equal(resultOf(await callMethod(pdDestroy, scene)), 'ok', 'and can destroy it');
  t.equal(resultOf(await DOORS.INVOKE_WRITE(scene, allocPd(scene))), 'ok', 'and make more');
  await door.ask('scratch-fill', '00'.repeat(CQE_SIZE));
  t.equal(resultOf(await callMethod(cqCreate, scene)), 'ok');
  t.match(await door.ask('scratch-dump', CQE_SIZE), { data: 'cc'.repeat(CQE_SIZE) }, "in the child's memory");
  t.equal(resultOf(await callMethod(qpCreate, scene)), 'ok');
  t.equal(resultOf(await DOORS.INVOKE_WRITE(scene, regMr(scene))), 'ok');

  await door.ask('exit');
  t.equal(
    resultOf(await callMethod(cqDestroy, scene, { handle: scene.next })),
    'ok',
    "the child's objects stay",
  );
  t.equal(resultOf(await DOORS.write(scene, deallocPd(scene))), 'ok', 'the handle that the child reused');
  t.equal(resultOf(await DOORS.write(scene, createQp(scene))), 'ok');
});
