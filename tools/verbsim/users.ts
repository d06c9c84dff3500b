import type { ContextStatus } from '../../src/admin/protocol.js';
import { table } from './render.js';

/** Who has a device open. */
export function usersTable(users: ContextStatus[]): string {
  const rows = users.map(({ pid, comm, objects, descriptors }) => [pid, comm, objects, descriptors]);
  return table(['PID', 'COMMAND', 'OBJECTS', 'DESCRIPTORS'], rows);
}
