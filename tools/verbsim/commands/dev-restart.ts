/** dev fatal and dev reset: both take the device away and bring it back. */
import type { MethodName, UnplugReport } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { plural, print } from '../render.js';

function restart(method: Extract<MethodName, 'device.fatal' | 'device.reset'>): Action {
  return async ({ runtimeDirectory, arguments: [device = ''], options }) => {
    const params = { device, realisticTiming: options.realisticTiming === true };
    const report = await withDaemon(runtimeDirectory, (client) => client.call(method, params));
    print(report, options, text);
    return undefined;
  };
}

function text({ device, contexts }: UnplugReport): string {
  return `${device} restarted, cutting off ${plural(contexts.length, 'context')}`;
}

export const fatal = restart('device.fatal');
export const reset = restart('device.reset');
