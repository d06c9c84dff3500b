/** For what a simulator does to the machine, which other tests, and their simulators, would see. */
import { execute, type Output, VERBSIM } from './daemon.js';

const PRELUDE = `
  set -e
  mount -t tmpfs run /run
  mkdir /run/dev
  mount -t tmpfs dev /run/dev
  for node in fuse null urandom zero; do
    touch /run/dev/$node
    mount --bind /dev/$node /run/dev/$node
  done
  mount --move /run/dev /dev
  trap '"$VERBSIM" down >/dev/null 2>&1 || true' EXIT
`;

/**
 * Runs a shell script in a mount namespace of its own, with a /run and a /dev that are its own, too. The simulator that
 * it starts with "$VERBSIM" is stopped when it ends.
 */
export const isolated = (script: string): Promise<Output> =>
  execute('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', PRELUDE + script], {
    VERBSIM_RUNTIME_DIR: '/run/verbsim',
    VERBSIM,
  });
