/** Removal of a device whose clients have other event files than libibverbs makes. The rest is in test/conformance. */
import { join } from 'node:path';
import t from 'tap';
import { startDaemon } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import {
  ALLOC_PD,
  allocAsyncFile,
  CREATE_COMP_CHANNEL,
  GET_CONTEXT_IOCTL,
  make,
  openByIoctl,
} from './support/context.js';
import { outcome, succeeded, UverbsDoor } from './support/door.js';
import { drain, FATAL } from './support/events.js';
import { POLLERR } from './support/poll-bits.js';

t.test('a context without an event file, and one with several', async (t) => {
  const daemon = await startDaemon(t);
  const operator = await operate(t, daemon);
  const node = join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0');
  const door = UverbsDoor.start(t);
  const silent = await door.open(node);
  succeeded('GET_CONTEXT', await door.ioctl(silent, GET_CONTEXT_IOCTL, 32));
  const channel = await make(door, silent, CREATE_COMP_CHANNEL);
  const { fd, asyncFd } = await openByIoctl(door, node);
  const files = [asyncFd, await allocAsyncFile(door, fd), await allocAsyncFile(door, fd)];
  const { contexts } = await operator.call('device.unplug', { device: 'mlx4_0' });
  t.equal(contexts.length, 2);
  for (const file of files) t.same(await drain(door, file), [FATAL], 'each is told');
  t.equal(await door.poll(channel), POLLERR);
  t.equal(outcome(await door.command(silent, ALLOC_PD)), 'EIO', 'nobody was told, but it is gone');
});
