import type { DeviceStatus } from '../../../src/admin/protocol.js';
import { Refusal } from '../../../src/admin/refusal.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { plural, print, properties, table } from '../render.js';
import { usersTable } from '../users.js';

/** A device loses its node before its last user. */
function stateText({ plugged, uverbs }: DeviceStatus): string {
  if (!plugged) return 'unplugged';
  return uverbs === undefined ? 'being unplugged' : `plugged in, ${uverbs}`;
}

/** What its users can tell: the kernel it shows, and whether its driver can cut them off. */
function kernelText({ kernelProfile, driverWithoutDisassociate }: DeviceStatus): string {
  return `${kernelProfile}, driver ${driverWithoutDisassociate ? 'without' : 'with'} disassociate`;
}

function deviceText(device: DeviceStatus): string {
  const lines = [
    properties([
      ['device', device.name],
      ['state', stateText(device)],
      ['pci', device.pci],
      ['node guid', device.nodeGuid],
      ['firmware', device.firmware],
      ['kernel', kernelText(device)],
      ['in use', plural(device.contexts.length, 'open context')],
    ]),
  ];
  if (device.ports.length > 0) {
    const rows = device.ports.map((port) => [
      port.port,
      port.state,
      port.physState,
      `0x${port.lid.toString(16)}`,
      port.gid,
      port.linkLayer,
      port.rate,
    ]);
    lines.push(table(['PORT', 'STATE', 'PHYSICAL', 'LID', 'GID', 'LINK LAYER', 'RATE'], rows));
  }
  if (device.contexts.length > 0) lines.push(usersTable(device.contexts));
  return lines.join('\n');
}

const devShow: Action = async ({ runtimeDirectory, arguments: [name], options }) => {
  const all = await withDaemon(runtimeDirectory, (client) => client.call('device.list', {}));
  const devices = name === undefined ? all : all.filter((device) => device.name === name);
  if (name !== undefined && devices.length === 0) {
    const known = all.map((device) => device.name).join(', ') || 'no device at all';
    throw new Refusal(`there is no device ${name}: the simulator has ${known}`);
  }
  print(devices, options, (list) => list.map(deviceText).join('\n\n'));
  return undefined;
};
export default devShow;
