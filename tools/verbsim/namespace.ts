/**
 * The mount namespace that `verbsim run` gives its command: the simulator's FUSE directories appear at the paths
 * where RDMA programs look for them (/dev/infiniband, /sys/class/infiniband, …), for this command alone.
 *
 * A directory of the FUSE tree is bind-mounted on the path of the same name, so that its content stays live: a
 * device plugged or unplugged later shows at once. Where that path does not exist, a mount point is needed, and
 * it must not be created in the real /dev or /sys. An overlay over the parent supplies it. An overlay is only
 * good for that: what is read *through* it may be stale, cannot be written, and is another inode than the host's.
 * So the host's own directories are bind-mounted back on top of the overlay, which leaves it as a skeleton.
 */
import {
  chmodSync,
  closeSync,
  type Dirent,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { isatty } from 'node:tty';
import { getSystemErrorMap } from 'node:util';
import { type Mount, readMounts } from '../../devfs/mountinfo.js';
import type { Native } from '../../devfs/native.js';

/** Directories that are the simulator's alone: they hide the host's directory of that name, if there is one. */
const OWNED = [/^\/dev\/infiniband/, /^\/sys\/class\/infiniband/, /^\/sys\/devices\/virtual\/misc\/rdma_cm$/];

/**
 * Where the private tmpfs is mounted while the overlays are made. Any directory does that always exists, that
 * the work itself does not need and that is never above the FUSE mount: it is covered for an instant, in the
 * new namespace only, and nothing has to be created on the host.
 */
const SCRATCH = '/sys/kernel';

/** Mount options of the host's mount that its overlay has to keep. */
const KEPT_OPTIONS = {
  ro: 'MS_RDONLY',
  nosuid: 'MS_NOSUID',
  nodev: 'MS_NODEV',
  noexec: 'MS_NOEXEC',
} as const;

/** Something of the FUSE tree that has to appear at `path`: a directory, or the symlink `target`. */
export interface Graft {
  path: string;
  target?: string;
}

/** One overlay: the host directory it covers, and the grafts below it whose path the host does not have. */
export interface Skeleton {
  path: string;
  missing: Graft[];
}

/** "no such file or directory (ENOENT)" for a negative errno. */
export function describeError(error: number): string {
  const [name, text] = getSystemErrorMap().get(error) ?? [`errno ${-error}`, 'the kernel refused'];
  return `${text} (${name})`;
}

function check(result: number, failed: string, advice: string): void {
  if (result < 0) throw new Error(`${failed}: ${describeError(result)}; ${advice}`);
}

/** The result of a file system call, or undefined where the path does not exist. */
function ifPresent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

const isDirectory = (path: string): boolean => ifPresent(() => lstatSync(path))?.isDirectory() ?? false;
const isBelow = (path: string, ancestor: string): boolean => path.startsWith(`${ancestor}/`);

/** The directories from `ancestor` down to `path`, both included. */
function chain(ancestor: string, path: string): string[] {
  return path === ancestor ? [ancestor] : [...chain(ancestor, dirname(path)), path];
}

/** What one entry of the FUSE tree needs at `path`: nothing, itself as a graft, or its entries one by one. */
function graftsOf(entry: Dirent, source: string, path: string): Graft[] {
  if (entry.isSymbolicLink()) {
    const target = ifPresent(() => readlinkSync(source));
    const existing = lstatLink(path);
    return target === undefined || target === existing ? [] : [{ path, target }];
  }
  // A file belongs to its directory, and a directory that both sides have keeps the host's files.
  if (!entry.isDirectory()) return [];
  const shared = isDirectory(path) && !OWNED.some((owned) => owned.test(path));
  return shared ? findGrafts(source, path) : [{ path }];
}

function lstatLink(path: string): string | undefined {
  return ifPresent(() => (lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined));
}

/**
 * What has to appear below the host directory `path` so that it shows the FUSE directory `source` as well. A
 * directory that exists on both sides is shared and searched further; the parent of each graft thus exists on
 * the host. An entry that is unplugged during the search is left out.
 */
export function findGrafts(source: string, path: string): Graft[] {
  const entries = ifPresent(() => readdirSync(source, { withFileTypes: true })) ?? [];
  return entries.flatMap((entry) => graftsOf(entry, join(source, entry.name), join(path, entry.name)));
}

/** All grafts of the FUSE tree at `mountpoint`. */
function readTree(mountpoint: string): Graft[] {
  try {
    return ['/dev', '/sys'].flatMap((top) => findGrafts(join(mountpoint, top), top));
  } catch (error) {
    // A FUSE mount whose daemon has died answers ENOTCONN.
    const { errno = 0 } = error as NodeJS.ErrnoException;
    throw new Error(
      `${mountpoint} cannot be read: ${describeError(errno)}; see whether the simulator that mounted it is running`,
      { cause: error },
    );
  }
}

/**
 * The overlays that `grafts` need: none for a directory that the host has too, else one over the parent. Parents
 * inside one another share the outer one's overlay unless a mount lies between them, because an overlay shows
 * nothing of what is mounted on the directory it covers.
 */
export function planSkeletons(grafts: Graft[], mountPoints: string[]): Skeleton[] {
  const missing = grafts.filter((graft) => graft.target !== undefined || !isDirectory(graft.path));
  const skeletons: Skeleton[] = [];
  // With the shorter paths first, a directory comes before everything inside it.
  for (const graft of missing.sort((a, b) => dirname(a.path).length - dirname(b.path).length)) {
    const parent = dirname(graft.path);
    const reaches = (outer: string) =>
      parent === outer ||
      (isBelow(parent, outer) &&
        !chain(outer, parent)
          .slice(1)
          .some((path) => mountPoints.includes(path)));
    const skeleton = skeletons.find(({ path }) => reaches(path));
    if (skeleton === undefined) skeletons.push({ path: parent, missing: [graft] });
    else skeleton.missing.push(graft);
  }
  return skeletons;
}

/** The mount that `path` lies on, exactly: by the mount id of an open descriptor, not by comparing paths. */
function mountOf(path: string): Mount | undefined {
  const fd = openSync(path, 'r');
  try {
    const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return readMounts().find((mount) => mount.id === Number(id));
  } finally {
    closeSync(fd);
  }
}

/** Paths of the terminals that are this process's standard streams. */
function terminals(): string[] {
  return [0, 1, 2].filter((fd) => isatty(fd)).map((fd) => readlinkSync(`/proc/self/fd/${fd}`));
}

/** Makes the mount points and symlinks of one skeleton, and the directories that lead to them, below `added`. */
function addMissing({ path: root, missing }: Skeleton, added: string): void {
  for (const { path, target } of missing) {
    for (const directory of chain(root, dirname(path))) {
      const copy = join(added, relative(root, directory));
      mkdirSync(copy, { recursive: true });
      // An overlay shows the attributes of its topmost layer.
      chmodSync(copy, lstatSync(directory).mode & 0o7777);
    }
    const entry = join(added, relative(root, path));
    if (target === undefined) mkdirSync(entry);
    else symlinkSync(target, entry);
  }
}

class Builder {
  constructor(private readonly native: Native) {}

  enter(mountpoint: string): void {
    const { native } = this;
    check(
      native.unshareMounts(),
      'a mount namespace of its own cannot be made for the command',
      'run verbsim as root, or with CAP_SYS_ADMIN',
    );
    const grafts = readTree(mountpoint);
    if (grafts.length === 0) {
      throw new Error(
        `${mountpoint} holds neither dev/infiniband nor sys/class: the simulator is not mounted there; ` +
          'start it with "verbsim up", or name its directory',
      );
    }
    this.makeMountPoints(grafts);
    for (const { path, target } of grafts) {
      if (target === undefined) this.bind(join(mountpoint, path), path);
    }
    enterAgain();
  }

  private makeMountPoints(grafts: Graft[]): void {
    const mounts = readMounts().map((mount) => mount.mountpoint);
    const skeletons = planSkeletons(grafts, mounts);
    if (skeletons.length === 0) return;
    check(
      this.native.mount('verbsim', SCRATCH, 'tmpfs', 0, 'mode=0755'),
      `a temporary file system cannot be mounted on ${SCRATCH}`,
      'mount sysfs on /sys, and give verbsim CAP_SYS_ADMIN',
    );
    for (const [index, skeleton] of skeletons.entries()) {
      this.layOverlay(skeleton, join(SCRATCH, String(index)), mounts);
    }
    // The overlays and bind mounts hold on to what they use of it.
    check(
      this.native.umount(SCRATCH, this.native.MNT_DETACH),
      `${SCRATCH} cannot be uncovered again`,
      'see the last lines of dmesg',
    );
  }

  private layOverlay(skeleton: Skeleton, scratch: string, mountPoints: string[]): void {
    const host = join(scratch, 'host');
    const added = join(scratch, 'added');
    const work = join(scratch, 'work');
    for (const directory of [host, added, work]) mkdirSync(directory, { recursive: true });
    const covered = mountOf(skeleton.path);
    // The host's directory stays within reach by another path once the overlay covers it.
    this.bind(skeleton.path, host);
    addMissing(skeleton, added);
    // In sysfs nobody can create a file anyway; elsewhere (/dev) a private upper layer takes what is created.
    const layers =
      covered?.type === 'sysfs'
        ? `lowerdir=${added}:${host}`
        : `lowerdir=${host},upperdir=${added},workdir=${work}`;
    check(
      this.native.mount('verbsim', skeleton.path, 'overlay', this.flagsOf(covered), layers),
      `an overlay cannot be mounted on ${skeleton.path}`,
      'see the last lines of dmesg, and try "modprobe overlay"',
    );
    this.bringBack(skeleton, host, mountPoints);
  }

  private flagsOf(mount: Mount | undefined): number {
    const options = mount?.options ?? [];
    return Object.entries(KEPT_OPTIONS)
      .filter(([option]) => options.includes(option))
      .reduce((flags, [, name]) => flags | this.native[name], 0);
  }

  /** Bind-mounts the host's own directories, with all that is mounted in them, on top of a skeleton's overlay. */
  private bringBack({ path: root, missing }: Skeleton, host: string, mountPoints: string[]): void {
    const skeleton = new Set(missing.flatMap(({ path }) => chain(root, dirname(path))));
    const grafted = new Set(missing.map(({ path }) => path));
    // Files come through the overlay, except where something is mounted on one (as containers do with
    // /dev/console), and a terminal in use: ttyname(3) knows it again by its device and inode number.
    const files = new Set([...mountPoints, ...terminals()]);
    for (const directory of skeleton) {
      const original = join(host, relative(root, directory));
      for (const entry of readdirSync(original, { withFileTypes: true })) {
        const path = join(directory, entry.name);
        const wanted = entry.isDirectory() ? !skeleton.has(path) : files.has(path);
        if (wanted && !grafted.has(path)) this.bind(join(original, entry.name), path);
      }
    }
  }

  private bind(source: string, path: string): void {
    const { native } = this;
    const error = native.mount(source, path, '', native.MS_BIND | native.MS_REC, '');
    // What was unplugged (or, on the host, unloaded) since it was listed needs no mount.
    if (error !== 0 && ifPresent(() => lstatSync(source)) === undefined) return;
    check(
      error,
      `${source} cannot be bind-mounted on ${path}`,
      `see whether ${basename(source)} is accessible`,
    );
  }
}

/** A working directory below /dev or /sys is still the one underneath the new mounts: look it up again. */
function enterAgain(): void {
  try {
    process.chdir(process.cwd());
  } catch {
    // It was removed, or may not be entered any more; a shell in that place would go on as well.
  }
}

/**
 * Moves the calling thread, which must be the one that will call exec, into a mount namespace in which /dev and
 * /sys show what the FUSE tree at `mountpoint` holds in its dev and sys directories. Nothing is changed or
 * created outside of the namespace. Throws an Error that says what failed and what to do; the process is then
 * in an unfinished namespace and should end.
 *
 * Not live are only symlinks and directories that lie in a directory the host has too (class/misc/rdma_cm):
 * those are added as they are now.
 */
export function enterNamespace({ mountpoint, native }: { mountpoint: string; native: Native }): void {
  new Builder(native).enter(mountpoint);
}
