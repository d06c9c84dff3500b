/**
 * The client agent against real FUSE requests: a file system of two files served by this process, and small C
 * programs, its children, that use it. Opening `door` shows a character device; a write or ioctl there installs a
 * descriptor of `event` in the caller.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdtempSync,
  openSync,
  read,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { type AgentResult, native } from '../../devfs/native.js';
import { limit } from '../support/limit.js';
import { eventually, sleep } from './support/clients.js';

const MODE = 0o020666;
const ENOSYS = -38;
const TIMED_OUT = -110;
const empty = Buffer.alloc(0);
const nodes = ['', '', 'door', 'event']; // by node id; 1 is the root

/** Many more rounds of the tests that look for races, for use by hand. */
const THOROUGH = Number(process.env['AGENT_ROUNDS'] ?? 1);

const temporary = mkdtempSync(join(tmpdir(), 'agent-'));
const mountpoint = join(temporary, 'mnt');
const door = join(mountpoint, 'door');
const client = join(temporary, 'client');
/** What a client that makes no system call can see. */
const flag = join(temporary, 'flag');

/** What came of the jobs since the last look, and how long each took. */
let results: (AgentResult & { job: string; microseconds: number })[] = [];
let pending = 0;
let fuseFd = -1;
/** How long the agent waits for the stat after an open; a client may have to wait for a processor. */
const PATIENCE_MS = 30_000;
let patience = PATIENCE_MS;

function attributes(node: number): Buffer {
  const attr = Buffer.alloc(88);
  attr.writeBigUInt64LE(BigInt(node), 0);
  attr.writeBigUInt64LE(77n, 8);
  attr.writeUInt32LE(node === 1 ? 0o040755 : 0o100666, 60);
  attr.writeUInt32LE(1, 64);
  return attr;
}

function message(unique: bigint, error: number, body: Uint8Array = empty): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeInt32LE(error, 4);
  header.writeBigUInt64LE(unique, 8);
  return Buffer.concat([header, body]);
}

function answer(unique: bigint, error: number, body?: Uint8Array): void {
  try {
    writeSync(fuseFd, message(unique, error, body));
  } catch {
    // ENOENT: the caller was killed
  }
}

function finish(job: string, unique: bigint): (result: AgentResult) => void {
  const start = process.hrtime.bigint();
  pending++;
  return (result) => {
    pending--;
    results.push({ ...result, job, microseconds: Number(process.hrtime.bigint() - start) / 1000 });
    if (!result.replied) answer(unique, result.error);
  };
}

function patch(tid: number, unique: bigint, reply: Buffer): void {
  native.agentPatchStat(
    {
      tid,
      fuseFd,
      reply: message(unique, 0, reply),
      mode: MODE,
      rdevMajor: 231,
      rdevMinor: 192,
      timeoutMs: patience,
    },
    finish('patch', unique),
  );
}

function install(tid: number, unique: bigint, reply: Buffer, response: bigint): void {
  native.agentInstallDescriptor(
    {
      tid,
      fuseFd,
      reply: message(unique, 0, reply),
      paths: [join(mountpoint, 'absent'), join(mountpoint, 'event')],
      openFlags: 0,
      writes: [
        { address: response, width: 4 },
        { address: response + 8n, width: 8 },
      ],
      timeoutMs: PATIENCE_MS,
    },
    finish('install', unique),
  );
}

function serve(request: Buffer): void {
  const opcode = request.readUInt32LE(4);
  const unique = request.readBigUInt64LE(8);
  const node = Number(request.readBigUInt64LE(16));
  const tid = request.readUInt32LE(32);
  switch (opcode) {
    case 26: {
      const init = Buffer.alloc(64);
      init.writeUInt32LE(7, 0);
      init.writeUInt32LE(31, 4);
      init.writeUInt32LE(4096, 20);
      answer(unique, 0, init);
      break;
    }
    case 1: {
      const found = nodes.indexOf(request.toString('latin1', 40, request.length - 1), 2);
      const entry = Buffer.alloc(40);
      entry.writeBigUInt64LE(BigInt(Math.max(found, 0)), 0);
      answer(unique, found < 0 ? -2 : 0, found < 0 ? empty : Buffer.concat([entry, attributes(found)]));
      break;
    }
    case 3:
      answer(unique, 0, Buffer.concat([Buffer.alloc(16), attributes(node)]));
      break;
    case 14: {
      const open = Buffer.alloc(16);
      open.writeUInt32LE(0x21, 8); // DIRECT_IO, NOFLUSH
      if (nodes[node] === 'door') patch(tid, unique, open);
      else answer(unique, 0, open);
      break;
    }
    case 16: {
      const written = Buffer.alloc(8);
      written.writeUInt32LE(8, 0);
      install(tid, unique, written, request.readBigUInt64LE(80));
      break;
    }
    case 39: {
      const out = Buffer.alloc(16);
      out.writeInt32LE(7, 0);
      install(tid, unique, out, request.readBigUInt64LE(72));
      break;
    }
    case 18:
      answer(unique, 0);
      break;
    case 2:
    case 36:
    case 42:
      break; // FORGET, INTERRUPT, BATCH_FORGET want no answer
    default:
      answer(unique, ENOSYS);
  }
}

function receive(): void {
  const buffer = Buffer.alloc(65536);
  read(fuseFd, buffer, 0, buffer.length, null, (error, length) => {
    if (error?.code === 'ENODEV') return closeSync(fuseFd);
    if (!error) serve(buffer.subarray(0, length));
    receive();
  });
}

function start(...args: string[]): { child: ChildProcess; output: Promise<string> } {
  const child = spawn(client, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.on('data', (data) => {
    text += data;
  });
  const output = new Promise<string>((resolve) =>
    child.on('close', (code, signal) => resolve(text.trim() || `exit ${code} ${signal}`)),
  );
  return { child, output };
}

const run = (...args: string[]): Promise<string> => start(...args).output;

async function settled(): Promise<typeof results> {
  for (const end = Date.now() + PATIENCE_MS; pending > 0 && Date.now() < end; ) await sleep(10);
  const seen = results;
  results = [];
  return seen;
}

/** The distinct failures, with how often each came. */
async function failures(): Promise<Record<string, number>> {
  const count: Record<string, number> = {};
  for (const { error, step } of await settled()) {
    if (error !== 0) count[`${step} ${error}`] = (count[`${step} ${error}`] ?? 0) + 1;
  }
  return count;
}

/** Clients that are still there, with the State and TracerPid lines of each thread. */
function leftovers(): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith(`${client}\0`)) continue;
      for (const tid of readdirSync(`/proc/${pid}/task`)) {
        const status = readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1');
        found.push(`${tid} ${status.match(/State:.*/)} ${status.match(/TracerPid:.*/)}`);
      }
    } catch {
      // ended meanwhile
    }
  }
  return found;
}

if (process.getuid?.() !== 0) {
  t.fail('the client agent is tested on a FUSE mount of its own: run this test as root');
  process.exit(1);
}

limit(t, THOROUGH);

t.before(() => {
  // The compiled test is in dist/test, its C programs are in test.
  const here = import.meta.dirname.replace(/\/dist\/test\/devfs$/, '/test/devfs');
  const source = join(here, '..', 'clients', 'agent-client.c');
  execFileSync('cc', ['-O2', '-pthread', '-o', client, source]);
  execFileSync('mkdir', [mountpoint]);
  fuseFd = openSync('/dev/fuse', 'r+');
  receive();
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  execFileSync('mount', ['-i', '-t', 'fuse', '-o', options, 'agent-test', mountpoint], {
    stdio: ['ignore', 'inherit', 'inherit', fuseFd],
  });
});

t.teardown(() => {
  spawnSync('umount', ['-l', mountpoint]);
  rmSync(temporary, { recursive: true, force: true });
});

t.test('the stat after an open shows the device', async (t) => {
  for (const how of ['fstat', 'newfstatat', 'statx'])
    t.equal(await run('stat', door, how), '20666 231 192', how);
  t.equal(await run('stat', door, 'late'), '100666 0 0', 'not after another system call');
  t.strictSame(await failures(), {});
});

t.test('descriptors are installed, by write and by ioctl', async (t) => {
  t.equal(await run('loop', door, '200', '1', 'none'), 'ok');
  const seen = await settled();
  t.strictSame(
    seen.filter((result) => result.error !== 0 || !result.replied),
    [],
  );
  for (const job of ['patch', 'install']) {
    const times = seen.filter((result) => result.job === job).map((result) => result.microseconds);
    times.sort((a, b) => a - b);
    t.comment(`${job}: median ${times[times.length >> 1]?.toFixed(0)} µs of ${times.length}`);
  }
});

t.test('threads of one client, and many clients', async (t) => {
  t.equal(await run('loop', door, '50', '16', 'none'), 'ok');
  const clients = Array.from({ length: 200 }, () => run('loop', door, '4', '2', 'none'));
  t.strictSame(new Set(await Promise.all(clients)), new Set(['ok']));
  t.strictSame(await failures(), {});
});

t.test('signals neither disturb the agent nor are lost', async (t) => {
  for (const kind of ['restart', 'interrupt']) {
    t.equal(await run('loop', door, String(500 * THOROUGH), '2', kind), 'ok', kind);
  }
  t.strictSame(await failures(), {});
});

t.test('a client is stopped and continued at any moment', async (t) => {
  const { child, output } = start('loop', door, String(1000 * THOROUGH), '2', 'none');
  const stops = setInterval(() => {
    child.kill('SIGSTOP');
    setTimeout(() => child.kill('SIGCONT'), Math.random() * 20);
  }, 25);
  t.equal(await output, 'ok');
  clearInterval(stops);
  t.strictSame(await failures(), {});
});

t.test('a client is killed at any moment', async (t) => {
  for (let i = 0; i < 60 * THOROUGH; i++) {
    const { child, output } = start('loop', door, '1000000', '2', 'none');
    await sleep(Math.random() * 12);
    child.kill('SIGKILL');
    if ((await output) !== 'exit null SIGKILL') t.fail(await output);
  }
  t.strictSame(leftovers(), []);
  const reasons = Object.keys(await failures());
  t.comment(reasons.join(', '));
  t.equal(pending, 0);
});

t.test('a client calls exec while the agent holds another of its threads', async (t) => {
  for (let i = 0; i < 30 * THOROUGH; i++) {
    const said = await run('exec', door);
    if (said !== 'ok') t.fail(said);
  }
  t.strictSame(leftovers(), []);
  await settled();
});

t.test('what the client sees when it goes wrong', async (t) => {
  t.equal(await run('fault', door), 'ok');
  t.strictSame(await failures(), { 'response in the client -14': 1 });
  t.equal(await run('full', door), 'ok');
  t.strictSame(await failures(), { 'openat in the client -24': 1 });
  patience = 1000;
  writeFileSync(flag, '\0');
  const spinning = run('spin', door, flag);
  await eventually(() => results.some(({ error }) => error === TIMED_OUT));
  writeFileSync(flag, 'x', { flag: 'r+' });
  t.equal(await spinning, 'ok');
  patience = PATIENCE_MS;
  t.strictSame(await failures(), { 'next system call -110': 1 });
  t.equal(await run('traced', door), 'ok');
  t.strictSame(await failures(), { 'seize -1': 1 });
});

t.test('a thread that does not exist', async (t) => {
  for (const tid of [0, -1, 2 ** 22 + 1]) {
    const job = {
      tid,
      fuseFd,
      reply: Buffer.alloc(0),
      mode: MODE,
      rdevMajor: 1,
      rdevMinor: 1,
      timeoutMs: 100,
    };
    const result = await new Promise<AgentResult>((resolve) => native.agentPatchStat(job, resolve));
    t.strictSame(result, { error: -3, step: 'seize', replied: false, descriptor: -1 });
  }
});
