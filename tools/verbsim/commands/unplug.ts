import type { UnplugReport } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { remove } from '../removal.js';
import { plural, print } from '../render.js';
import { usersTable } from '../users.js';

function text({ device, contexts, milliseconds }: UnplugReport): string {
  const summary = `${device} unplugged in ${milliseconds.toFixed(1)} ms, cutting off`;
  if (contexts.length === 0) return `${summary} nobody`;
  return `${summary} ${plural(contexts.length, 'context')}\n${usersTable(contexts)}`;
}

const unplug: Action = async (invocation) => {
  const [device = ''] = invocation.arguments;
  print(await remove(invocation, 'device.unplug', { device }), invocation.options, text);
  return undefined;
};
export default unplug;
