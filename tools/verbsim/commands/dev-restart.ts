/** dev fatal and dev reset: both take the device away and bring it back. */
import type { UnplugReport } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { remove } from '../removal.js';
import { plural, print } from '../render.js';

function restart(method: 'device.fatal' | 'device.reset'): Action {
  return async (invocation) => {
    const [device = ''] = invocation.arguments;
    const realisticTiming = invocation.options.realisticTiming === true;
    print(await remove(invocation, method, { device, realisticTiming }), invocation.options, text);
    return undefined;
  };
}

function text({ device, contexts }: UnplugReport): string {
  return `${device} restarted, cutting off ${plural(contexts.length, 'context')}`;
}

export const fatal = restart('device.fatal');
export const reset = restart('device.reset');
