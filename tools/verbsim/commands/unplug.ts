import type { UnplugReport } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { plural, print, table } from '../render.js';

function text({ device, contexts, milliseconds }: UnplugReport): string {
  const summary = `${device} unplugged in ${milliseconds.toFixed(1)} ms`;
  if (contexts.length === 0) return `${summary}, nobody was using it`;
  const rows = contexts.map(({ pid, comm, objects }) => [pid, comm, objects]);
  return `${summary}, cutting off ${plural(contexts.length, 'context')}\n${table(['PID', 'COMMAND', 'OBJECTS'], rows)}`;
}

const unplug: Action = async ({ runtimeDirectory, arguments: [device = ''], options }) => {
  const report = await withDaemon(runtimeDirectory, (client) => client.call('device.unplug', { device }));
  print(report, options, text);
  return undefined;
};
export default unplug;
