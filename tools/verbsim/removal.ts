/**
 * Commands that take a device away from its users. With a driver that cannot cut them off that lasts until they close
 * it: meanwhile they are shown. The simulator goes on with it if the command is interrupted or gives up.
 */
import { setTimeout } from 'node:timers/promises';
import type { AdminClient } from '../../src/admin/client.js';
import type { Arguments, ContextStatus, Result } from '../../src/admin/protocol.js';
import { Refusal } from '../../src/admin/refusal.js';
import type { Invocation } from './command.js';
import { withDaemon } from './connection.js';
import { usersTable } from './users.js';

/** With what becomes of the device. */
const METHODS = {
  'device.unplug': 'unplugged',
  'device.delete': 'deleted',
  'device.fatal': 'restarted',
  'device.reset': 'restarted',
} as const;
type RemovalMethod = keyof typeof METHODS;

/** A removal that takes longer than this may be waiting for the device's users. */
const PATIENCE_MILLISECONDS = 300;

/** After these there may be other users to wait for than before. */
const NEWS: ReadonlySet<string> = new Set(['being unplugged', 'descriptor closed', 'closed']);

/** Does not keep the command from ending before. */
const pause = <T>(milliseconds: number, value: T): Promise<T> =>
  setTimeout(milliseconds, value, { ref: false });

/** Those who must close the device before it is gone; nobody unless its removal has begun. */
async function awaitedUsers(client: AdminClient, device: string): Promise<ContextStatus[]> {
  const found = (await client.call('device.list', {})).find(({ name }) => name === device);
  if (found === undefined || !found.driverWithoutDisassociate) return [];
  return found.plugged && found.uverbs === undefined ? found.contexts : [];
}

/** Shows on standard error whom the removal waits for, now and whenever that changes, until `done`. */
async function watchUsers(runtimeDirectory: string, device: string, done: Promise<unknown>): Promise<void> {
  const early = await Promise.race([done.then(() => true), pause(PATIENCE_MILLISECONDS, false)]);
  if (early) return;
  await withDaemon(runtimeDirectory, async (client) => {
    let shown = '';
    const show = async (): Promise<void> => {
      const users = await awaitedUsers(client, device);
      const text = users.length === 0 ? '' : usersTable(users);
      if (text !== '' && text !== shown) {
        process.stderr.write(`${device} is gone for new users; waiting for these to close it:\n${text}\n`);
      }
      shown = text;
    };
    await client.monitor((entry) => {
      if (entry.device === device && NEWS.has(entry.event)) void show().catch(() => {});
    });
    await show();
    await done;
  });
}

/** Of a command that gives up. */
async function explainDelay(
  client: AdminClient,
  device: string,
  timeout: number,
  outcome: string,
): Promise<Refusal> {
  const users = await awaitedUsers(client, device);
  return new Refusal(
    users.length > 0
      ? `${device} is still in use after ${timeout} s: it is ${outcome} once its users close it`
      : `${device} is not ${outcome} after ${timeout} s: the simulator goes on with it`,
  );
}

/** Resolves with the result. Throws the simulator's Refusal, or one of its own after `--timeout`. */
export function remove<M extends RemovalMethod>(
  { runtimeDirectory, options: { timeout } }: Invocation,
  method: M,
  params: Arguments<M>,
): Promise<Result<M>> {
  const { device } = params;
  return withDaemon(runtimeDirectory, async (client) => {
    const removal = client.call(method, params).then((result) => ({ result }));
    const settled = removal.catch(() => undefined);
    const watching = watchUsers(runtimeDirectory, device, settled).catch(() => {});
    const outcome = await Promise.race([
      removal,
      ...(timeout === undefined ? [] : [pause(timeout * 1000, undefined)]),
    ]);
    if (outcome === undefined) {
      throw await withDaemon(runtimeDirectory, (other) =>
        explainDelay(other, device, timeout ?? 0, METHODS[method]),
      );
    }
    await watching;
    return outcome.result;
  });
}
