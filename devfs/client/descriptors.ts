/**
 * What is behind a client's descriptors, read from /proc. Nothing here touches the files themselves: one of them
 * could be our own, and the daemon would wait for itself.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readMounts } from '../mountinfo.js';

/** Names under which the client agent opens installed descriptors. */
export const DESCRIPTOR_PREFIX = '.descriptor-';

const DESCRIPTOR_NAME = /\/(\.descriptor-[0-9a-f]{16})(?: \(deleted\))?$/;

/** The name that an installed descriptor was opened by; it is unique. `undefined` for any other file. */
export function descriptorName(tid: number, fd: number): string | undefined {
  try {
    return DESCRIPTOR_NAME.exec(readlinkSync(`/proc/${tid}/fd/${fd}`))?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Names the inode behind a descriptor, the same for every process and descriptor that has it open. `undefined` if
 * the descriptor is not open.
 */
export function inodeKey(tid: number, fd: number): string | undefined {
  try {
    const fdinfo = readFileSync(`/proc/${tid}/fdinfo/${fd}`, 'latin1');
    const mount = Number(/^mnt_id:\t(\d+)$/m.exec(fdinfo)?.[1]);
    const inode = /^ino:\t(\d+)$/m.exec(fdinfo)?.[1];
    return `${deviceOfMount(tid, mount)}:${inode}`;
  } catch {
    return undefined;
  }
}

/** `major:minor` of a mount; the kernel's own mounts (pipes, memfds) are in no list and stand for themselves. */
function deviceOfMount(tid: number, mount: number): string {
  return readMounts(tid).find(({ id }) => id === mount)?.device ?? `mount ${mount}`;
}
