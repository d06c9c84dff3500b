import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

/** One word for a POSIX shell. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const env: Action = async ({ runtimeDirectory }) => {
  const { mountpoint } = await withDaemon(runtimeDirectory, (client) => client.call('status', {}));
  process.stdout.write(`export SYSFS_PATH=${quote(`${mountpoint}/sys`)}\n`);
  return undefined;
};
export default env;
