import type { MonitorEntry } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { print } from '../render.js';

function text({ time, event, device, pid, comm, details }: MonitorEntry): string {
  const client = pid === undefined ? '' : ` ${comm}[${pid}]`;
  const rest = Object.entries(details ?? {}).map(([name, value]) => `${name}=${value}`);
  return [`${time} ${device ?? '-'}${client}: ${event}`, ...rest].join(' ');
}

/** Prints one line for everything that happens, until it is interrupted or the simulator stops. */
const monitor: Action = ({ runtimeDirectory, options }) =>
  withDaemon(runtimeDirectory, async (client) => {
    await client.monitor((entry) => print(entry, options, text));
    await client.ended();
    return undefined;
  });
export default monitor;
