import type { DaemonStatus } from '../../../src/admin/protocol.js';
import type { Action } from '../command.js';
import { withDaemon } from '../connection.js';
import { print, properties } from '../render.js';

function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const shown = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`);
  return shown.length === 0 ? '0 s' : shown.join(' ');
}

const text = (status: DaemonStatus): string =>
  properties([
    ['process', status.pid],
    ['version', status.version],
    ['uptime', duration(status.uptimeSeconds)],
    ['mounted at', status.mountpoint],
    ['devices', status.devices.join(', ') || 'none'],
    ['open files', status.openFiles],
    ['memory', `${(status.residentBytes / 2 ** 20).toFixed(1)} MiB`],
  ]);

const status: Action = async ({ runtimeDirectory, options }) => {
  print(await withDaemon(runtimeDirectory, (client) => client.call('status', {})), options, text);
  return undefined;
};
export default status;
