import { type Mount, readMounts } from '../../devfs/index.js';

/** The type of every mount of a simulator, bind mounts of its directories included. */
const FUSE_TYPE = 'fuse.verbsim';

/** The simulators' mounts that this process sees, the latest last. */
export function simulatorMounts(): Mount[] {
  return readMounts().filter(({ type }) => type === FUSE_TYPE);
}
