/** The simulator is killed: its clients get errors and never hang, and the next one starts where it was. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { native } from '../../devfs/native.js';
import { type Daemon, eventually, execute, isMounted, startDaemon, VERBSIM } from '../support/daemon.js';
import {
  ALLOC_PD,
  CREATE_COMP_CHANNEL,
  countHandles,
  GET_CONTEXT,
  make,
  openByIoctl,
  openByWrite,
} from './support/context.js';
import { type Answer, outcome, UverbsDoor } from './support/door.js';
import { byWrite } from './support/messages.js';

/** What the kernel says for a FUSE connection that ended. */
const GONE = ['ENOTCONN', 'ECONNABORTED'];
const CLIENTS = 20;
/** umount2(2): aborts a FUSE connection, whoever holds it. */
const MNT_FORCE = 1;

const nodeOf = ({ mountpoint }: Pick<Daemon, 'mountpoint'>): string =>
  join(mountpoint, 'dev', 'infiniband', 'uverbs0');

/** Kills the simulator, which must take no help from anybody. */
async function kill(t: Test, daemon: Daemon): Promise<void> {
  // If it does, this ends what waits for it, so that the test can end.
  t.teardown(() => native.umount(daemon.mountpoint, MNT_FORCE));
  daemon.process.kill('SIGKILL');
  await eventually('the simulator is gone', () => daemon.process.signalCode !== null);
}

/** A new simulator in the place of a dead one. */
async function restart(t: Test, { runtimeDir }: Daemon): Promise<void> {
  const verbsim = (...args: string[]) => execute(VERBSIM, ['--runtime-dir', runtimeDir, ...args]);
  const { code, stderr } = await verbsim('up');
  t.equal(code, 0, stderr);
  t.teardown(() => verbsim('down'));
}

const isError = ({ result }: Answer): boolean => result === -1;

t.test('clients that wait are woken', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, nodeOf(daemon));
  const channel = await make(door, fd, CREATE_COMP_CHANNEL);
  const map = await door.map(fd);
  const reads = [await door.start('read', asyncFd, 16), await door.start('read', channel, 8)];
  const polls = [await door.start('poll', asyncFd, 600_000), await door.start('epoll', channel, 600_000)];
  for (const job of [...reads, ...polls]) t.ok((await door.wait(job, 20)).pending);
  await kill(t, daemon);
  for (const job of reads) t.ok(GONE.includes(String(outcome(await door.wait(job)))), 'a read');
  for (const job of polls) t.notOk((await door.wait(job)).pending, 'a poll');

  for (const [name, answer] of [
    ['write', await door.command(fd, ALLOC_PD)],
    ['ioctl', await door.invoke(fd, ALLOC_PD)],
    ['read', await door.read(asyncFd, 16)],
  ] as const) {
    t.ok(GONE.includes(String(outcome(answer))), `${name}: ${outcome(answer)}`);
  }
  await eventually('the guard unmounts', () => !isMounted(daemon.mountpoint));
  t.equal(outcome(await door.ask('open', nodeOf(daemon))), 'ENOENT');
  t.match(await door.ask('store32', map, 0, 1), { result: 0 }, 'mappings stay');
  t.match(await door.ask('load32', map, 0), { value: 1 });
  t.equal(outcome(await door.close(fd)), 0);

  await restart(t, daemon);
  const fresh = await openByWrite(door, nodeOf(daemon));
  t.equal(await make(door, fresh.fd, ALLOC_PD), 0, 'the next simulator serves the same client');
  t.equal(outcome(await door.read(channel, 8)), 'ENOTCONN', 'old descriptors stay dead');
});

t.test('clients in the middle of commands get errors', async (t) => {
  const daemon = await startDaemon(t);
  const doors = Array.from({ length: CLIENTS }, () => UverbsDoor.start(t));
  let dead = false;
  /** Opens, and works, until something fails. */
  const work = async (door: UverbsDoor): Promise<Answer> => {
    for (;;) {
      const opened = await door.ask('open', nodeOf(daemon));
      if (opened.fd === undefined) return opened;
      for (const command of [GET_CONTEXT, ALLOC_PD, CREATE_COMP_CHANNEL, ALLOC_PD]) {
        const answer = await door.command(opened.fd, command);
        if (isError(answer)) return answer;
      }
      await door.invoke(opened.fd, ALLOC_PD);
      await door.close(opened.fd);
      if (dead) await setTimeout(1);
    }
  };
  const ends = doors.map(work);
  await setTimeout(300);
  await kill(t, daemon);
  dead = true;
  for (const end of await Promise.all(ends)) {
    t.ok(isError(end) && end.errno !== undefined, `a client got ${outcome(end)}`);
  }
  for (const door of doors) {
    const status = readFileSync(`/proc/${door.pid}/status`, 'utf8');
    t.match(status, /^State:\t[RSD]/m, 'none is stopped');
    t.match(status, /^TracerPid:\t0$/m, 'or traced');
    t.match(await door.ask('pid'), { pid: door.pid }, 'each works on');
  }
});

t.test('the next simulator clears away what was left', async (t) => {
  const daemon = await startDaemon(t);
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, nodeOf(daemon));
  await kill(t, daemon);
  await eventually('the guard unmounts', () => !isMounted(daemon.mountpoint));
  await restart(t, daemon);
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const here = mounts.filter((line) => line.split(' ')[4] === daemon.mountpoint);
  t.equal(here.length, 1, 'one mount, not two on top of each other');
  t.ok(existsSync(nodeOf(daemon)));
  const info = await daemon.run('ibv_devinfo');
  t.equal(info.code, 0);
  t.match(info.stdout, 'PORT_ACTIVE');
  t.equal(await countHandles(door, fd, 1), 'ENOTCONN', 'a client of the dead one is not taken over');
  t.equal(outcome(await door.write(fd, byWrite(ALLOC_PD), 12)), 'ENOTCONN');
});
