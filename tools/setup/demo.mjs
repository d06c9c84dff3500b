/**
 * npm run demo: what the simulator is for, in a minute. A private simulator, an unmodified rdma-core program that uses
 * its device, and the device pulled out from under it. Exits with 0 only if everything went as it should.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CLIENTS, main, prepare, root, SetupError } from './prepare.mjs';

const BIN = join(root, 'tools', 'verbsim', 'bin.mjs');
const PATIENCE_MS = 10_000;
const FIRST_LINES = 16;

/** Of node-pty, which is there only after prepare(). */
let spawn;
let failures = 0;

function expect(what, holds) {
  console.log(`${holds ? 'as expected' : 'NOT AS EXPECTED'}: ${what}\n`);
  if (!holds) failures++;
}

/** Whether `condition` holds within a while. */
async function eventually(condition) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) return false;
    await setTimeout(20);
  }
  return true;
}

/** `verbsim` with a runtime directory of its own, each command shown before it is run. */
class Demonstration {
  #env;

  constructor(runtimeDirectory) {
    this.#env = { ...process.env, VERBSIM_RUNTIME_DIR: runtimeDirectory };
  }

  /** Runs a command to its end and shows the first lines of its output. */
  async verbsim(...args) {
    console.log(`$ verbsim ${args.join(' ')}`);
    const started = performance.now();
    const result = await new Promise((resolve) => {
      execFile(BIN, args, { env: this.#env, timeout: 6 * PATIENCE_MS }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : (error.code ?? 1), output: stdout + stderr }),
      );
    });
    const milliseconds = performance.now() - started;
    const lines = result.output.trimEnd().split('\n');
    if (result.output !== '') console.log(lines.slice(0, FIRST_LINES).join('\n'));
    if (lines.length > FIRST_LINES) console.log(`... ${lines.length - FIRST_LINES} more lines`);
    return { ...result, milliseconds };
  }

  /** Runs a client beside; it gets a terminal, because into a pipe it would not print before its buffer is full. */
  background(client) {
    console.log(`$ verbsim run -- ${client} &`);
    const terminal = spawn(BIN, ['run', '--', client], { cols: 120, env: this.#env });
    const background = { output: '', ended: false, end: () => terminal.kill() };
    terminal.onData((text) => {
      background.output += text;
    });
    terminal.onExit(() => {
      background.ended = true;
    });
    return background;
  }
}

const mountsBelow = (directory) =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(` ${directory}/`));

/** Processes that have the directory in their command line. */
const processesOf = (directory) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
      } catch {
        return false;
      }
    });

async function loseADevice(demo) {
  expect('the simulator starts', (await demo.verbsim('up')).code === 0);

  const info = await demo.verbsim('run', '--', 'ibv_devinfo', '-v');
  expect('ibv_devinfo finds an mlx4_0 with an active port', /mlx4_0[\s\S]*PORT_ACTIVE/.test(info.output));

  const watch = demo.background('ibv_asyncwatch');
  const opened = await eventually(() => /async event/i.test(watch.output));
  console.log(watch.output.trimEnd());
  expect('ibv_asyncwatch has opened the device and waits for events', opened);

  const unplug = await demo.verbsim('unplug', 'mlx4_0');
  expect(
    `unplug returns at once although the device is in use (${unplug.milliseconds.toFixed(0)} ms in all)`,
    unplug.code === 0 && /ibv_asyncwatch/.test(unplug.output),
  );

  const told = await eventually(() => watch.output.includes('IBV_EVENT_DEVICE_FATAL'));
  console.log(watch.output.trimEnd());
  expect('ibv_asyncwatch was told: IBV_EVENT_DEVICE_FATAL', told);
  watch.end();
  expect('ibv_asyncwatch can be ended', await eventually(() => watch.ended));

  const gone = await demo.verbsim('run', '--', 'ibv_devices');
  expect('ibv_devices finds no device', gone.code === 0 && !gone.output.includes('mlx4_0'));

  expect('the device can be plugged in again', (await demo.verbsim('plug', 'mlx4_0')).code === 0);
  const back = await demo.verbsim('run', '--', 'ibv_devices');
  expect('ibv_devices finds it', back.code === 0 && back.output.includes('mlx4_0'));
}

await main(async () => {
  prepare({ packages: CLIENTS });
  ({ spawn } = await import('node-pty'));
  if (process.getuid?.() !== 0) throw new SetupError('mounting needs root: run "sudo npm run demo"');
  const directory = mkdtempSync('/run/verbsim-demo-');
  const demo = new Demonstration(directory);
  try {
    await loseADevice(demo);
  } finally {
    expect('the simulator stops', (await demo.verbsim('down')).code === 0);
  }
  const clean = await eventually(
    () => mountsBelow(directory).length === 0 && processesOf(directory).length === 0,
  );
  expect('nothing is left of it, neither mounts nor processes', clean);
  return failures === 0 ? 0 : 1;
});
