/** Programs that use libibverbs, and the closing that they end with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { spawn as spawnInTerminal } from 'node-pty';
import type { Test } from 'tap';
import { EventType } from '../../../src/core/events.js';
import { clientProgram } from '../../support/client-programs.js';
import { eventually, VERBSIM } from '../../support/daemon.js';
import { allClosed } from '../../support/operator.js';
import { outcome } from '../../uverbs/support/door.js';
import { type Cell, type Row, shown } from '../table.js';
import { DEVICE, type World } from '../world.js';

const EIO = 5;
const EBUSY = 16;

const runArguments = ({ daemon }: World, ...command: string[]): string[] => [
  ...['--runtime-dir', daemon.runtimeDir, 'run', '--'],
  ...command,
];

/** What survivor prints (test/clients/survivor.c). */
interface Survived {
  async: number;
  channel: string;
  mapping: string;
  destroy: number[];
  close: number;
}

/** Runs survivor through a removal of the device; it is told to stop if the removal waits for it. */
async function survive(t: Test, world: World, env: NodeJS.ProcessEnv = {}): Promise<Survived> {
  const child = spawn(VERBSIM, runArguments(world, clientProgram('survivor', '-libverbs')), {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  const ready = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.startsWith('ready\n')) resolve();
    });
  });
  const closed = once(child, 'close') as Promise<[number]>;
  await Promise.race([ready, closed]);
  await world.remove();
  if (!world.combination.disassociates) child.stdin.write('\n');
  const [code] = await closed;
  t.equal(code, 0);
  await world.ended();
  await allClosed(world.operator);
  return JSON.parse(text.replace('ready\n', '')) as Survived;
}

const ALL_DESTROYED = [0, 0, 0, 0, 0, 0];

const survives = (expected: Survived): Cell =>
  shown(async (t, world) => {
    await world.plugIn();
    t.same(await survive(t, world), expected);
  });

const destroysEverything = survives({
  async: EventType.DEVICE_FATAL,
  channel: 'EIO',
  mapping: 'ok',
  destroy: ALL_DESTROYED,
  close: 0,
});

/**
 * Unless libibverbs is told that this is no error. It closes a channel without a command, which the CQ that it could not
 * destroy keeps in use.
 */
const destroysNothing = shown(async (t, world) => {
  const seen = { async: EventType.DEVICE_FATAL, channel: 'EIO', mapping: 'SIGBUS', close: 0 };
  await world.plugIn();
  t.same(await survive(t, world), { ...seen, destroy: [EIO, EIO, EIO, EBUSY, EIO, EIO] });
  await world.plug();
  const told = await survive(t, world, { RDMAV_ALLOW_DISASSOC_DESTROY: '1' });
  t.same(told, { ...seen, destroy: ALL_DESTROYED });
});

const noticesNothing = survives({
  async: -1,
  channel: '',
  mapping: 'ok',
  destroy: ALL_DESTROYED,
  close: 0,
});

const FILES = ['fd', 'asyncFd', 'channel'] as const;
const ORDERS = [FILES, FILES.toReversed(), ['asyncFd', 'fd', 'channel']] as const;

/** In any order; a mapping goes last. */
const closes = shown(async (t, world) => {
  await world.plugIn();
  for (const order of ORDERS) {
    const client = await world.open();
    const { door } = client;
    const map = await door.map(client.fd);
    await world.remove();
    for (const file of order) t.equal(outcome(await door.close(client[file])), 0, `${order}: ${file}`);
    await world.ended();
    await allClosed(world.operator);
    t.equal(outcome(await door.ask('munmap', map)), 0);
    await world.plug();
  }
});

// rdma-core's own

/** Starts ibv_asyncwatch and waits until it has the device open. Into a pipe it would print only at its end. */
async function watch(t: Test, world: World) {
  const terminal = spawnInTerminal(VERBSIM, runArguments(world, 'ibv_asyncwatch'), { cols: 120 });
  t.teardown(() => terminal.kill('SIGKILL'));
  let output = '';
  let code: number | undefined;
  terminal.onData((text) => (output += text));
  terminal.onExit(({ exitCode }) => (code = exitCode));
  await eventually('ibv_asyncwatch waits', () => /async event/i.test(output));
  return { terminal, output: () => output, code: () => code };
}

const FATAL = 'IBV_EVENT_DEVICE_FATAL (8)';
/** Enough for what wakes it to arrive. */
const A_WHILE = 200;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const toldAndSleeps = shown(async (t, world) => {
  await world.plugIn();
  const { output, code } = await watch(t, world);
  await world.remove();
  await eventually('it prints the event', () => output().includes(FATAL));
  await sleep(A_WHILE);
  t.equal(code(), undefined, 'and sleeps on');
  t.equal(output().split(FATAL).length, 2, 'once');
});

const toldAndEnds = shown(async (t, world) => {
  await world.plugIn();
  const { output, code } = await watch(t, world);
  await world.remove();
  await eventually('it ends', () => code() !== undefined);
  t.equal(code(), 1);
  t.match(output(), FATAL);
});

const notTold = shown(async (t, world) => {
  await world.plugIn();
  const { terminal, output, code } = await watch(t, world);
  await world.remove();
  await sleep(A_WHILE);
  t.equal(code(), undefined);
  t.notMatch(output(), FATAL);
  t.notOk(world.isRemoved);
  terminal.kill('SIGKILL');
  await world.ended();
});

const listed = shown(async (t, world) => {
  const { door } = await world.bareClient();
  const list = async () => (await world.daemon.run('ibv_devices')).stdout;
  t.match(await list(), DEVICE);
  await world.remove();
  t.notMatch(await list(), DEVICE);
  await door.kill();
  await world.ended();
  await world.plug();
  t.match(await list(), DEVICE, 'and is when it is back');
});

export const programRows: readonly Row[] = [
  {
    number: 37,
    situation: 'removed',
    call: 'ibv_destroy_*, ibv_dealloc_pd, ibv_dereg_mr',
    '6.12': destroysEverything,
    '4.3': destroysNothing,
    without: noticesNothing,
  },
  {
    number: 38,
    situation: 'removed',
    call: 'close, ibv_close_device',
    '6.12': closes,
    '4.3': closes,
    without: closes,
  },
  {
    number: 58,
    situation: 'ibv_asyncwatch',
    call: '–',
    '6.12': toldAndSleeps,
    '4.3': toldAndEnds,
    without: notTold,
  },
  {
    number: 59,
    situation: 'node removed',
    call: 'ibv_get_device_list',
    '6.12': listed,
    '4.3': listed,
    without: listed,
  },
];
