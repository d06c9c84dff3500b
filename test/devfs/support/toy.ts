/**
 * A file system of a toy device, served by the test's own process in a temporary directory. This process must never
 * touch the mount synchronously: it would wait for itself. Clients are child processes.
 */
import { spawn } from 'node:child_process';
import { accessSync, chmodSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Attribute, Directory, type Log, Session, Symlink } from '../../../devfs/index.js';
import { compile, Door, type Outcome, run, Talk } from './clients.js';
import { ToyDevice } from './toy-device.js';

export interface LogEntry {
  level: keyof Log;
  context: object;
  message: string;
}

/**
 * The tree: `toy` (a device with pages), `pipe` (one without), `link` to `toy`, `attributes/{reads,text,broken}` and
 * `folder/` (empty).
 */
export class Toy {
  readonly device = new ToyDevice();
  readonly pipe = new ToyDevice({ mappable: false });
  readonly root = new Directory();
  /** How often `attributes/reads` was computed; the content of `attributes/text`. */
  reads = 0;
  text = 'first\n';
  readonly log: LogEntry[] = [];
  /** How often the session said that the connection was lost. */
  lost = 0;
  readonly mountpoint: string;
  readonly session: Session;
  readonly #programs: string;
  readonly #compiled = new Map<string, Promise<string>>();

  private constructor(folder: string) {
    this.mountpoint = join(folder, 'mount');
    this.#programs = join(folder, 'programs');
    mkdirSync(this.mountpoint);
    mkdirSync(this.#programs);
    this.root.add('toy', this.device.node);
    this.root.add('pipe', this.pipe.node);
    this.root.add('link', new Symlink('toy'));
    this.root.add('folder', new Directory());
    const attributes = this.root.directory('attributes');
    attributes.add('reads', new Attribute(() => `${++this.reads}\n`));
    attributes.add(
      'text',
      new Attribute(
        () => this.text,
        (text) => {
          this.text = text;
        },
      ),
    );
    attributes.add(
      'broken',
      new Attribute(() => {
        throw new TypeError('a bug of the toy');
      }),
    );
    const note =
      (level: keyof Log) =>
      (context: object, message: string): void => {
        this.log.push({ level, context, message });
      };
    this.session = Session.mount({
      mountpoint: this.mountpoint,
      root: this.root,
      fsname: 'toy',
      clientDirectories: ['/nowhere', this.mountpoint],
      log: { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') },
      onLost: () => {
        this.lost++;
      },
    });
  }

  /** Mounts, and unmounts when the test is over or this process is dead. */
  static async mount(t: Test): Promise<Toy> {
    requireFuse(t);
    const folder = mkdtempSync(join(tmpdir(), 'devfs-toy-'));
    chmodSync(folder, 0o755); // for clients that are not root
    const removeFolder = guard(folder);
    let toy: Toy | undefined;
    t.teardown(async () => {
      toy?.session.close();
      await removeFolder();
    });
    toy = new Toy(folder);
    return toy;
  }

  path(name = 'toy'): string {
    return join(this.mountpoint, name);
  }

  /** A door, killed when the test is over. `wrapper` is a command to run it under. */
  async door(t: Test, ...wrapper: string[]): Promise<Door> {
    const program = await this.#program('door');
    const [command, ...args] = [...wrapper, program];
    const door = new Door(command as string, ...args);
    t.teardown(() => door.kill());
    return door;
  }

  /** Runs a client of test/clients to its end. */
  async run(name: string, ...args: string[]): Promise<Outcome> {
    return run(await this.#program(name), args);
  }

  /** Starts a client of test/clients that talks by lines. It ends by itself, or with the end of its stdin. */
  async start(name: string, ...args: string[]): Promise<Talk> {
    return new Talk(await this.#program(name), args);
  }

  /** Runs a shell script in the mount; `$1` and so on are the arguments. */
  shell(script: string, ...args: string[]): Promise<Outcome> {
    return run('sh', ['-c', `cd "$0" && ${script}`, this.mountpoint, ...args]);
  }

  #program(name: string): Promise<string> {
    const known = this.#compiled.get(name) ?? compile(name, this.#programs);
    this.#compiled.set(name, known);
    return known;
  }
}

function requireFuse(t: Test): void {
  try {
    if (process.getuid?.() !== 0) throw new Error('not root');
    accessSync('/dev/fuse');
  } catch {
    t.fail('this test mounts a FUSE file system of its own: it needs /dev/fuse and must run as root');
    process.exit(1);
  }
}

/**
 * A child that waits for the end of this process, however it comes, then unmounts and removes the folder. The result
 * makes it do so at once.
 */
function guard(folder: string): () => Promise<void> {
  const script = 'read -r _; umount -l "$0/mount" 2>/dev/null; rm -rf --one-file-system "$0"';
  const child = spawn('sh', ['-c', script, folder], { stdio: ['pipe', 'ignore', 'inherit'], detached: true });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  return () => {
    child.stdin.end();
    return ended;
  };
}
