/** What is mounted where, from proc_pid_mountinfo(5): reading it asks no file system anything. */
import { readFileSync } from 'node:fs';

/** The type of every mount of a simulator, bind mounts of its directories included. */
export const FUSE_TYPE = 'fuse.verbsim';

export interface Mount {
  mountpoint: string;
  /** Device number, "0:52"; bind mounts have that of the mount they come from. */
  device: string;
  type: string;
}

export function parseMountinfo(text: string): Mount[] {
  // Space, tab, newline and backslash in a path are written as three octal digits.
  const decode = (path: string) =>
    path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = line.split(' ');
      const [, , device = '', , mountpoint = ''] = fields;
      // Optional fields of any number end at a lone hyphen; the file system type comes after it.
      return { mountpoint: decode(mountpoint), device, type: fields[fields.indexOf('-', 6) + 1] ?? '' };
    });
}

/** The simulators' mounts that this process sees, the latest last. */
export function simulatorMounts(): Mount[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8')).filter(
    ({ type }) => type === FUSE_TYPE,
  );
}
