/**
 * Many clients that live and die at random while devices are unplugged, reset and plugged at random. Nothing may
 * hang, and nothing may be left in the daemon. VERBSIM_SOAK_SECONDS sets how long (60), VERBSIM_SOAK_SEED repeats one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { AdminClient } from '../../src/admin/client.js';
import { clientProgram } from '../support/client-programs.js';
import { type Daemon, eventually, execute, startDaemon, VERBSIM } from '../support/daemon.js';
import { heldClients } from '../support/held-clients.js';
import { limit } from '../support/limit.js';
import { allClosed, operate } from '../support/operator.js';

const USUAL_SECONDS = 60;
const SECONDS = Number(process.env['VERBSIM_SOAK_SECONDS'] ?? USUAL_SECONDS);
const SEED = Number(process.env['VERBSIM_SOAK_SEED'] ?? Date.now() % 1_000_000);
const WORKERS = 50;
const DEVICES = ['mlx4_0', 'mlx4_1', 'mlx4_2'] as const;
const CONFIG = `[[device]]\n[[device]]\nkernel_profile = "4.3"\n[[device]]\nlink_layer = "ethernet"\n`;
/** What the heap may be larger by after everything is closed. */
const MAX_GROWTH_BYTES = 64 * 2 ** 20;

limit(t, SECONDS / USUAL_SECONDS);

/** Numbers below `limit`, the same for the same seed (mulberry32). */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** Takes devices away and brings them back until the time is over; returns how often. */
async function disturb(operator: AdminClient, end: number): Promise<number> {
  const below = random(SEED);
  let removals = 0;
  while (Date.now() < end) {
    const device = DEVICES[below(DEVICES.length)] as string;
    if (below(2) === 0) {
      await operator.call('device.reset', { device });
    } else {
      await operator.call('device.unplug', { device });
      await setTimeout(below(100));
      await operator.call('device.plug', { device });
    }
    removals++;
    await setTimeout(below(300));
  }
  return removals;
}

const descriptorsOf = ({ pid }: Daemon): number => readdirSync(`/proc/${pid}/fd`).length;

const residentBytesOf = ({ pid }: Daemon): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

t.test(`${WORKERS} clients for ${SECONDS} s, seed ${SEED}`, async (t) => {
  const daemon = await startDaemon(t, { config: CONFIG });
  const operator = await operate(t, daemon);
  const program = clientProgram('soak', '-libverbs');
  const life = (seconds: number) =>
    execute(
      VERBSIM,
      ['--runtime-dir', daemon.runtimeDir, 'run', '--', program, `${WORKERS}`, `${seconds}`, `${SEED}`],
      {},
      (seconds + 300) * 1000,
    );
  // What is made once (compiled code, the agents' stacks) is not a leak.
  await life(2);
  const before = { descriptors: descriptorsOf(daemon), memory: residentBytesOf(daemon) };

  const clients = life(SECONDS);
  const removals = await disturb(operator, Date.now() + SECONDS * 1000);
  const { code, stdout, stderr } = await clients;
  t.equal(code, 0, stderr);
  const tally = JSON.parse(stdout) as Record<string, number>;
  t.comment(JSON.stringify({ ...tally, removals }));
  t.equal(tally['stuck'], 0, 'every client came to its end');
  t.ok(Number(tally['opened']) > SECONDS && removals > SECONDS / 10, 'there was something to survive');

  await allClosed(operator);
  await eventually('no client is held', () => heldClients(daemon).length === 0);
  const devices = await operator.call('device.list', {});
  t.same(
    devices.map(({ plugged, contexts }) => [plugged, contexts]),
    DEVICES.map(() => [true, []]),
  );
  t.same(await operator.call('resource.list', {}), []);
  await eventually('no descriptor is left', () => descriptorsOf(daemon) <= before.descriptors + 2);
  // A daemon that has been busy gives memory back when it has come to rest.
  const growth = () => residentBytesOf(daemon) - before.memory;
  const bound = `${MAX_GROWTH_BYTES >> 20} MiB`;
  await eventually(`it has grown by less than ${bound}`, () => growth() < MAX_GROWTH_BYTES);
  t.notMatch(daemon.log(), 'a handler failed');
  t.match((await daemon.run('ibv_devinfo', '-d', 'mlx4_0')).stdout, 'PORT_ACTIVE', 'and it still works');
});
