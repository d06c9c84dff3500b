/** Many threads on one context, and many objects in one. */
import t from 'tap';
import { clientProgram } from '../support/client-programs.js';
import { startDaemon } from '../support/daemon.js';

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
  t.ok(await isClean(), 'nothing is left');
});

t.test('10,000 QPs in one context', async (t) => {
  const program = clientProgram('many-qps', '-libverbs');
  const { code, stdout, stderr } = await daemon.run(program, 'mlx4_0', String(QPS));
  t.equal(stderr, '');
  t.equal(code, 0);
  t.match(stdout, /^10000 made in .* s, destroyed in .* s\n$/);
  t.comment(stdout.trim());
  t.ok(await isClean(), 'nothing is left');
});

t.test('a client that is killed in the middle of it leaves nothing', async (t) => {
  const program = clientProgram('many-qps', '-libverbs');
  const killed = ['timeout', '-s', 'KILL', '0.7', program, 'mlx4_0', '1000000'];
  await daemon.run(...killed);
  let clean = false;
  for (let i = 0; i < 50 && !clean; i++) clean = await isClean();
  t.ok(clean);
});
