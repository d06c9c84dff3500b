import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

const plug: Action = async ({ runtimeDirectory, arguments: [device = ''] }) => {
  await withDaemon(runtimeDirectory, (client) => client.call('device.plug', { device }));
  process.stdout.write(`${device} plugged in\n`);
  return undefined;
};
export default plug;
