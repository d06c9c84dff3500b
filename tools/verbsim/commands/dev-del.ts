import type { Action } from '../command.js';
import { remove } from '../removal.js';

const devDel: Action = async (invocation) => {
  const [device = ''] = invocation.arguments;
  await remove(invocation, 'device.delete', { device });
  process.stdout.write(`${device} deleted\n`);
  return undefined;
};
export default devDel;
