import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

const devDel: Action = async ({ runtimeDirectory, arguments: [device = ''] }) => {
  await withDaemon(runtimeDirectory, (client) => client.call('device.delete', { device }));
  process.stdout.write(`${device} deleted\n`);
  return undefined;
};
export default devDel;
