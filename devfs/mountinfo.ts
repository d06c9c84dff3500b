/** What is mounted where, from proc_pid_mountinfo(5): reading it asks no file system anything. */
import { readFileSync } from 'node:fs';

export interface Mount {
  id: number;
  /** Device number, "0:52"; bind mounts have that of the mount they come from. */
  device: string;
  mountpoint: string;
  /** Of the mount, not of its file system: "rw", "noatime". */
  options: string[];
  /** "ext4", "fuse.verbsim". */
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
      const [id = '', , device = '', , mountpoint = '', options = ''] = fields;
      // Optional fields of any number end at a lone hyphen; the file system type comes after it.
      const type = fields[fields.indexOf('-', 6) + 1] ?? '';
      return { id: Number(id), device, mountpoint: decode(mountpoint), options: options.split(','), type };
    });
}

/** The mounts that a thread sees, the latest last; those of this process if none is named. Throws if it is gone. */
export function readMounts(tid: number | 'self' = 'self'): Mount[] {
  return parseMountinfo(readFileSync(`/proc/${tid}/mountinfo`, 'utf8'));
}

export function isMounted(mountpoint: string): boolean {
  return readMounts().some((mount) => mount.mountpoint === mountpoint);
}
