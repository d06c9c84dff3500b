import type { ResourceStatus } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { print, table } from '../render.js';
import { RESOURCE_TYPES } from '../resource-types.js';

function row(resource: ResourceStatus): (string | number)[] {
  const { device, type, handle, pid, comm, attributes, refersTo } = resource;
  const details = Object.entries(attributes).map(([name, value]) => `${name} ${value}`);
  return [device, type, handle < 0 ? '-' : handle, pid, comm, details.join(' '), refersTo.join(', ')];
}

const HEAD = ['DEVICE', 'TYPE', 'HANDLE', 'PID', 'COMMAND', 'DETAILS', 'REFERS TO'];

const resourceShow: Action = async ({ runtimeDirectory, arguments: [type], options }) => {
  const wanted = type === undefined ? undefined : RESOURCE_TYPES[type];
  const all = await withDaemon(runtimeDirectory, (client) => client.call('resource.list', {}));
  const shown = wanted === undefined ? all : all.filter((resource) => resource.type === wanted);
  print(shown, options, (list) => table(HEAD, list.map(row)));
  return undefined;
};
export default resourceShow;
