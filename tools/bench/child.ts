/** The bench's processes: servers that run until they are stopped, and clients that print a line of JSON. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Cleanup } from './cleanup.js';

const PATIENCE_MS = 10_000;
/** Far more than any client needs; a broken server must not hold the bench up for ever. */
const CLIENT_MS = 60_000;

export class Child {
  readonly process: ChildProcess;
  /** Ends the process and waits until it is gone. */
  readonly stop: () => Promise<void>;
  readonly #name: string;
  readonly #ended: Promise<unknown>;
  #output = '';
  #complaint = '';

  private constructor(cleanup: Cleanup, file: string, args: string[], stdio: StdioOptions) {
    this.#name = basename(file);
    this.stop = cleanup.add(() => this.#end());
    // In a session of its own: a terminal's signals are for the bench, which then stops its children in order.
    this.process = spawn(file, args, { stdio, detached: true });
    this.#ended = new Promise((resolve) => {
      this.process.once('close', resolve).once('error', (error) => {
        this.#complaint += error.message;
        resolve(undefined);
      });
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
  }

  /** It is stopped when the measurement ends, if it has not ended by then. */
  static start(cleanup: Cleanup, file: string, args: string[], stdio: StdioOptions): Child {
    return new Child(cleanup, file, args, stdio);
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** The first line of one of its streams. Throws an Error with its own words if it ends before. */
  async firstLine(stream: Readable): Promise<string> {
    for await (const line of createInterface(stream)) return line;
    await this.#ended;
    throw new Error(`${this.#name} ended: ${this.#words}`);
  }

  /** Waits for the end. Throws an Error with its own words unless the exit code is 0. */
  async success(): Promise<void> {
    const timer = setTimeout(() => this.process.kill('SIGKILL'), CLIENT_MS);
    await this.#ended;
    clearTimeout(timer);
    await this.stop();
    if (this.process.exitCode !== 0) throw new Error(`${this.#name} failed: ${this.#words}`);
  }

  /** Waits for the end; the last line of its output, as JSON. Throws as `success` does. */
  async result<T>(): Promise<T> {
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    await this.success();
    return JSON.parse(this.#output.trim().split('\n').at(-1) ?? '') as T;
  }

  get #words(): string {
    return `${this.#output} ${this.#complaint}`.trim() || 'it does not say why';
  }

  async #end(): Promise<void> {
    const child = this.process;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const group = -child.pid;
    const exited = once(child, 'exit');
    // The compiler has children of its own.
    process.kill(group, 'SIGTERM');
    const timer = setTimeout(() => process.kill(group, 'SIGKILL'), PATIENCE_MS);
    await exited;
    clearTimeout(timer);
  }
}

/** Runs a client to its end; what it printed. Throws with its own words if it failed. */
export function runClient<T>(cleanup: Cleanup, file: string, args: string[]): Promise<T> {
  return Child.start(cleanup, file, args, ['ignore', 'pipe', 'pipe']).result<T>();
}
