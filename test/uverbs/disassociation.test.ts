/** Removal of a device from under its users, as each kernel does it, and what is left to them afterwards. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node-pty';
import t, { type Test } from 'tap';
import * as abi from '../../src/abi/index.js';
import type { AdminClient } from '../../src/admin/client.js';
import type { UnplugReport } from '../../src/admin/protocol.js';
import { EventType } from '../../src/core/events.js';
import { type Daemon, eventually, startDaemon, VERBSIM } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import {
  ALLOC_PD,
  ASYNC_EVENT_ALLOC,
  allocAsyncFile,
  CREATE_COMP_CHANNEL,
  countHandles,
  createCq,
  deallocPd,
  deregMr,
  destroyCq,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
  make,
  openByIoctl,
  openByWrite,
  regMr,
} from './support/context.js';
import { type Answer, outcome, succeeded, UverbsDoor } from './support/door.js';
import {
  attr,
  byWrite,
  type Command,
  extended,
  ioctlMessage,
  legacy,
  parse,
  u16,
  u32,
  zeroes,
} from './support/messages.js';

const Cmd = abi.ibUverbsWriteCmds;
const Obj = abi.uverbsDefaultObjects;
const POLLERR = 0x008;
const READABLE = 0x041;

interface Machine {
  daemon: Daemon;
  operator: AdminClient;
  /** The device's node. */
  node: string;
  unplug(): Promise<UnplugReport>;
  plug(): Promise<unknown>;
  openFiles(): Promise<number>;
}

async function startMachine(t: Test, device = ''): Promise<Machine> {
  const daemon = await startDaemon(t, { config: `[[device]]\n${device}\n` });
  const operator = await operate(t, daemon);
  return {
    daemon,
    operator,
    node: join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0'),
    unplug: () => operator.call('device.unplug', { device: 'mlx4_0' }),
    plug: () => operator.call('device.plug', { device: 'mlx4_0' }),
    openFiles: async () => (await operator.call('status', {})).openFiles,
  };
}

// What calls come to after removal, by kernel

const QUERY_DEVICE = legacy(
  Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE,
  abi.ibUverbsQueryDevice,
  {},
  { response: abi.ibUverbsQueryDeviceResp },
);
const EX_QUERY_DEVICE = extended(
  abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_QUERY_DEVICE,
  abi.ibUverbsExQueryDevice,
  { compMask: 0 },
  { response: abi.ibUverbsExQueryDeviceResp },
);
const QUERY_PORT = legacy(
  Cmd.IB_USER_VERBS_CMD_QUERY_PORT,
  abi.ibUverbsQueryPort,
  { portNum: 1 },
  { response: abi.ibUverbsQueryPortResp },
);
const resizeCq = (cqHandle: number): Command =>
  legacy(
    Cmd.IB_USER_VERBS_CMD_RESIZE_CQ,
    abi.ibUverbsResizeCq,
    { cqHandle, cqe: 31 },
    { response: abi.ibUverbsResizeCqResp, driverIn: '@B+8192;' },
  );

interface Client {
  door: UverbsDoor;
  fd: number;
  asyncFd: number;
  channel: number;
  map: number;
  pd: number;
  mr: number;
  cq: number;
}

async function openClient(t: Test, { node }: Machine): Promise<Client> {
  const door = UverbsDoor.start(t);
  const context = await openByWrite(door, node);
  const { fd } = context;
  const channel = await make(door, fd, CREATE_COMP_CHANNEL);
  const pd = await make(door, fd, ALLOC_PD);
  const mr = await make(door, fd, regMr(pd, await door.address('@B')));
  const cq = await make(door, fd, createCq({ compChannel: channel }));
  return { door, ...context, channel, map: await door.map(fd), pd, mr, cq };
}

type Call = (client: Client) => Promise<Answer>;
const command =
  (build: (client: Client) => Command): Call =>
  (client) =>
    client.door.command(client.fd, build(client));
const message =
  (text: string): Call =>
  ({ door, fd }) =>
    door.write(fd, text, 512);

const HEADER = (number: number, bytes: number): string =>
  u32(number) + u16((8 + bytes) / 4) + u16(0) + zeroes(bytes);

/** Call, result with 6.12, result with 4.3; in this order, each once. */
const afterRemoval: [string, Call, number | string, number | string][] = [
  ['write of less than a header', message(zeroes(4)), 'EINVAL', 'EINVAL'],
  ['write that cannot be read', ({ door, fd }) => door.ask('write-at', fd, '@U', 8), 'EFAULT', 'EFAULT'],
  ['in_words that counts wrong', message(byWrite(QUERY_DEVICE, { inWords: 3 })), 'EINVAL', 'EIO'],
  ['too little room for the response', message(byWrite(QUERY_DEVICE, { outWords: 1 })), 'ENOSPC', 'EIO'],
  ['unsupported command', message(HEADER(Cmd.IB_USER_VERBS_CMD_CREATE_AH, 64)), 'EOPNOTSUPP', 'EIO'],
  ['unsupported command that counts wrong', message(u32(5) + u32(1)), 'EINVAL', 'EIO'],

  ['GET_CONTEXT', command(() => GET_CONTEXT), 'EIO', 'EIO'],
  ['QUERY_DEVICE', command(() => QUERY_DEVICE), 'EIO', 'EIO'],
  ['EX_QUERY_DEVICE', command(() => EX_QUERY_DEVICE), 'EIO', 'EIO'],
  ['QUERY_PORT', command(() => QUERY_PORT), 'EIO', 'EIO'],
  ['ALLOC_PD', command(() => ALLOC_PD), 'EIO', 'EIO'],
  ['CREATE_COMP_CHANNEL', command(() => CREATE_COMP_CHANNEL), 'EIO', 'EIO'],
  ['CREATE_CQ', command(() => createCq()), 'EIO', 'EIO'],
  ['CREATE_CQ with a channel', command(({ channel }) => createCq({ compChannel: channel })), 'EIO', 'EIO'],
  ['REG_MR', command(({ pd }) => regMr(pd, 0n)), 'EIO', 'EIO'],
  ['REG_MR that is wrong in itself', command(({ pd }) => regMr(pd, 0n, { hcaVa: 1n })), 'EINVAL', 'EIO'],
  ['RESIZE_CQ', command(({ cq }) => resizeCq(cq)), 'EIO', 'EIO'],
  ['RESIZE_CQ of an unknown CQ', command(() => resizeCq(999)), 'ENOENT', 'EIO'],

  ['destroying the CQ', command(({ cq }) => destroyCq(cq)), 24, 'EIO'],
  ['destroying the CQ again', command(({ cq }) => destroyCq(cq)), 'ENOENT', 'EIO'],
  // Before the MR in it: nothing refers to anything any more.
  ['destroying the PD', command(({ pd }) => deallocPd(pd)), 12, 'EIO'],
  ['destroying the PD again', command(({ pd }) => deallocPd(pd)), 'ENOENT', 'EIO'],
  ['destroying the MR', command(({ mr }) => deregMr(mr)), 12, 'EIO'],

  ['the door of ioctl', ({ door, fd }) => door.invoke(fd, QUERY_DEVICE), 'EIO', 'ENOTTY'],
  ['unmapping', ({ door, map }) => door.ask('munmap', map), 0, 0],
  ['closing', ({ door, fd }) => door.close(fd), 0, 0],
];

for (const [column, kernel] of ['6.12', '4.3'].entries()) {
  t.test(`commands after removal, as ${kernel}`, async (t) => {
    const machine = await startMachine(t, `kernel_profile = "${kernel}"`);
    const client = await openClient(t, machine);
    const report = await machine.unplug();
    t.match(report.contexts, [{ pid: client.door.pid }]);
    t.ok(report.milliseconds < 1000, 'it waits for nobody');
    for (const [name, call, ...expected] of afterRemoval) {
      t.equal(outcome(await call(client)), expected[column], name);
    }
  });

  t.test(`event files after removal, as ${kernel}`, async (t) => {
    const machine = await startMachine(t, `kernel_profile = "${kernel}"`);
    const { door, asyncFd, channel } = await openClient(t, machine);
    const old = kernel === '4.3';
    const completion = await door.start('read', channel, 8);
    const event = await door.start('read', asyncFd, 16);
    await machine.unplug();
    const { result, data } = await door.wait(event);
    t.equal(result, 16);
    t.match(parse(abi.ibUverbsAsyncEventDesc, data), { element: 0n, eventType: EventType.DEVICE_FATAL });
    t.equal(outcome(await door.wait(completion)), 'EIO', 'a blocked read of the channel');

    t.equal(outcome(await door.read(asyncFd, 16, 'nonblock')), 'EAGAIN', 'exactly one event');
    t.equal(await door.poll(asyncFd), 0, 'no error and no end of file');
    const further = await door.start('read', asyncFd, 16);
    const waited = await door.wait(further, 200);
    if (old) t.equal(outcome(waited), 'EIO', 'a further read fails');
    else t.ok(waited.pending, 'a further read sleeps for ever');
    t.equal(outcome(await door.read(channel, 8, 'nonblock')), old ? 'EAGAIN' : 'EIO');
    t.equal(await door.poll(channel), old ? 0 : POLLERR);
  });
}

const OLD_PORT_EVENTS = [
  { element: 1n, eventType: EventType.PORT_ERR },
  { element: 1n, eventType: EventType.SM_CHANGE },
];
const FATAL = { element: 0n, eventType: EventType.DEVICE_FATAL };

/** Takes all events that are queued. */
async function drain(door: UverbsDoor, asyncFd: number): Promise<abi.IbUverbsAsyncEventDesc[]> {
  const events: abi.IbUverbsAsyncEventDesc[] = [];
  for (;;) {
    const answer = await door.read(asyncFd, 16, 'nonblock');
    if (answer.errno === 'EAGAIN') return events;
    events.push(parse(abi.ibUverbsAsyncEventDesc, succeeded('read', answer).data));
  }
}

for (const kernel of ['6.12', '4.3']) {
  t.test(`events that came before removal, as ${kernel}`, async (t) => {
    const machine = await startMachine(t, `kernel_profile = "${kernel}"`);
    const { door, asyncFd } = await openClient(t, machine);
    await machine.operator.call('port.set', { device: 'mlx4_0', port: 1, state: 'down' });
    await machine.operator.call('port.raise', { device: 'mlx4_0', port: 1, event: 'SM_CHANGE' });
    await machine.unplug();
    t.match(await drain(door, asyncFd), [...OLD_PORT_EVENTS, FATAL], 'they are read first');
  });
}

t.test('a fatal error is told twice', async (t) => {
  const machine = await startMachine(t);
  const { door, fd, asyncFd } = await openClient(t, machine);
  await machine.operator.call('device.fatal', { device: 'mlx4_0' });
  const events = await drain(door, asyncFd);
  t.match(events, [FATAL, FATAL], 'by the driver, and by the removal that the restart begins with');
  t.equal(events.length, 2);
  t.equal(outcome(await door.command(fd, ALLOC_PD)), 'EIO', 'the context is lost');
  const fresh = await openByWrite(door, machine.node);
  t.equal(await make(door, fresh.fd, ALLOC_PD), 0, 'the device is back');
});

t.test('a reset is told once', async (t) => {
  const machine = await startMachine(t);
  const { door, asyncFd } = await openClient(t, machine);
  await machine.operator.call('device.reset', { device: 'mlx4_0' });
  t.match(await drain(door, asyncFd), { length: 1 });
});

t.test('the ioctl door after removal', async (t) => {
  const machine = await startMachine(t);
  const { door, fd, asyncFd, pd, mr, cq } = await openClient(t, machine);
  await machine.unplug();
  const Port = abi.uverbsAttrsQueryPortCmdAttrIds;
  const Invoke = abi.uverbsAttrsInvokeWriteCmdAttrIds;
  const CqDestroy = abi.uverbsAttrsDestroyCqCmdAttrIds;
  const PdDestroy = abi.uverbsAttrsPdDestroyIds;
  const MrDestroy = abi.uverbsAttrsMrDestroyIds;
  const QueryMr = abi.uverbsAttrsQueryMrCmdAttrIds;
  const destroyPd = ioctlMessage(Obj.UVERBS_OBJECT_PD, abi.uverbsMethodsPd.UVERBS_METHOD_PD_DESTROY, [
    attr.handle(PdDestroy.UVERBS_ATTR_DESTROY_PD_HANDLE, pd),
  ]);
  const queryMr = (handle: number) =>
    ioctlMessage(Obj.UVERBS_OBJECT_MR, abi.uverbsMethodsMr.UVERBS_METHOD_QUERY_MR, [
      attr.handle(QueryMr.UVERBS_ATTR_QUERY_MR_HANDLE, handle),
      attr.out(QueryMr.UVERBS_ATTR_QUERY_MR_RESP_LKEY, '@R', 4),
      attr.out(QueryMr.UVERBS_ATTR_QUERY_MR_RESP_RKEY, '@R', 4),
      attr.out(QueryMr.UVERBS_ATTR_QUERY_MR_RESP_LENGTH, '@R', 8),
    ]);
  const deviceMethod = (id: number, ...attributes: Parameters<typeof ioctlMessage>[2]) =>
    ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, id, attributes);
  const methods = abi.uverbsMethodsDevice;
  for (const [name, ioctl, expected] of [
    [
      "libibverbs' probe",
      deviceMethod(
        methods.UVERBS_METHOD_INVOKE_WRITE,
        attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE),
      ),
      'ENOSPC',
    ],
    ['a header that is wrong', ioctlMessage(0, 0, [], { length: 40 }), 'EINVAL'],
    ['an unknown object', ioctlMessage(99, 0, []), 'EPROTONOSUPPORT'],
    ['GET_CONTEXT', GET_CONTEXT_IOCTL, 'EIO'],
    ['ASYNC_EVENT_ALLOC', ASYNC_EVENT_ALLOC, 'EIO'],
    [
      'QUERY_PORT',
      deviceMethod(
        methods.UVERBS_METHOD_QUERY_PORT,
        attr.const(Port.UVERBS_ATTR_QUERY_PORT_PORT_NUM, 1),
        attr.out(Port.UVERBS_ATTR_QUERY_PORT_RESP, '@R', 48),
      ),
      'EIO',
    ],
    ['use of a handle', queryMr(mr), 'EIO'],
    ['use of an unknown handle', queryMr(999), 'ENOENT'],
    ['use of another type of handle', queryMr(pd), 'EINVAL'],
    [
      'destroying the CQ',
      ioctlMessage(Obj.UVERBS_OBJECT_CQ, abi.uverbsMethodsCq.UVERBS_METHOD_CQ_DESTROY, [
        attr.out(CqDestroy.UVERBS_ATTR_DESTROY_CQ_RESP, '@R', 8),
        attr.handle(CqDestroy.UVERBS_ATTR_DESTROY_CQ_HANDLE, cq),
      ]),
      0,
    ],
    ['destroying the PD', destroyPd, 0],
    ['destroying the PD again', destroyPd, 'ENOENT'],
    [
      'destroying the MR',
      ioctlMessage(Obj.UVERBS_OBJECT_MR, abi.uverbsMethodsMr.UVERBS_METHOD_MR_DESTROY, [
        attr.handle(MrDestroy.UVERBS_ATTR_DESTROY_MR_HANDLE, mr),
      ]),
      0,
    ],
  ] as const) {
    t.equal(outcome(await door.ioctl(fd, ioctl, 64)), expected, name);
  }
  for (const objectId of [Obj.UVERBS_OBJECT_PD, Obj.UVERBS_OBJECT_MR, Obj.UVERBS_OBJECT_CQ]) {
    t.equal(await countHandles(door, fd, objectId), 0, 'INFO_HANDLES lists nothing');
  }
  t.equal(await door.poll(asyncFd), READABLE);
});

t.test('a destroyed CQ reports the events that were read, and nothing was flushed into it', async (t) => {
  const machine = await startMachine(t);
  const { door, fd, cq } = await openClient(t, machine);
  const before = await door.ask('scratch-dump', 2048);
  await machine.unplug();
  t.same(await door.ask('scratch-dump', 2048), before);
  const { response } = await door.command(fd, destroyCq(cq));
  t.match(parse(abi.ibUverbsDestroyCqResp, response), { compEventsReported: 0, asyncEventsReported: 0 });
});

t.test('a file without a context', async (t) => {
  const machine = await startMachine(t);
  const door = UverbsDoor.start(t);
  const fd = await door.open(machine.node);
  t.same((await machine.unplug()).contexts, [], 'has nothing to lose');
  for (const [name, command] of Object.entries({ GET_CONTEXT, ALLOC_PD, QUERY_DEVICE })) {
    t.equal(outcome(await door.command(fd, command)), 'EIO', name);
  }
  t.equal(outcome(await door.ioctl(fd, GET_CONTEXT_IOCTL, 32)), 'EIO');
  t.equal(outcome(await door.close(fd)), 0);
});

t.test('a context without an event file, and one with several', async (t) => {
  const machine = await startMachine(t);
  const door = UverbsDoor.start(t);
  const silent = await door.open(machine.node);
  succeeded('GET_CONTEXT', await door.ioctl(silent, GET_CONTEXT_IOCTL, 32));
  const { fd, asyncFd } = await openByIoctl(door, machine.node);
  const files = [asyncFd, await allocAsyncFile(door, fd), await allocAsyncFile(door, fd)];
  t.equal((await machine.unplug()).contexts.length, 2);
  for (const file of files) t.equal(outcome(await door.read(file, 16, 'nonblock')), 16, 'each is told');
  t.equal(outcome(await door.command(silent, ALLOC_PD)), 'EIO');
});

t.test('mappings', async (t) => {
  const machine = await startMachine(t);
  const { door, fd, map } = await openClient(t, machine);
  const second = await door.map(fd);
  await door.ask('store32', map, 0x18, 0x1234);
  await door.ask('fork');
  await machine.unplug();
  for (const process of ['a child', 'its parent']) {
    t.match(await door.ask('load32', map, 0x18), { value: 0 }, `${process} finds an empty page`);
    t.match(await door.ask('store32', map, 0x20, 77), { result: 0 }, `${process} may write`);
    t.match(await door.ask('load32', second, 0x20), { value: 77 }, 'all mappings show the same page');
    await door.ask('store32', second, 0x20, 0);
    if (process === 'a child') await door.ask('exit');
  }
  t.match(await door.ask('munmap', map), { result: 0 });
  t.match(await door.ask('load32', second, 0x20), { value: 0 });
});

t.test('mappings as 4.3 leaves them', async (t) => {
  const machine = await startMachine(t, 'kernel_profile = "4.3"');
  const { door, map } = await openClient(t, machine);
  await door.ask('store32', map, 0x18, 0x1234);
  await machine.unplug();
  t.match(await door.ask('load32', map, 0x18), { signal: 'SIGBUS' });
  t.match(await door.ask('store32', map, 0x18, 1), { signal: 'SIGBUS' });
  t.match(await door.ask('munmap', map), { result: 0 });
});

t.test('opening', async (t) => {
  const machine = await startMachine(t);
  const door = UverbsDoor.start(t);
  const { daemon, node } = machine;
  const attribute = join(daemon.mountpoint, 'sys/class/infiniband_verbs/uverbs0/ibdev');
  const stale = `/proc/self/fd/${await door.open(node, 'path')}`;
  const held = await door.open(attribute, 'rdonly');
  const { fd, asyncFd } = await openByWrite(door, node);
  await machine.unplug();
  t.equal(outcome(await door.ask('open', node)), 'ENOENT', 'by name');
  t.equal(outcome(await door.ask('open', stale)), 'EIO', 'a stale inode while old descriptors are open');
  t.equal(outcome(await door.read(held, 64)), 'ENODEV', 'an attribute that was held open');

  await machine.plug();
  const fresh = await openByWrite(door, node);
  t.equal(await make(door, fresh.fd, ALLOC_PD), 0, 'the device that was plugged in again');
  t.equal(outcome(await door.command(fd, ALLOC_PD)), 'EIO', 'old descriptors stay dead');
  t.equal(outcome(await door.ask('open', stale)), 'EIO', 'and so do old inodes');
  t.equal(outcome(await door.read(asyncFd, 16, 'nonblock')), 16);
  t.equal(outcome(await door.read(asyncFd, 16, 'nonblock')), 'EAGAIN', 'they hear nothing of the new device');
  await door.close(fd);
  await door.close(asyncFd);
  t.equal(outcome(await door.ask('open', stale)), 'ENXIO', 'a stale inode when all is closed');
});

t.test('commands that meet a removal', async (t) => {
  const machine = await startMachine(t);
  const outcomes = new Set<number | string>();
  for (let round = 0; round < 5; round++) {
    const door = UverbsDoor.start(t);
    const { fd } = await openByIoctl(door, machine.node);
    const removal = machine.unplug();
    let removed = false;
    void removal.then(() => (removed = true));
    while (!removed) {
      const jobs: number[] = [];
      // Making a descriptor takes the longest of all commands: most of it happens in the client.
      for (let i = 0; i < 8; i++) jobs.push(await door.start('write', fd, byWrite(CREATE_COMP_CHANNEL), 4));
      for (const job of jobs) outcomes.add(outcome(await door.wait(job)));
    }
    await door.kill();
    await removal;
    await machine.plug();
  }
  outcomes.delete('EMFILE');
  t.same([...outcomes].sort(), [16, 'EIO'], 'each is done or refused');
  await eventually('all files are closed', async () => (await machine.openFiles()) === 0);
});

// A driver without disassociate_ucontext

t.test('a driver that cannot disassociate waits for its users', async (t) => {
  const machine = await startMachine(t, 'driver_without_disassociate = true');
  const { node } = machine;
  const { door, fd, asyncFd, channel, map, pd } = await openClient(t, machine);
  let removed = false;
  const removal = machine.unplug().then(() => (removed = true));
  await eventually('the node is gone', () => !existsSync(node));
  t.equal(outcome(await door.ask('open', node)), 'ENOENT', 'nobody else can open it');
  t.match(await door.command(fd, QUERY_PORT), { result: 24 }, 'but its user works on');
  t.equal(await make(door, fd, ALLOC_PD), pd + 3);
  t.equal(outcome(await door.read(asyncFd, 16, 'nonblock')), 'EAGAIN', 'and is not told');
  t.equal(await door.poll(channel), 0);

  await door.ask('munmap', map);
  await door.close(fd);
  await door.close(channel);
  await door.ask('sleep', 200);
  t.notOk(removed, 'an event file alone keeps it waiting');
  await door.close(asyncFd);
  await removal;
  t.ok(removed);
});

// Unmodified programs

/** Starts ibv_asyncwatch and waits until it has the device open. Into a pipe it would print only at its end. */
async function startAsyncwatch(t: Test, { runtimeDir }: Daemon) {
  const args = ['--runtime-dir', runtimeDir, 'run', '--', 'ibv_asyncwatch'];
  const watch = spawn(VERBSIM, args, { cols: 120 });
  t.teardown(() => watch.kill('SIGKILL'));
  let output = '';
  watch.onData((text) => (output += text));
  await eventually('ibv_asyncwatch waits', () => /async event/i.test(output));
  return { watch, output: () => output };
}

t.test('ibv_asyncwatch is told and ends, as 4.3', async (t) => {
  const machine = await startMachine(t, 'kernel_profile = "4.3"');
  const { watch, output } = await startAsyncwatch(t, machine.daemon);
  const exit = new Promise<number>((resolve) => watch.onExit(({ exitCode }) => resolve(exitCode)));
  await machine.unplug();
  t.equal(await exit, 1, 'its next read fails');
  t.match(output(), 'IBV_EVENT_DEVICE_FATAL');
});

t.test('ibv_asyncwatch is told, and the device comes back', async (t) => {
  const machine = await startMachine(t);
  const { daemon } = machine;
  const { output } = await startAsyncwatch(t, daemon);

  const start = performance.now();
  const { code, stdout } = await daemon.verbsim('unplug', 'mlx4_0', '--json');
  t.equal(code, 0);
  t.ok(performance.now() - start < 5000, 'unplug returns at once');
  t.match(JSON.parse(stdout).contexts, [{ comm: 'ibv_asyncwatch' }]);
  await eventually('ibv_asyncwatch is told', () => output().includes('IBV_EVENT_DEVICE_FATAL'));

  const list = async () => (await daemon.run('ibv_devices')).stdout;
  t.notMatch(await list(), 'mlx4_0');
  await machine.plug();
  t.match(await list(), 'mlx4_0');
  const info = await daemon.run('ibv_devinfo');
  t.equal(info.code, 0);
  t.match(info.stdout, 'PORT_ACTIVE');
});
