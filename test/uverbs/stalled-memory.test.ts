/** A client cannot keep the daemon waiting by naming memory that a file system of its own backs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { native } from '../../devfs/native.js';
import { clientProgram } from '../support/client-programs.js';
import { startDaemon } from '../support/daemon.js';
import { ALLOC_PD, make, openByWrite, queryPort } from './support/context.js';
import { outcome, succeeded, UverbsDoor } from './support/door.js';
import { byWrite } from './support/messages.js';

/** A file that is never read; detached when the test ends. */
async function mountHungFile(t: Test): Promise<string> {
  const mountpoint = mkdtempSync(join(tmpdir(), 'verbsim-hung-'));
  const server = spawn(clientProgram('hung-file'), [mountpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => {
    server.kill('SIGKILL');
    native.umount(mountpoint, native.MNT_DETACH);
    rmdirSync(mountpoint);
  });
  await once(server.stdout, 'data');
  return join(mountpoint, 'file');
}

t.test('a response in memory that never comes', async (t) => {
  const daemon = await startDaemon(t);
  const file = await mountHungFile(t);
  const node = join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0');
  const hostile = UverbsDoor.start(t);
  const { fd } = await openByWrite(hostile, node);
  const { map } = succeeded(
    'mmap',
    await hostile.ask('mmap', await hostile.open(file), 0, 4096, 'rw', 'private'),
  );
  const job = await hostile.start('write', fd, byWrite(queryPort(1)).replace('@R', `@M:${map};`));

  const other = UverbsDoor.start(t);
  const { fd: itsFd } = await openByWrite(other, node);
  t.equal(await make(other, itsFd, ALLOC_PD), 0, 'others get their turn');
  t.equal(outcome(await hostile.wait(job)), 'EFAULT', 'it is told that the address is bad');
  t.equal(await make(hostile, fd, ALLOC_PD), 0, 'and can go on');
  const again = await hostile.ask('open', file);
  t.equal(outcome(again), 'ENOTCONN', 'its file system is cut off');
  t.ok(existsSync(node), "the simulator's is not");
});
