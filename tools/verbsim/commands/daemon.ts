import type { Action } from '../command.js';

const daemon: Action = async ({ runtimeDirectory, options }) => {
  const { runDaemon } = await import('../../../src/daemon/main.js');
  const exitCode = await runDaemon({ runtimeDirectory, ...options });
  // Handles that are still open must not keep a daemon alive that has taken everything down.
  process.exit(exitCode);
};
export default daemon;
