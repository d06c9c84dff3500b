/** Clients under a debugger: they cannot be given a device, and must not be disturbed otherwise. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { clientProgram } from '../support/client-programs.js';
import { type Daemon, eventually, startDaemon } from '../support/daemon.js';
import { allClosed, operate } from '../support/operator.js';
import { ALLOC_PD, CREATE_COMP_CHANNEL, deallocPd, make, openByIoctl } from './support/context.js';
import { outcome, UverbsDoor } from './support/door.js';

const ADVICE =
  'the client is traced already: run it without strace or gdb, or attach them after the device is open';

const nodeOf = ({ mountpoint }: Daemon): string => join(mountpoint, 'dev', 'infiniband', 'uverbs0');

/** The numbers in a line of /proc/PID/status. */
function tracerOf(pid: number): number {
  return Number(/^TracerPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

// `door` opens, says what came of it, and goes on with other work, as a client that copes with errors.
for (const [tracer, ...command] of [
  ['strace', '-f', '-o', '/dev/null'],
  ['gdb', '-q', '-batch', '-ex', 'run', '--args'],
] as const) {
  t.test(`a client that runs under ${tracer} cannot open the device`, async (t) => {
    const daemon = await startDaemon(t);
    const client = spawn(tracer, [...command, clientProgram('door')], { stdio: ['pipe', 'pipe', 'ignore'] });
    t.teardown(() => client.kill('SIGKILL'));
    client.stdin.end(`open ${nodeOf(daemon)}\nopen /dev/null\nsleep 1\npid\n`);
    const exited = once(client, 'exit');
    const said = await text(client.stdout);
    t.match(said, '{"result":-1,"errno":"EPERM"}', 'it is refused');
    t.match(said, /\{"fd":\d+\}/, 'and works on');
    t.match(said, /\{"pid":\d+\}/);
    t.same(await exited, [0, null], 'to its normal end');
    await logs(t, daemon);
  });
}

async function logs(t: Test, daemon: Daemon): Promise<void> {
  await eventually('the daemon says why', () => daemon.log().includes(ADVICE));
  const operator = await operate(t, daemon);
  await allClosed(operator);
  t.equal((await daemon.run('ibv_devinfo')).code, 0, 'other clients can');
}

t.test('libibverbs under strace', async (t) => {
  const daemon = await startDaemon(t);
  const { code, stderr } = await daemon.run('strace', '-f', '-o', '/dev/null', 'ibv_devinfo');
  t.not(code, 0);
  t.match(stderr, 'Failed to open device');
  await logs(t, daemon);
});

t.test('a debugger that is attached later', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, nodeOf(daemon));
  const strace = spawn('strace', ['-f', '-o', '/dev/null', '-p', String(door.pid)], { stdio: 'ignore' });
  const exited = once(strace, 'exit');
  t.teardown(() => strace.kill('SIGKILL'));
  await eventually('strace is attached', () => tracerOf(door.pid) === strace.pid);

  const pd = await make(door, fd, ALLOC_PD);
  t.equal(outcome(await door.invoke(fd, deallocPd(pd))), 0, 'commands work by either door');
  const refused = await door.command(fd, CREATE_COMP_CHANNEL);
  t.equal(outcome(refused), 'EPERM', 'but a new descriptor cannot be given');
  await eventually('the daemon says why', () => daemon.log().includes('traced already'));
  t.equal(tracerOf(door.pid), strace.pid, 'the debugger keeps its client');

  strace.kill('SIGINT');
  await exited;
  await eventually('strace is detached', () => tracerOf(door.pid) === 0);
  t.equal(outcome(await door.read(await make(door, fd, CREATE_COMP_CHANNEL), 8, 'nonblock')), 'EAGAIN');
});
