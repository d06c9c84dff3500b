/** port set and port raise. */
import { Refusal } from '../../../src/admin/refusal.js';
import type { RaisableEvent } from '../../../src/admin/wire.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

/** "mlx4_0/1", as rdma(8) names a port. */
function parsePort(text: string): { device: string; port: number } {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  if (match === null) throw new Refusal(`${text} is no port: name one like "mlx4_0/1"`);
  return { device: match[1] as string, port: Number(match[2]) };
}

export const set: Action = async ({ runtimeDirectory, arguments: [name = '', , state = ''] }) => {
  const params = { ...parsePort(name), state: state as 'down' | 'active' };
  await withDaemon(runtimeDirectory, (client) => client.call('port.set', params));
  process.stdout.write(`${name} is ${state}\n`);
  return undefined;
};

export const raise: Action = async ({ runtimeDirectory, arguments: [name = '', event = ''] }) => {
  const params = { ...parsePort(name), event: event as RaisableEvent };
  await withDaemon(runtimeDirectory, (client) => client.call('port.raise', params));
  process.stdout.write(`${name}: ${event} raised\n`);
  return undefined;
};
