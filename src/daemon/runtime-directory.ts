/** The directory that belongs to one running daemon: its lock, socket, mount point, process id and log. */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { native } from '../../devfs/native.js';
import { Refusal } from '../admin/refusal.js';
import { PRIVATE_DIRECTORIES, type RuntimePaths, runtimePaths } from '../admin/runtime-paths.js';
import { simulatorMounts } from './mounts.js';

/** Whether the descriptor still is what the path leads to; a daemon that ends removes its lock file. */
function isCurrent(fd: number, path: string): boolean {
  return fstatSync(fd).ino === statSync(path, { throwIfNoEntry: false })?.ino;
}

/** The descriptor of the locked file, `undefined` if another process holds the lock. */
export function lock(path: string): number | undefined {
  for (;;) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const fd = openSync(path, 'a+', 0o644);
    if (native.lockFile(fd) !== 0) {
      closeSync(fd);
      return undefined;
    }
    if (isCurrent(fd, path)) return fd;
    closeSync(fd);
  }
}

function readPid(file: string): string {
  try {
    return ` (process ${readFileSync(file, 'utf8').trim()})`;
  } catch {
    return '';
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Somebody else's files are in it.
  }
}

export class RuntimeDirectory {
  readonly paths: RuntimePaths;
  readonly #lock: number;

  private constructor(paths: RuntimePaths, fd: number) {
    this.paths = paths;
    this.#lock = fd;
  }

  /**
   * Takes possession of the directory, which is made if it is missing, and clears away what a daemon that died
   * has left. Throws a Refusal while another daemon lives there.
   */
  static claim(directory: string): RuntimeDirectory {
    const claimed = RuntimeDirectory.#tryClaim(directory);
    if (claimed !== undefined) return claimed;
    const { directory: absolute, pidFile } = runtimePaths(realpathSync(directory));
    throw new Refusal(
      `a simulator is already running at ${absolute}${readPid(pidFile)}: stop it with "verbsim down", ` +
        'or choose another --runtime-dir',
    );
  }

  /**
   * Removes the directories of private simulators that were killed, and returns them. A simulator that lives holds
   * its lock, from before its process id is written until that is removed; one that is being started has not written
   * it yet.
   */
  static removeAbandoned(): string[] {
    const parent = dirname(PRIVATE_DIRECTORIES);
    const removed: string[] = [];
    for (const path of readdirSync(parent).map((name) => join(parent, name))) {
      if (!path.startsWith(PRIVATE_DIRECTORIES) || !existsSync(runtimePaths(path).pidFile)) continue;
      try {
        const claimed = RuntimeDirectory.#tryClaim(path);
        claimed?.release();
        if (claimed !== undefined) removed.push(path);
      } catch {
        // Somebody else removes it at this moment, or it is not ours to remove.
      }
    }
    return removed;
  }

  /** `undefined` while another daemon lives there. */
  static #tryClaim(directory: string): RuntimeDirectory | undefined {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    // In mountinfo(5) paths are without symlinks.
    const paths = runtimePaths(realpathSync(directory));
    const fd = lock(paths.lockFile);
    if (fd === undefined) return undefined;
    const claimed = new RuntimeDirectory(paths, fd);
    claimed.#unmount();
    rmSync(paths.adminSocket, { force: true });
    mkdirSync(paths.mountpoint, { recursive: true, mode: 0o755 });
    writeFileSync(paths.pidFile, `${process.pid}\n`);
    return claimed;
  }

  /** Removes everything of the daemon's, the directory too unless somebody else's files are in it. */
  release(): void {
    const { directory, adminSocket, mountpoint, pidFile, logFile, lockFile } = this.paths;
    this.#unmount();
    for (const file of [adminSocket, pidFile, logFile]) rmSync(file, { force: true });
    removeIfEmpty(mountpoint);
    // Without its lock file the directory may be the next daemon's at any moment.
    rmSync(lockFile, { force: true });
    removeIfEmpty(directory);
    closeSync(this.#lock);
  }

  /** Mounts may lie on top of one another. Detaching asks the file system nothing, so a dead one cannot hang it. */
  #unmount(): void {
    for (const { mountpoint } of simulatorMounts()) {
      if (mountpoint === this.paths.mountpoint) {
        // By force: a daemon that could not die keeps its clients waiting, and this ends them all.
        native.umount(mountpoint, native.MNT_FORCE | native.MNT_DETACH);
      }
    }
  }
}
