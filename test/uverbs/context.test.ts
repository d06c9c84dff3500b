/** The context of an open file, what comes with it, and what can be asked of the device, by both doors. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import * as abi from '../../src/abi/index.js';
import { type Daemon, startDaemon } from '../support/daemon.js';
import {
  ALLOC_PD,
  ASYNC_EVENT_ALLOC,
  allocAsyncFile,
  CREATE_COMP_CHANNEL,
  countHandles,
  deallocPd,
  EX_QUERY_DEVICE,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
  handleIn,
  make,
  openByIoctl,
  openByWrite,
  opens,
  QUERY_DEVICE,
  queryPort,
} from './support/context.js';
import { outcome, succeeded, UverbsDoor } from './support/door.js';
import { type Attribute, attr, attributesIn, type Command, ioctlMessage, parse } from './support/messages.js';

const Obj = abi.uverbsDefaultObjects;
const Device = abi.uverbsMethodsDevice;
const FD_CLOEXEC = 1;
const O_ACCMODE = 3;

const daemon = await startDaemon(t, { config: '[[device]]\nports = 2\n' });
const device = deviceOf(daemon);

function deviceOf({ mountpoint }: Daemon): string {
  return join(mountpoint, 'dev', 'infiniband', 'uverbs0');
}

const deviceMethod = (method: number, ...attributes: Attribute[]) =>
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, method, attributes);

/** What the event file of a new context must be. */
async function isEventFile(t: Test, door: UverbsDoor, fd: number): Promise<void> {
  t.equal((await door.ask('fcntl', fd, 'getfd')).result, FD_CLOEXEC);
  t.equal(((await door.ask('fcntl', fd, 'getfl')).result ?? -1) & O_ACCMODE, 0, 'read-only');
  t.equal(await door.poll(fd), 0);
  t.equal(outcome(await door.read(fd, 16, 'nonblock')), 'EAGAIN');
}

t.test('GET_CONTEXT by write', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  const { response, overrun } = succeeded('GET_CONTEXT', await door.command(fd, GET_CONTEXT));
  t.equal(overrun, undefined);
  const { asyncFd, numCompVectors } = parse(abi.ibUverbsGetContextResp, response);
  t.ok(numCompVectors > 0);
  isAdapter(t, parse(abi.mlx4IbAllocUcontextResp, response, 8));
  await isEventFile(t, door, asyncFd);
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EINVAL', 'there is one already');
  t.equal(outcome(await door.ioctl(fd, GET_CONTEXT_IOCTL, 32)), 'EINVAL', 'whichever way');
  await isEventFile(t, door, asyncFd);
});

function isAdapter(t: Test, answer: abi.Mlx4IbAllocUcontextResp): void {
  t.ok(answer.qpTabSize >= 256 && (answer.qpTabSize & (answer.qpTabSize - 1)) === 0, 'a power of two');
  t.match(answer, { bfRegSize: 0, devCaps: 0 }, 'no BlueFlame, no large CQEs');
}

t.test('GET_CONTEXT by ioctl', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  t.equal(outcome(await door.ioctl(fd, ASYNC_EVENT_ALLOC)), 'EINVAL', 'no event file before the context');
  const { response = '', overrun } = succeeded('GET_CONTEXT', await door.ioctl(fd, GET_CONTEXT_IOCTL, 32));
  t.equal(overrun, undefined);
  const bytes = Buffer.from(response, 'hex');
  t.ok(bytes.readUInt32LE(0) > 0, 'completion vectors');
  t.equal(bytes.readUInt32LE(4), 0xaaaa_aaaa, 'not written');
  t.equal(bytes.readBigUInt64LE(8), 1n, 'optional access flags are ignored');
  isAdapter(t, parse(abi.mlx4IbAllocUcontextResp, response, 16));
  t.equal(outcome(await door.ioctl(fd, GET_CONTEXT_IOCTL, 32)), 'EINVAL', 'there is one already');
  t.equal(outcome(await door.command(fd, GET_CONTEXT)), 'EINVAL', 'whichever way');

  const first = await allocAsyncFile(door, fd);
  await isEventFile(t, door, first);
  const second = await allocAsyncFile(door, fd);
  t.not(second, first, 'there may be several');
});

t.test('GET_CONTEXT without room for the answer leaves no context', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  t.equal(outcome(await door.command(fd, { ...GET_CONTEXT, driverOut: 0 })), 'EFAULT', "the driver's");
  t.equal(outcome(await door.command(fd, { ...GET_CONTEXT, request: '@O' })), 'EFAULT', 'a read-only page');
  t.equal(outcome(await door.ioctl(fd, deviceMethod(Device.UVERBS_METHOD_GET_CONTEXT))), 'EFAULT');
  const driverOut = attr.out(abi.uverbsAttrUhw.UVERBS_ATTR_UHW_OUT, '@U', abi.mlx4IbAllocUcontextResp.size);
  t.equal(
    outcome(await door.ioctl(fd, deviceMethod(Device.UVERBS_METHOD_GET_CONTEXT, driverOut))),
    'EFAULT',
    'no memory for it',
  );
  t.equal(outcome(await door.command(fd, ALLOC_PD)), 'EINVAL', 'there is none');
  succeeded('GET_CONTEXT', await door.command(fd, GET_CONTEXT));
});

t.test('a descriptor is not installed where it cannot be told', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const next = async (): Promise<number> => {
    const opened = await door.open('/dev/null');
    await door.close(opened);
    return opened;
  };
  const before = await next();
  t.equal(outcome(await door.command(fd, { ...CREATE_COMP_CHANNEL, request: '@O' })), 'EFAULT');
  t.equal(await next(), before, 'no descriptor is left open');
  t.equal(await make(door, fd, CREATE_COMP_CHANNEL), before);
});

t.test('without a context', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  for (const [name, command] of Object.entries({
    ALLOC_PD,
    CREATE_COMP_CHANNEL,
    QUERY_DEVICE,
    EX_QUERY_DEVICE: QUERY_WITH_DRIVER,
  })) {
    t.equal(outcome(await door.command(fd, command)), 'EINVAL', name);
    t.equal(outcome(await door.invoke(fd, command)), 'EINVAL', `${name} by ioctl`);
  }
  t.equal(outcome(await door.command(fd, deallocPd(0))), 'ENOENT', 'a lookup');
  t.equal(await countHandles(door, fd, Obj.UVERBS_OBJECT_PD), 0, 'INFO_HANDLES needs none');
  t.equal(outcome(await door.ask('mmap', fd, 0, 4096, 'rw', 'shared')), 0, 'FUSE maps without asking');
});

t.test('a completion channel', async (t) => {
  for (const [how, open] of Object.entries(opens)) {
    const door = UverbsDoor.start(t);
    const { fd } = await open(door, device);
    await isEventFile(t, door, await make(door, fd, CREATE_COMP_CHANNEL));
    const { response } = succeeded(how, await door.invoke(fd, CREATE_COMP_CHANNEL));
    await isEventFile(t, door, handleIn({ response: response ?? '' }));
  }
});

t.test('a forked child shares the context', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const pd = await make(door, fd, ALLOC_PD);
  await door.ask('fork');
  t.equal(outcome(await door.command(fd, deallocPd(pd))), 'EACCES');
  t.equal(outcome(await door.invoke(fd, deallocPd(pd))), 0);
  t.equal(outcome(await door.ioctl(fd, GET_CONTEXT_IOCTL, 32)), 'EINVAL', 'it has one already');
  await allocAsyncFile(door, fd);
  await door.ask('exit');
  t.equal(outcome(await door.command(fd, deallocPd(pd))), 'ENOENT');
  t.equal(await make(door, fd, ALLOC_PD), pd, 'its end ends nothing');
});

// Questions

const QUERY_WITH_DRIVER: Command = { ...EX_QUERY_DEVICE, driverOut: abi.mlx4UverbsExQueryDeviceResp.size };

t.test('QUERY_DEVICE', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const plain = parse(abi.ibUverbsQueryDeviceResp, (await door.command(fd, QUERY_DEVICE)).response);
  t.match(plain, { vendorId: 0x2c9, vendorPartId: 4099, physPortCnt: 2 });
  const answer = await door.command(fd, QUERY_WITH_DRIVER);
  const { base, responseLength } = parse(abi.ibUverbsExQueryDeviceResp, answer.response);
  t.same(base, plain, 'both say the same');
  t.equal(responseLength, abi.ibUverbsExQueryDeviceResp.size);
  const driver = parse(abi.mlx4UverbsExQueryDeviceResp, answer.response, abi.ibUverbsExQueryDeviceResp.size);
  t.equal(driver.responseLength, abi.mlx4UverbsExQueryDeviceResp.size);
  t.equal((await door.invoke(fd, QUERY_WITH_DRIVER)).response, answer.response, 'through either door');

  for (const [name, driverIn, expected] of [
    ['zero', '00'.repeat(8), 40],
    ['not zero', `01${'00'.repeat(7)}`, 'EINVAL'],
  ] as const) {
    t.equal(
      outcome(await door.command(fd, { ...QUERY_WITH_DRIVER, driverIn })),
      expected,
      `driver input that is ${name}`,
    );
  }
});

t.test('QUERY_PORT', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const { size } = abi.ibUverbsQueryPortRespEx;
  const byMethod = (port: number) =>
    deviceMethod(
      Device.UVERBS_METHOD_QUERY_PORT,
      attr.const(abi.uverbsAttrsQueryPortCmdAttrIds.UVERBS_ATTR_QUERY_PORT_PORT_NUM, port),
      attr.out(abi.uverbsAttrsQueryPortCmdAttrIds.UVERBS_ATTR_QUERY_PORT_RESP, '@R', size),
    );
  const lids = new Set<number>();
  for (const port of [1, 2]) {
    const written = parse(abi.ibUverbsQueryPortResp, (await door.command(fd, queryPort(port))).response);
    t.match(written, { state: 4, activeMtu: Number }, 'active');
    lids.add(written.lid);
    const asked = parse(abi.ibUverbsQueryPortRespEx, (await door.ioctl(fd, byMethod(port), size)).response);
    t.same(asked.legacyResp, written, 'through either door');
  }
  t.equal(lids.size, 2, 'each port has a LID of its own');
  for (const port of [0, 3, 255]) {
    t.equal(outcome(await door.command(fd, queryPort(port))), 'EINVAL', `port ${port}`);
    t.equal(outcome(await door.ioctl(fd, byMethod(port), size)), 'EINVAL', `port ${port} by ioctl`);
  }
});

const Gid = abi.uverbsAttrsQueryGidEntryCmdAttrIds;
const Table = abi.uverbsAttrsQueryGidTableCmdAttrIds;
const ENTRY_SIZE = abi.ibUverbsGidEntry.size;

const gidEntry = (port: number, index: number) =>
  deviceMethod(
    Device.UVERBS_METHOD_QUERY_GID_ENTRY,
    attr.const(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_PORT, port),
    attr.const(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX, index),
    attr.const(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS, 0),
    attr.out(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, '@R', ENTRY_SIZE),
  );

/** The number of entries goes to the beginning of the response, the entries behind it. */
const gidTable = (entrySize: number, length: number) =>
  deviceMethod(
    Device.UVERBS_METHOD_QUERY_GID_TABLE,
    attr.const(Table.UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE, entrySize),
    attr.const(Table.UVERBS_ATTR_QUERY_GID_TABLE_FLAGS, 0),
    attr.out(Table.UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES, '@R+8;', length),
    attr.out(Table.UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES, '@R', 8),
  );

t.test('GIDs', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const entry = parse(abi.ibUverbsGidEntry, (await door.ioctl(fd, gidEntry(2, 0), ENTRY_SIZE)).response);
  t.match(entry, { portNum: 2, gidIndex: 0, gidType: 0 });
  t.equal(entry.gid[0], 0x80fen, 'fe80::, in network order');
  for (const [port, index, errno] of [
    [0, 0, 'EINVAL'],
    [3, 0, 'EINVAL'],
    [1, 1, 'ENODATA'],
    [1, 100_000, 'EINVAL'],
  ] as const) {
    t.equal(
      outcome(await door.ioctl(fd, gidEntry(port, index), ENTRY_SIZE)),
      errno,
      `port ${port}, index ${index}`,
    );
  }

  const table = await door.ioctl(fd, gidTable(ENTRY_SIZE, 4 * ENTRY_SIZE), 8 + 4 * ENTRY_SIZE);
  t.equal(outcome(table), 0);
  t.equal(handleIn(table), 2, 'one for each port');
  t.same(parse(abi.ibUverbsGidEntry, table.response, 8 + ENTRY_SIZE), entry);
  for (const [entrySize, length, expected] of [
    [ENTRY_SIZE, ENTRY_SIZE, 'EINVAL'],
    [ENTRY_SIZE, 0, 'EINVAL'],
    [ENTRY_SIZE, 3 * ENTRY_SIZE + 1, 'EINVAL'],
    [0, 2 * ENTRY_SIZE, 'EINVAL'],
    [16, 64, 0],
    [40, 80, 0],
  ] as const) {
    const answer = await door.ioctl(fd, gidTable(entrySize, length), 8 + length);
    t.equal(outcome(answer), expected, `${length} bytes for entries of ${entrySize}`);
    t.equal(answer.overrun, undefined);
  }
});

t.test('QUERY_CONTEXT is not supported by the driver', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  t.equal(outcome(await door.ioctl(fd, deviceMethod(Device.UVERBS_METHOD_QUERY_CONTEXT))), 'EOPNOTSUPP');
});

t.test('INFO_HANDLES', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, device);
  const Info = abi.uverbsAttrsInfoHandlesId;
  const list = (objectId: number, length: number, ...total: Attribute[]) =>
    deviceMethod(
      Device.UVERBS_METHOD_INFO_HANDLES,
      attr.const(Info.UVERBS_ATTR_INFO_OBJECT_ID, objectId),
      attr.out(Info.UVERBS_ATTR_INFO_HANDLES_LIST, '@R+8;', length),
      ...total,
    );
  const total = attr.out(Info.UVERBS_ATTR_INFO_TOTAL_HANDLES, '@R', 4);
  const pds = Obj.UVERBS_OBJECT_PD;
  for (let i = 0; i < 3; i++) await make(door, fd, ALLOC_PD);
  const numbers = async (length: number, objectId: number = pds): Promise<number[]> => {
    const answer = succeeded('INFO_HANDLES', await door.ioctl(fd, list(objectId, length, total), 8 + length));
    t.equal(answer.overrun, undefined);
    const bytes = Buffer.from(answer.response ?? '', 'hex');
    return Array.from({ length: bytes.readUInt32LE(0) }, (_, i) => bytes.readUInt32LE(8 + 4 * i));
  };
  t.same(await numbers(64), [2, 1, 0], 'newest first');
  t.same(await numbers(8), [2, 1], 'cut at the room that is there');
  t.same(await numbers(64, Obj.UVERBS_OBJECT_ASYNC_EVENT), [asyncFd], 'event files by their descriptor');
  const untold = await door.ioctl(fd, list(pds, 64), 72);
  t.equal(outcome(untold), 'ENOENT', 'no room for the number');
  t.equal(untold.response?.slice(16, 24), '02000000', 'the list was written');
  for (const [objectId, length, errno] of [
    [pds, 6, 'EINVAL'],
    [99, 64, 'ENOENT'],
    [Obj.UVERBS_OBJECT_AH, 64, 'ENOENT'],
  ] as const) {
    t.equal(
      outcome(await door.ioctl(fd, list(objectId, length, total), 72)),
      errno,
      `object ${objectId}, ${length} bytes`,
    );
  }
  t.equal(attributesIn(untold.buffer)[0]?.data, BigInt(pds));
});
