/**
 * Spoilt commands, through both doors: the daemon answers every one, stays, and has in the end what it had at the
 * beginning. Some go through a real daemon, most straight to its handlers.
 *
 * VERBSIM_FUZZ_COMMANDS: how many in all. VERBSIM_FUZZ_SEED: a number, to have the same ones again.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { t as root, type Test, test } from 'tap';
import type { UverbsFile } from '../../src/uverbs/file.js';
import { clientProgram } from '../support/client-programs.js';
import { eventually, startDaemon } from '../support/daemon.js';
import { heapInUse } from '../support/garbage.js';
import { limit } from '../support/limit.js';
import { allClosed, operate } from '../support/operator.js';
import { ClientMemory } from './support/client-memory.js';
import { Machine, type Outcome } from './support/machine.js';
import { type Interesting, mutate, Random } from './support/mutate.js';
import { setup, type Template, templates } from './support/templates.js';

const USUAL_COMMANDS = 1_000_000;
const COMMANDS = Number(process.env['VERBSIM_FUZZ_COMMANDS'] ?? USUAL_COMMANDS);
const SEED = Number(process.env['VERBSIM_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** What the daemon gets of them: each takes a round trip through the kernel. */
const DAEMON_COMMANDS = Math.min(100_000, COMMANDS / 10);

const FILES = 3;
const COMMANDS_PER_FILE = 150;
const COMMANDS_PER_MACHINE = 20_000;
const MAX_HEAP_GROWTH = 8 * 2 ** 20;
const MAX_RSS_GROWTH = 30 * 2 ** 20;
/** Until then a daemon under load grows. */
const WARM_UP_COMMANDS = 25_000;

/** One template in the memory of the client. */
interface Loaded {
  isIoctl: boolean;
  bytes: Buffer;
  fills: [address: bigint, bytes: Buffer][];
}

function load({ door, message, fills }: Template, { places }: ClientMemory): Loaded {
  return {
    isIoctl: door === 'ioctl',
    bytes: places.bytes(message),
    fills: [...fills].map(([offset, fill]) => [places.address('B', offset), places.bytes(fill)]),
  };
}

/** Commands without a kernel in between. */
class Fuzzer {
  readonly #client: ClientMemory;
  readonly #random: Random;
  readonly #setup: Loaded[];
  readonly #templates: Loaded[];
  readonly #interesting: Interesting;
  readonly #requestsEnd: bigint;
  readonly counts = new Map<Outcome, number>();
  commands = 0;

  constructor(client: ClientMemory, seed: number) {
    this.#client = client;
    this.#random = new Random(seed);
    this.#setup = setup.map((template) => load(template, client));
    this.#templates = templates.map((template) => load(template, client));
    const { places } = client;
    this.#requestsEnd = places.address('B') - 4096n;
    this.#interesting = {
      values: [
        ...[0n, 1n, 2n, 3n, 4n, 8n, 15n, 16n, 0x7fn, 0xffn, 0x1000n, 0x7fffn, 0xffffn],
        ...[0x10_0000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_fffen, 0xffff_ffffn, 1n << 32n],
        ...[0x7fff_ffff_efffn, 0x7fff_ffff_f000n, 0x8000_0000_0000n, 1n << 63n, (1n << 64n) - 1n],
        ...['R', 'B', 'A', 'O', 'Q', 'U'].map((letter) => places.address(letter)),
        places.address('B', 1),
        this.#requestsEnd - 8n,
        this.#requestsEnd - 4n,
      ],
      others: [...this.#setup, ...this.#templates].map(({ bytes }) => bytes),
    };
  }

  /** One device with a few files. Throws what a handler must not throw, with the command that made it. */
  runMachine(count: number, isEthernet: boolean): string {
    const machine = new Machine(this.#client, { linkLayer: isEthernet ? 'ethernet' : 'infiniband' });
    const files: UverbsFile[] = Array.from({ length: FILES }, () => this.#open(machine));
    for (let i = 1; i <= count; i++) {
      const index = this.#random.below(FILES);
      this.#spoilt(machine, files[index] as UverbsFile);
      if (i % COMMANDS_PER_FILE !== 0) continue;
      this.#close(machine, files[index] as UverbsFile);
      files[index] = this.#open(machine);
    }
    for (const descriptor of machine.descriptors) machine.close(descriptor);
    for (const file of files) file.release();
    return machine.leaks();
  }

  #open(machine: Machine): UverbsFile {
    const file = machine.open();
    for (const { bytes } of this.#setup) machine.write(file, bytes);
    return file;
  }

  /** The device file and some event files, in any order. */
  #close(machine: Machine, file: UverbsFile): void {
    const { descriptors } = machine;
    const some = descriptors.filter(() => this.#random.below(3) > 0);
    for (const descriptor of some) machine.close(descriptor);
    file.release();
  }

  #spoilt(machine: Machine, file: UverbsFile): void {
    const { isIoctl, bytes, fills } = this.#random.pick(this.#templates);
    const spoilt = mutate(this.#random, bytes, isIoctl, this.#interesting);
    for (const [address, fill] of fills) {
      this.#client.write(address, mutate(this.#random, fill, false, this.#interesting));
    }
    try {
      const outcome = isIoctl ? this.#ioctl(machine, file, spoilt) : machine.write(file, spoilt);
      const kind = typeof outcome === 'number' ? 'success' : outcome;
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
      this.commands++;
    } catch (error) {
      const what = `command ${this.commands}, ${isIoctl ? 'ioctl' : 'write'} ${spoilt.toString('hex')}`;
      throw new Error(`${what}\n${(error as Error).stack}`);
    }
  }

  /** What follows the request cannot be read. */
  #ioctl(machine: Machine, file: UverbsFile, bytes: Buffer): Outcome {
    if (bytes.length < 24) return 'EFAULT';
    const address = this.#requestsEnd - BigInt(bytes.length);
    this.#client.write(address, bytes);
    return machine.ioctl(file, address);
  }
}

async function withoutKernel(t: Test): Promise<void> {
  const client = await ClientMemory.start(t);
  const fuzzer = new Fuzzer(client, SEED);
  const total = COMMANDS - DAEMON_COMMANDS;
  let before = 0;
  try {
    for (let machine = 0; fuzzer.commands < total; machine++) {
      const count = Math.min(COMMANDS_PER_MACHINE, total - fuzzer.commands);
      const leaks = fuzzer.runMachine(count, machine % 2 === 1);
      if (leaks !== '') {
        t.fail(`seed ${SEED}: after ${fuzzer.commands} commands all files are closed, but ${leaks}`);
        return;
      }
      // Handles of the event loop are closed by the event loop.
      await setImmediate();
      // What a long run needs is there after the first rounds.
      if (before === 0 || fuzzer.commands < total / 4) before = heapInUse();
    }
  } catch (error) {
    t.fail(`seed ${SEED}: a handler failed`, { what: (error as Error).message });
    return;
  }
  t.comment(JSON.stringify(Object.fromEntries(fuzzer.counts)));
  const growth = heapInUse() - before;
  t.ok(growth < MAX_HEAP_GROWTH, `${fuzzer.commands} commands; the heap grew by ${growth >> 10} KiB`);
}

const lineOf = ({ door, message, fills }: Template, kind: string): string =>
  [kind, door, message, ...[...fills].flat()].join(' ');

const INPUT = `${[
  ...setup.map((template) => lineOf(template, 'setup')),
  ...templates.map((template) => lineOf(template, 'template')),
].join('\n')}\n`;

interface Report {
  commands: number;
  outcomes: Record<string, number>;
}

/** fuzz-door at a device file, to its end. */
async function fuzz(t: Test, path: string, seed: number, count: number): Promise<Report> {
  const child = spawn(clientProgram('fuzz-door'), [path, `${seed}`, `${count}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.end(INPUT);
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on('close', (...how) => resolve(how)),
  );
  if (code !== 0) throw new Error(`fuzz-door ended with ${code ?? signal}: ${output}`);
  return JSON.parse(output) as Report;
}

const residentBytes = (pid: number): number => {
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kib) * 1024;
};

async function throughDaemon(t: Test): Promise<void> {
  const daemon = await startDaemon(t);
  const path = `${daemon.mountpoint}/dev/infiniband/uverbs0`;
  const clients = 2;
  const share = Math.ceil(DAEMON_COMMANDS / clients);
  // What it needs for such a load at all does not count.
  await fuzz(t, path, SEED + 1, WARM_UP_COMMANDS);
  const before = residentBytes(daemon.pid);
  const reports = await Promise.all(
    Array.from({ length: clients }, (_, i) => fuzz(t, path, SEED + 2 + i, share)),
  );
  for (const { commands, outcomes } of reports) t.comment(`${commands} commands`, JSON.stringify(outcomes));
  t.equal(
    reports.reduce((sum, { commands }) => sum + commands, 0),
    share * clients,
    `seed ${SEED}: every command was answered`,
  );
  const operator = await operate(t, daemon);
  await allClosed(operator);
  const [device] = await operator.call('device.list', {});
  t.strictSame(device?.contexts, [], 'no context is left');
  t.notMatch(daemon.log(), /a handler failed|a callback failed/, 'no handler failed');
  // A daemon that has been busy gives memory back when it has come to rest.
  const growth = () => residentBytes(daemon.pid) - before;
  const bound = `${MAX_RSS_GROWTH >> 20} MiB`;
  await eventually(`it has grown by less than ${bound}`, () => growth() < MAX_RSS_GROWTH);
  t.comment(`the daemon grew by ${growth() >> 20} MiB`);
}

limit(root, COMMANDS / USUAL_COMMANDS);
test('spoilt commands do not hurt the handlers', withoutKernel);
test('spoilt commands do not hurt the daemon', throughDaemon);
