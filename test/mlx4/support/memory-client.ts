/** A child process with memory for the tests to work in (memory-client.c). */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

const PAGE = 4096n;

export class MemoryClient {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #directory: string;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'memory-client-'));
    const program = join(this.#directory, 'memory-client');
    execFileSync('cc', ['-O1', '-o', program, 'test/mlx4/support/memory-client.c']);
    this.#child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** The address that the command answers. */
  async ask(command: string): Promise<bigint> {
    this.#child.stdin.write(`${command}\n`);
    const { value } = (await this.#answers.next()) as { value: string };
    return value === '(nil)' ? 0n : BigInt(value);
  }

  map(kind: 'rw' | 'ro' | 'none', pages: number): Promise<bigint> {
    return this.ask(`map ${kind} ${pages}`);
  }

  close(): void {
    this.#child.kill();
    rmSync(this.#directory, { recursive: true });
  }
}

/** Hands out pieces of one mapping, each on pages of its own. */
export class Arena {
  #next: bigint;

  constructor(start: bigint) {
    this.#next = start;
  }

  take(bytes: number): bigint {
    const at = this.#next;
    this.#next += ((BigInt(bytes) + PAGE - 1n) / PAGE) * PAGE;
    return at;
  }
}
