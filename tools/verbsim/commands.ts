/** The commands of verbsim, in the order in which the help shows them. */
import { InvalidArgumentError } from 'commander';
import { RAISABLE_EVENTS } from '../../src/admin/wire.js';
import type { CommandRow, OptionRow } from './command.js';
import { RESOURCE_TYPES } from './resource-types.js';

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

const configOption: OptionRow = {
  flags: '--config <file>',
  summary: 'read the configuration (TOML) from a file',
};
const systemOption: OptionRow = {
  flags: '--system',
  summary: "take the place of the machine's own RDMA devices, for every process",
};
const withoutDisassociateOption: OptionRow = {
  flags: '--driver-without-disassociate',
  summary: "let an unplug wait until the device's last user has closed it",
};
const jsonOptions: OptionRow[] = [
  { flags: '-j, --json', summary: 'print JSON' },
  { flags: '-p, --pretty', summary: 'print JSON, indented' },
];
const realisticTimingOption: OptionRow = {
  flags: '--realistic-timing',
  summary: 'take the seconds that hardware takes, instead of none',
};
const timeoutOption: OptionRow = {
  flags: '--timeout <seconds>',
  summary: 'how long to wait for users that must close it; the simulator goes on without this command',
  parse: wholeNumber,
};
const aPort = { name: '<port>', summary: 'device and port number, like "mlx4_0/1"' };
const aDevice = { name: '<device>', summary: 'its name, as "verbsim dev show" has it' };

export const groups: Record<string, string> = {
  dev: 'look at devices, make and break them',
  port: 'change the ports of devices',
  resource: 'look at what clients have made',
};

export const commands: readonly CommandRow[] = [
  {
    words: 'up',
    summary: 'start the simulator in the background',
    options: [configOption, systemOption, withoutDisassociateOption],
    load: () => import('./commands/up.js'),
  },
  {
    words: 'down',
    summary: 'stop the simulator',
    load: () => import('./commands/down.js'),
  },
  {
    words: 'run',
    arguments: [{ name: '<command...>', summary: 'a program and its arguments' }],
    summary:
      'run a program that sees the simulated devices; without a running simulator it gets one of its own',
    passThrough: true,
    load: () => import('./commands/run.js'),
  },
  {
    words: 'dev show',
    arguments: [{ name: '[device]', summary: 'only this one' }],
    summary: 'show the devices, their ports and who uses them',
    options: jsonOptions,
    load: () => import('./commands/dev-show.js'),
  },
  {
    words: 'dev add',
    arguments: [{ name: '[device]', summary: 'its name; left out: the next free one' }],
    summary: 'make another device and plug it in',
    options: [
      {
        flags: '--without-disassociate',
        summary: 'its driver has no disassociate_ucontext: an unplug waits for its users',
      },
      { flags: '--profile <kernel>', summary: 'the kernel it behaves as', choices: ['6.12', '4.3'] },
      { flags: '--link-layer <layer>', summary: 'of its ports', choices: ['infiniband', 'ethernet'] },
      { flags: '--ports <number>', summary: 'how many it has, 1 or 2', parse: wholeNumber },
    ],
    load: () => import('./commands/dev-add.js'),
  },
  {
    words: 'dev del',
    arguments: [aDevice],
    summary: 'unplug a device and forget it',
    options: [timeoutOption],
    load: () => import('./commands/dev-del.js'),
  },
  {
    words: 'dev fatal',
    arguments: [aDevice],
    summary: 'let a device have a fatal error, after which its driver restarts it',
    options: [realisticTimingOption, timeoutOption, ...jsonOptions],
    load: async () => ({ default: (await import('./commands/dev-restart.js')).fatal }),
  },
  {
    words: 'dev reset',
    arguments: [aDevice],
    summary: 'unplug a device and plug it in again',
    options: [realisticTimingOption, timeoutOption, ...jsonOptions],
    load: async () => ({ default: (await import('./commands/dev-restart.js')).reset }),
  },
  {
    words: 'port set',
    arguments: [
      aPort,
      { name: '<what>', summary: 'what to set', choices: ['state'] },
      { name: '<value>', summary: 'to which value', choices: ['down', 'active'] },
    ],
    summary: 'pull or plug the cable of a port',
    load: async () => ({ default: (await import('./commands/port.js')).set }),
  },
  {
    words: 'port raise',
    arguments: [aPort, { name: '<event>', summary: 'which event', choices: RAISABLE_EVENTS }],
    summary: 'tell the clients of a device of an event of one of its ports',
    load: async () => ({ default: (await import('./commands/port.js')).raise }),
  },
  {
    words: 'monitor',
    summary: 'show what happens to devices and their clients, as it happens',
    options: jsonOptions,
    load: () => import('./commands/monitor.js'),
  },
  {
    words: 'resource show',
    arguments: [{ name: '[type]', summary: 'only these', choices: Object.keys(RESOURCE_TYPES) }],
    summary: 'show the objects of all clients, whose they are and what they refer to',
    options: jsonOptions,
    load: () => import('./commands/resource-show.js'),
  },
  {
    words: 'unplug',
    arguments: [aDevice],
    summary: 'pull a device out from under its users, and show whom that hit',
    options: [timeoutOption, ...jsonOptions],
    load: () => import('./commands/unplug.js'),
  },
  {
    words: 'plug',
    arguments: [aDevice],
    summary: 'put a device back',
    load: () => import('./commands/plug.js'),
  },
  {
    words: 'status',
    summary: 'show the running simulator',
    options: jsonOptions,
    load: () => import('./commands/status.js'),
  },
  {
    words: 'env',
    summary: 'print shell commands that let programs find the simulated devices in sysfs',
    load: () => import('./commands/env.js'),
  },
  {
    words: 'doctor',
    summary: 'examine whether this machine can run the simulator',
    options: jsonOptions,
    load: () => import('./commands/doctor.js'),
  },
  {
    words: 'daemon',
    summary: 'run the simulator in the foreground',
    options: [
      configOption,
      systemOption,
      withoutDisassociateOption,
      {
        flags: '--while-pid <pid>',
        summary: 'stop when this process exits',
        parse: wholeNumber,
      },
      {
        flags: '--ready-fd <fd>',
        summary: 'write "ready", or "error: " and a sentence, to this descriptor once that is known',
        parse: wholeNumber,
      },
    ],
    load: () => import('./commands/daemon.js'),
  },
];
