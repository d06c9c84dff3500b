import { setTimeout } from 'node:timers/promises';
import type { AdminClient } from '../../../src/admin/client.js';
import type { UnplugReport } from '../../../src/admin/protocol.js';
import { Refusal } from '../../../src/admin/refusal.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { plural, print } from '../render.js';
import { usersTable } from '../users.js';

/** A removal that takes longer than this waits for the device's users. */
const PATIENCE_MILLISECONDS = 300;

function text({ device, contexts, milliseconds }: UnplugReport): string {
  const summary = `${device} unplugged in ${milliseconds.toFixed(1)} ms`;
  if (contexts.length === 0) return `${summary}, nobody was using it`;
  return `${summary}, cutting off ${plural(contexts.length, 'context')}\n${usersTable(contexts)}`;
}

async function showUsers(client: AdminClient, device: string): Promise<void> {
  const found = (await client.call('device.list', {})).find(({ name }) => name === device);
  if (found === undefined || found.contexts.length === 0) return;
  process.stderr.write(`${device} is gone for new users; waiting for these to close it:\n`);
  process.stderr.write(`${usersTable(found.contexts)}\n`);
}

/** Shows who still holds the device, now and whenever one of them lets go, until `done`. */
async function watchUsers(runtimeDirectory: string, device: string, done: Promise<unknown>): Promise<void> {
  const early = await Promise.race([done.then(() => true), setTimeout(PATIENCE_MILLISECONDS, false)]);
  if (early) return;
  await withDaemon(runtimeDirectory, async (client) => {
    await client.monitor((entry) => {
      if (entry.device === device && entry.event === 'closed') void showUsers(client, device).catch(() => {});
    });
    await showUsers(client, device);
    await done;
  });
}

/** The removal goes on in the simulator if this command is interrupted or gives up. */
const unplug: Action = async ({ runtimeDirectory, arguments: [device = ''], options }) =>
  withDaemon(runtimeDirectory, async (client) => {
    const removal = client.call('device.unplug', { device });
    const settled = removal.catch(() => undefined);
    const watching = watchUsers(runtimeDirectory, device, settled).catch(() => {});
    const { timeout } = options;
    const expired = new AbortController();
    const report = await Promise.race([
      removal,
      ...(timeout === undefined ? [] : [setTimeout(timeout * 1000, undefined, { signal: expired.signal })]),
    ]);
    expired.abort();
    if (report === undefined) {
      throw new Refusal(
        `${device} is still in use after ${timeout} s: it is unplugged once its users close it`,
      );
    }
    await watching;
    print(report, options, text);
    return undefined;
  });
export default unplug;
