/** Many threads on one context, and many objects in one. */
import t from 'tap';
import { clientProgram } from '../support/client-programs.js';
import { eventually, startDaemon } from '../support/daemon.js';

const daemon = await startDaemon(t);

const THREADS = 64;
const ROUNDS = 20;
const OBJECTS_PER_ROUND = 5;
const QPS = 10_000;

async function isClean(): Promise<boolean> {
  const { stdout } = await daemon.verbsim('resource', 'show', '--json');
  return !/"(QP|CQ|MR|PD|context)"/.test(stdout);
}

t.test('64 threads make and destroy objects of one context', async (t) => {
  const program = clientProgram('threads', '-libverbs');
  const { code, stdout, stderr } = await daemon.run(program, 'mlx4_0', String(THREADS), String(ROUNDS));
  t.equal(stderr, '');
  t.equal(code, 0);
  t.equal(stdout, `${THREADS * ROUNDS * OBJECTS_PER_ROUND} objects\n`);
  await eventually('nothing is left', isClean);
});

t.test('10,000 QPs in one context', async (t) => {
  const program = clientProgram('many-qps', '-libverbs');
  const { code, stdout, stderr } = await daemon.run(program, 'mlx4_0', String(QPS));
  t.equal(stderr, '');
  t.equal(code, 0);
  t.match(stdout, /^10000 made in .* s, destroyed in .* s\n$/);
  t.comment(stdout.trim());
  await eventually('nothing is left', isClean);
});

t.test('a client that is killed in the middle of it leaves nothing', async (t) => {
  const program = clientProgram('many-qps', '-libverbs');
  const { child, ended } = daemon.start('run', '--', program, 'mlx4_0', '1000000');
  await eventually('it makes objects', async () => !(await isClean()));
  child.kill('SIGKILL');
  t.equal(await ended, 'SIGKILL');
  await eventually('nothing is left', isClean);
});
