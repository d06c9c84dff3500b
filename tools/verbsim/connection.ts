import { AdminClient } from '../../src/admin/client.js';
import { runtimePaths } from '../../src/admin/runtime-paths.js';

/** Runs `use` with a connection to the daemon at a runtime directory. Throws NoDaemon, and what `use` throws. */
export async function withDaemon<T>(
  runtimeDirectory: string,
  use: (client: AdminClient) => Promise<T>,
): Promise<T> {
  const client = await AdminClient.connect(runtimePaths(runtimeDirectory).adminSocket);
  try {
    return await use(client);
  } finally {
    client.close();
  }
}
