/**
 * A program of its own, run by system-mode.ts: makes bind mounts of directories of the daemon's file system. To look
 * up their sources is to ask the daemon, which therefore cannot do it itself.
 *
 * Its argument is a JSON array of BindMount; it prints a JSON array with the result of each, in that order.
 */
import { native } from '../../devfs/native.js';

export interface BindMount {
  source: string;
  target: string;
}

const mounts = JSON.parse(process.argv[2] ?? '[]') as BindMount[];
/** 0 or a negative errno. */
const results = mounts.map(({ source, target }) => native.mount(source, target, '', native.MS_BIND, ''));
process.stdout.write(JSON.stringify(results));
