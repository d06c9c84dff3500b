/**
 * The system-wide mode: the simulator's directories in the place of the machine's own, for every process. There is
 * one system mode in a mount namespace, so what it changed is recorded at one place; the record is locked for as long
 * as the daemon lives, and whoever gets the lock undoes what it tells of.
 */
import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName, promisify } from 'node:util';
import { native } from '../../devfs/native.js';
import { Refusal } from '../admin/refusal.js';
import type { BindMount } from './bind-mounts.js';
import { simulatorMounts } from './mounts.js';
import { lock } from './runtime-directory.js';

const RECORD = '/run/verbsim-system.json';
const BIND_MOUNTS = fileURLToPath(new URL('./bind-mounts.js', import.meta.url));

interface Place {
  path: string;
  /** Whether it is made when the machine has none; nobody can make a directory in sysfs. */
  create: boolean;
}

const PLACES: readonly Place[] = [
  { path: '/dev/infiniband', create: true },
  { path: '/sys/class/infiniband', create: false },
  { path: '/sys/class/infiniband_verbs', create: false },
  { path: '/sys/class/infiniband_mad', create: false },
];

/** Written before anything is changed. */
interface Changes {
  /** Of the mount namespace in which the changes were made. */
  namespace: string;
  /** Device number of the simulator's mount. */
  device: string;
  mounts: string[];
  created: string[];
}

const currentNamespace = (): string => readlinkSync('/proc/self/ns/mnt');

function readRecord(): Changes | undefined {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8')) as Changes;
  } catch {
    return undefined;
  }
}

/** Call with the lock held. */
function undo(changes: Changes): void {
  for (const { mountpoint, device } of simulatorMounts().toReversed()) {
    const ours = device === changes.device && changes.mounts.includes(mountpoint);
    if (ours) native.umount(mountpoint, native.MNT_DETACH);
  }
  for (const path of changes.created) {
    try {
      rmdirSync(path);
    } catch {
      // Somebody has put something there in the meantime.
    }
  }
}

/** Undoes what a system mode has left whose daemon died. Does nothing while one is in force. */
export function recoverSystemMode(): void {
  const changes = readRecord();
  if (changes === undefined || changes.namespace !== currentNamespace()) return;
  const fd = lock(RECORD);
  if (fd === undefined) return;
  undo(changes);
  rmSync(RECORD, { force: true });
  closeSync(fd);
}

export class SystemMode {
  readonly #changes: Changes;
  readonly #lock: number;

  private constructor(changes: Changes, fd: number) {
    this.#changes = changes;
    this.#lock = fd;
  }

  /** Throws a Refusal if a simulator is in force system-wide already, or a mount fails. Call recoverSystemMode first. */
  static async enter(mountpoint: string): Promise<SystemMode> {
    const fd = lock(RECORD);
    if (fd === undefined) {
      throw new Refusal(
        'another simulator is in force system-wide: stop it with "verbsim down" at its --runtime-dir',
      );
    }
    const places = PLACES.filter(({ path, create }) => create || existsSync(path));
    const mode = new SystemMode(
      {
        namespace: currentNamespace(),
        device: simulatorMounts().find((mount) => mount.mountpoint === mountpoint)?.device ?? '',
        mounts: places.map(({ path }) => path),
        created: places.filter(({ path }) => !existsSync(path)).map(({ path }) => path),
      },
      fd,
    );
    writeFileSync(RECORD, JSON.stringify(mode.#changes));
    try {
      for (const path of mode.#changes.created) mkdirSync(path, { mode: 0o755 });
      await bind(mode.#changes.mounts.map((target) => ({ source: join(mountpoint, target), target })));
    } catch (error) {
      mode.leave();
      throw error;
    }
    return mode;
  }

  leave(): void {
    undo(this.#changes);
    rmSync(RECORD, { force: true });
    closeSync(this.#lock);
  }
}

async function bind(mounts: BindMount[]): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [BIND_MOUNTS, JSON.stringify(mounts)]);
  const results = JSON.parse(stdout) as number[];
  for (const [index, { source, target }] of mounts.entries()) {
    const result = results[index] ?? 0;
    // The simulator has no such class.
    if (result === 0 || result === -constants.errno.ENOENT) continue;
    throw new Refusal(
      `${source} cannot be mounted on ${target} (${getSystemErrorName(result)}): run the simulator as root, ` +
        'or use "verbsim run" in place of --system',
    );
  }
}
