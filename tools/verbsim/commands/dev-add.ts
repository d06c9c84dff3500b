import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';

const devAdd: Action = async ({ runtimeDirectory, arguments: [name], options }) => {
  const made = await withDaemon(runtimeDirectory, (client) =>
    client.call('device.add', {
      ...(name !== undefined && { name }),
      ...(options.withoutDisassociate === true && { driver_without_disassociate: true }),
      ...(options.profile !== undefined && { kernel_profile: options.profile }),
      ...(options.linkLayer !== undefined && { link_layer: options.linkLayer }),
      ...(options.ports !== undefined && { ports: options.ports }),
    }),
  );
  process.stdout.write(`${made} added and plugged in\n`);
  return undefined;
};
export default devAdd;
