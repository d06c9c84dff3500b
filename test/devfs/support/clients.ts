/** The C programs of test/clients as children: they do what this process must not do to its own mount. */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** For what takes milliseconds; it only bounds a hang. */
const PATIENCE_MS = 60_000;

/** What it complains of is seen where the test's own complaints are. */
type Conversation = ChildProcessByStdio<Writable, Readable, null>;
const converse = (program: string, args: string[]): Conversation =>
  spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });

/** The folder that holds package.json, from the sources as from dist. */
const PROJECT = (function up(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : up(dirname(folder));
})(import.meta.dirname);

/** Compiles test/clients/NAME.c into `folder`; the path of the program. */
export async function compile(name: string, folder: string): Promise<string> {
  const program = join(folder, name);
  const source = join(PROJECT, 'test', 'clients', `${name}.c`);
  await execute('cc', ['-O2', '-Wall', '-Wextra', '-pthread', '-o', program, source]);
  return program;
}

export interface Outcome {
  stdout: string;
  stderr: string;
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Runs a program to its end, whatever that is. */
export function run(program: string, args: string[], timeoutMs = 2 * PATIENCE_MS): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ stdout, stderr, code, signal }));
  });
}

/** A client that says and hears lines. */
export class Talk {
  readonly #child: Conversation;
  readonly #lines: AsyncIterator<string>;

  constructor(program: string, args: string[]) {
    this.#child = converse(program, args);
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  /** Its next line; `undefined` at the end. */
  async line(): Promise<string | undefined> {
    return (await this.#lines.next()).value;
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The end of what it hears. */
  end(): void {
    this.#child.stdin.end();
  }
}

/** What door answers; which parts are there depends on the command (test/clients/door.c). */
export interface Answer {
  result?: number;
  errno?: string;
  fd?: number;
  data?: string;
  buffer?: string;
  response?: string;
  overrun?: number;
  revents?: number;
  map?: number;
  address?: string;
  value?: number;
  signal?: string;
  mode?: string;
  rdev?: string;
  size?: string;
  ino?: string;
  pid?: number;
  job?: number;
  pending?: boolean;
  error?: string;
  /** door died before it answered. */
  dead?: true;
}

type Word = string | number;

/** A running door: one system call at a time, or several in threads of their own. */
export class Door {
  readonly #child: Conversation;
  readonly #waiting: ((answer: Answer) => void)[] = [];
  readonly ended: Promise<unknown>;

  constructor(command: string, ...args: string[]) {
    this.#child = converse(command, args);
    this.ended = new Promise((resolve) => this.#child.on('close', resolve));
    void this.ended.then(() => {
      for (const answered of this.#waiting.splice(0)) answered({ dead: true });
    });
    this.#child.stdin.on('error', () => {}); // it died; the answers say so
    createInterface(this.#child.stdout).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line)));
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  ask(...words: Word[]): Promise<Answer> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin.write(`${words.join(' ')}\n`);
    });
  }

  /** Opens a path that must open. */
  async open(path: string, ...how: string[]): Promise<number> {
    const answer = await this.ask('open', path, ...how);
    if (answer.fd === undefined || answer.fd < 0) throw new Error(`open ${path}: ${JSON.stringify(answer)}`);
    return answer.fd;
  }

  /** Starts a command in a thread of its own; `wait` gives its answer. */
  async start(...words: Word[]): Promise<number> {
    const answer = await this.ask(`async-${words[0]}`, ...words.slice(1));
    if (answer.job === undefined) throw new Error(`${words.join(' ')}: ${JSON.stringify(answer)}`);
    return answer.job;
  }

  /** The answer of a job. For a job that shall not have ended yet: `pending` after the time given. */
  wait(job: number, timeoutMs = PATIENCE_MS): Promise<Answer> {
    return this.ask('async-wait', job, timeoutMs);
  }

  kill(): Promise<unknown> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }
}

/** A string as the bytes of a door MESSAGE. */
export function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

/** A u32 or u64 as the bytes of a door MESSAGE. */
export function u32(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until the condition holds; whether it does before the patience ends. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition() && Date.now() < deadline) await sleep(5);
  return condition();
}
