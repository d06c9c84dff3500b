import { resolve } from 'node:path';
import { NoDaemon } from '../../../src/admin/no-daemon.js';
import { Refusal } from '../../../src/admin/refusal.js';
import { startInBackground } from '../background.js';
import type { Action, Options } from '../command.js';
import { withDaemon } from '../connection.js';

/** The daemon does not run in the current directory. */
function daemonFlags({ config, system, driverWithoutDisassociate }: Options): string[] {
  return [
    ...(config === undefined ? [] : ['--config', resolve(config)]),
    ...(system === true ? ['--system'] : []),
    ...(driverWithoutDisassociate === true ? ['--driver-without-disassociate'] : []),
  ];
}

async function requireNone(runtimeDirectory: string): Promise<void> {
  try {
    const { pid } = await withDaemon(runtimeDirectory, (client) => client.call('status', {}));
    throw new Refusal(
      `a simulator is already running at ${runtimeDirectory} (process ${pid}): stop it with "verbsim down", ` +
        'or choose another --runtime-dir',
    );
  } catch (error) {
    if (!(error instanceof NoDaemon)) throw error;
  }
}

const up: Action = async ({ runtimeDirectory, options }) => {
  await requireNone(runtimeDirectory);
  await startInBackground(runtimeDirectory, daemonFlags(options));
  const { pid, mountpoint, devices } = await withDaemon(runtimeDirectory, (client) =>
    client.call('status', {}),
  );
  const list = devices.length === 0 ? 'no devices' : devices.join(', ');
  process.stdout.write(`simulator running with ${list} at ${mountpoint} (process ${pid})\n`);
  return undefined;
};
export default up;
