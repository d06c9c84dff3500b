/** Where a daemon and those who talk to it meet. */
import { join, resolve } from 'node:path';

export const DEFAULT_RUNTIME_DIRECTORY = '/run/verbsim';
/** What the directories of simulators begin with that `verbsim run` starts for its command alone. */
export const PRIVATE_DIRECTORIES = '/run/verbsim-run-';

export interface RuntimePaths {
  directory: string;
  adminSocket: string;
  mountpoint: string;
  pidFile: string;
  logFile: string;
  lockFile: string;
}

export function runtimePaths(directory: string): RuntimePaths {
  const absolute = resolve(directory);
  return {
    directory: absolute,
    adminSocket: join(absolute, 'admin.sock'),
    mountpoint: join(absolute, 'mnt'),
    pidFile: join(absolute, 'daemon.pid'),
    logFile: join(absolute, 'daemon.log'),
    lockFile: join(absolute, 'lock'),
  };
}
