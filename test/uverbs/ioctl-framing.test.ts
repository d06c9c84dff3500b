/** RDMA_VERBS_IOCTL: what is refused, with which error, in which order, and what is written back. */
import { join } from 'node:path';
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import {
  ALLOC_PD,
  CREATE_COMP_CHANNEL,
  GET_CONTEXT_IOCTL,
  make,
  openByIoctl,
  regMr,
} from './support/context.js';
import { outcome, UverbsDoor } from './support/door.js';
import {
  type Attribute,
  attr,
  attributesIn,
  type Ioctl,
  ioctlMessage,
  type Message,
  parse,
  u16,
  u32,
  u64,
  zeroes,
} from './support/messages.js';

const Obj = abi.uverbsDefaultObjects;
const Device = abi.uverbsMethodsDevice;
const Port = abi.uverbsAttrsQueryPortCmdAttrIds;
const Gid = abi.uverbsAttrsQueryGidEntryCmdAttrIds;
const Cq = abi.uverbsAttrsCreateCqCmdAttrIds;
const Qp = abi.uverbsAttrsCreateQpCmdAttrIds;
const Info = abi.uverbsAttrsInfoHandlesId;
const Query = abi.uverbsAttrsQueryMrCmdAttrIds;
const Invoke = abi.uverbsAttrsInvokeWriteCmdAttrIds;
const Uhw = abi.uverbsAttrUhw;
const { UVERBS_ATTR_F_MANDATORY: MANDATORY, UVERBS_ATTR_F_VALID_OUTPUT: VALID } = abi.uverbsAttrFlags;
const RESP_SIZE = abi.ibUverbsQueryPortRespEx.size;

const daemon = await startDaemon(t);
const device = join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0');

const portNumber = attr.const(Port.UVERBS_ATTR_QUERY_PORT_PORT_NUM, 1);
const portRoom = attr.out(Port.UVERBS_ATTR_QUERY_PORT_RESP, '@R', RESP_SIZE);
const queryPort = (...attributes: Attribute[]): Ioctl =>
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_QUERY_PORT, attributes);
const QUERY_PORT = queryPort(portNumber, portRoom);

const message = (text: Message): Ioctl => ({ message: text, fills: new Map() });
const withHeader = (header: Parameters<typeof ioctlMessage>[3], objectId = 0, methodId = 2): Ioctl =>
  ioctlMessage(objectId, methodId, [portNumber, portRoom], header);

t.test('other ioctls', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  for (const [name, command] of Object.entries({
    TCGETS: '5401',
    TIOCGWINSZ: '5413',
    neighbour: 'c0181b02',
  })) {
    t.equal(outcome(await door.ask('ioctl', fd, command, QUERY_PORT.message, 64)), 'ENOTTY', name);
  }
});

// In the order of the checks: a row with two faults shows which comes first. None of them needs a context.
const refusals: [string, Ioctl, string][] = [
  ['more than 4096 bytes', withHeader({ length: 24 + 255 * 16, numAttrs: 255 }), 'EINVAL'],
  ['a length that is too long', withHeader({ length: 72 }), 'EINVAL'],
  ['a length that is too short', withHeader({ length: 40 }), 'EINVAL'],
  ['more attributes than the length holds', withHeader({ numAttrs: 3 }), 'EINVAL'],
  ['the length comes before reserved', withHeader({ length: 40, reserved2: 1 }), 'EINVAL'],
  ['reserved1', withHeader({ reserved1: 1n }), 'EPROTONOSUPPORT'],
  ['reserved2', withHeader({ reserved2: 1 }), 'EPROTONOSUPPORT'],
  ['reserved comes before the driver', withHeader({ reserved2: 1, driverId: 1 }), 'EPROTONOSUPPORT'],
  ["another driver's id", withHeader({ driverId: 1 }), 'EINVAL'],
  ['the driver comes before the object', withHeader({ driverId: 1 }, 99), 'EINVAL'],
  ['an unknown object', withHeader({}, 99), 'EPROTONOSUPPORT'],
  ['an unknown method', withHeader({}, Obj.UVERBS_OBJECT_DEVICE, 99), 'EPROTONOSUPPORT'],
  ['a method of the driver, who has none', withHeader({}, 0, 0x1000), 'EPROTONOSUPPORT'],
  ['an object without methods', withHeader({}, Obj.UVERBS_OBJECT_COMP_CHANNEL, 0), 'EPROTONOSUPPORT'],
  ['AH', withHeader({}, Obj.UVERBS_OBJECT_AH, 0), 'EPROTONOSUPPORT'],
  ['flow action', withHeader({}, Obj.UVERBS_OBJECT_FLOW_ACTION, 0), 'EPROTONOSUPPORT'],
  ['device memory', withHeader({}, Obj.UVERBS_OBJECT_DM, 0), 'EPROTONOSUPPORT'],
  ['counters', withHeader({}, Obj.UVERBS_OBJECT_COUNTERS, 0), 'EPROTONOSUPPORT'],
  ['an MR in device memory', withHeader({}, Obj.UVERBS_OBJECT_MR, 0), 'EPROTONOSUPPORT'],
  [
    'attributes that cannot be read',
    message(u16(24 + 16) + u16(0) + u16(2) + u16(1) + u64(0) + u32(2) + u32(0)),
    'EFAULT',
  ],
  ['then there is no context', QUERY_PORT, 'EINVAL'],
];

t.test('the header', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  t.equal(outcome(await door.ask('ioctl-at', fd, 'verbs', '@U')), 'EFAULT', 'that cannot be read');
  for (const [name, ioctl, errno] of refusals) {
    t.equal(outcome(await door.ioctl(fd, ioctl, 64)), errno, name);
  }
});

const gidEntry = (flags: Attribute): Ioctl =>
  ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_QUERY_GID_ENTRY, [
    attr.const(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_PORT, 1),
    attr.const(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX, 0),
    flags,
    attr.out(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, '@R', abi.ibUverbsGidEntry.size),
  ]);
const GID_FLAGS = Gid.UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS;
const NO_FLAGS = attr.const(GID_FLAGS, 0);
const UNKNOWN: Attribute = { id: 77, len: 8, flags: 0, element: '0000', data: u64(1) };

const attributeRows: [string, Ioctl, string | number][] = [
  ['all as it should be', QUERY_PORT, 0],
  ['in another order', queryPort(portRoom, portNumber), 0],
  ['unknown, and optional', queryPort(portNumber, UNKNOWN, portRoom), 0],
  [
    'unknown, and mandatory',
    queryPort(portNumber, { ...UNKNOWN, flags: MANDATORY }, portRoom),
    'EPROTONOSUPPORT',
  ],
  [
    'driver data where there is none',
    queryPort(portNumber, portRoom, attr.in(Uhw.UVERBS_ATTR_UHW_IN, u64(0))),
    'EPROTONOSUPPORT',
  ],
  ['given twice', queryPort(portNumber, portNumber, portRoom), 'EINVAL'],
  ['missing', queryPort(portNumber), 'EINVAL'],
  ['none at all', queryPort(), 'EINVAL'],
  ['other flag bits', queryPort({ ...portNumber, flags: 0xfffc }, portRoom), 0],
  [
    'in the order given: the first fault counts',
    queryPort({ ...portNumber, len: 4 }, { ...UNKNOWN, flags: MANDATORY }),
    'EINVAL',
  ],

  ['constant of 4 bytes', queryPort({ ...portNumber, len: 4 }, portRoom), 'EINVAL'],
  ['constant without length', queryPort({ ...portNumber, len: 0 }, portRoom), 'EINVAL'],
  ['constant beyond its type', queryPort(attr.const(portNumber.id, 0x101), portRoom), 'EINVAL'],

  ['output that is too short', queryPort(portNumber, { ...portRoom, len: RESP_SIZE - 1 }), 'EINVAL'],
  ['output with reserved', queryPort(portNumber, { ...portRoom, element: '0001' }), 'EINVAL'],
  ['output that cannot be written', queryPort(portNumber, { ...portRoom, data: '@U' }), 'EFAULT'],

  ['flags of 8 bytes', gidEntry(NO_FLAGS), 0],
  [
    'flags of 4 bytes, and what stands behind them',
    gidEntry({ ...NO_FLAGS, len: 4, data: `${u32(0)}${u32(1)}` }),
    0,
  ],
  ['flags of 2 bytes', gidEntry({ ...NO_FLAGS, len: 2 }), 'EINVAL'],
  ['unknown flags', gidEntry(attr.const(GID_FLAGS, 1)), 'EINVAL'],
  ['unknown flags in the high half', gidEntry(attr.const(GID_FLAGS, 1n << 32n)), 'EINVAL'],
];

t.test('attributes', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  for (const [name, ioctl, expected] of attributeRows) {
    const answer = await door.ioctl(fd, ioctl, RESP_SIZE);
    t.equal(outcome(answer), expected, name);
    t.equal(answer.overrun, undefined, name);
  }
});

/** CQ create; `change` replaces attributes by their id, or adds them. */
function createCq(...change: Attribute[]): Ioctl {
  const attributes = [
    attr.newHandle(Cq.UVERBS_ATTR_CREATE_CQ_HANDLE),
    attr.out(Cq.UVERBS_ATTR_CREATE_CQ_RESP_CQE, '@R', 4),
    attr.in(Cq.UVERBS_ATTR_CREATE_CQ_CQE, u32(15)),
    attr.in(Cq.UVERBS_ATTR_CREATE_CQ_USER_HANDLE, u64(7)),
    attr.in(Cq.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, u32(0)),
    attr.const(Cq.UVERBS_ATTR_CREATE_CQ_FLAGS, 0),
    attr.in(Uhw.UVERBS_ATTR_UHW_IN, '@B@B+65536;'),
    attr.out(Uhw.UVERBS_ATTR_UHW_OUT, '@R+8;', 8),
  ];
  const changed = new Map([...attributes, ...change].map((attribute) => [attribute.id, attribute]));
  return ioctlMessage(Obj.UVERBS_OBJECT_CQ, abi.uverbsMethodsCq.UVERBS_METHOD_CQ_CREATE, [
    ...changed.values(),
  ]);
}

t.test('inputs and handles', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const handle = Cq.UVERBS_ATTR_CREATE_CQ_HANDLE;
  const cqe = Cq.UVERBS_ATTR_CREATE_CQ_CQE;
  const invalidVector = attr.in(Cq.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, u32(9999));
  const rows: [string, Ioctl, string][] = [
    ['a short input', createCq(attr.in(cqe, u16(15))), 'EINVAL'],
    ['a long input', createCq(attr.in(cqe, u64(15))), 'EINVAL'],
    ['input with reserved', createCq({ ...attr.in(cqe, u32(15)), element: '0001' }), 'EINVAL'],
    ['a new handle with a length', createCq({ ...attr.newHandle(handle), len: 8 }), 'EINVAL'],
    ['a new handle with reserved', createCq({ ...attr.newHandle(handle), element: '0001' }), 'EINVAL'],
    [
      'driver data that cannot be read',
      createCq({ ...attr.in(Uhw.UVERBS_ATTR_UHW_IN, '@U'), len: 16 }),
      'EFAULT',
    ],
    ['no driver data', createCq({ ...attr.in(Uhw.UVERBS_ATTR_UHW_IN, ''), len: 0 }), 'EFAULT'],
    [
      'an output that cannot be written',
      createCq(attr.out(Cq.UVERBS_ATTR_CREATE_CQ_RESP_CQE, '@U', 4)),
      'EFAULT',
    ],
  ];
  for (const [name, ioctl, errno] of rows) t.equal(outcome(await door.ioctl(fd, ioctl, 64)), errno, name);

  const failed = createCq({ ...attr.newHandle(handle), data: u64(0xdeadn) }, invalidVector);
  const answer = await door.ioctl(fd, failed, 64);
  t.equal(outcome(answer), 'EINVAL', 'an invalid completion vector');
  t.equal(attributesIn(answer.buffer)[0]?.data, 0n, 'the handle was written although the call failed');

  const made = await door.ioctl(fd, createCq(), 64);
  t.equal(outcome(made), 0);
  t.equal(attributesIn(made.buffer)[0]?.data, 0n, 'and nothing of the failed calls is left');

  const destroyCq = (place: Message): Ioctl =>
    ioctlMessage(Obj.UVERBS_OBJECT_CQ, abi.uverbsMethodsCq.UVERBS_METHOD_CQ_DESTROY, [
      attr.handle(abi.uverbsAttrsDestroyCqCmdAttrIds.UVERBS_ATTR_DESTROY_CQ_HANDLE, 1),
      attr.out(abi.uverbsAttrsDestroyCqCmdAttrIds.UVERBS_ATTR_DESTROY_CQ_RESP, place, 8),
    ]);
  await door.ioctl(fd, createCq(), 64);
  t.equal(outcome(await door.ioctl(fd, destroyCq('@U'))), 'EFAULT', 'an answer that cannot be written');
  t.equal(outcome(await door.ioctl(fd, destroyCq('@R'), 8)), 'ENOENT', 'the CQ was destroyed all the same');

  const pd = await make(door, fd, ALLOC_PD);
  const destroyPd = (attribute: Partial<Attribute>): Ioctl =>
    ioctlMessage(Obj.UVERBS_OBJECT_PD, abi.uverbsMethodsPd.UVERBS_METHOD_PD_DESTROY, [
      { ...attr.handle(abi.uverbsAttrsPdDestroyIds.UVERBS_ATTR_DESTROY_PD_HANDLE, pd), ...attribute },
    ]);
  for (const [name, attribute, expected] of [
    ['with a length', { len: 4 }, 'EINVAL'],
    ['with reserved', { element: '0001' }, 'EINVAL'],
    ['unknown', { data: u64(1234) }, 'ENOENT'],
    ['beyond 32 bits', { data: u64(1n << 32n) }, 'ENOENT'],
    ['negative', { data: u64(-1n) }, 'EINVAL'],
    ['of another type', { data: u64(0) }, 'EINVAL'],
    ['right', {}, 0],
    ['destroyed', {}, 'ENOENT'],
  ] as const) {
    t.equal(outcome(await door.ioctl(fd, destroyPd(attribute))), expected, `a handle that is ${name}`);
  }
});

t.test('descriptors of event files', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, device);
  const other = await openByIoctl(door, device);
  const channel = await make(door, fd, CREATE_COMP_CHANNEL);
  const foreign = await make(door, other.fd, CREATE_COMP_CHANNEL);
  const compChannel = (value: bigint | number): Ioctl =>
    createCq(attr.handle(Cq.UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, value));
  const eventFile = (value: bigint | number): Ioctl =>
    createCq(attr.handle(Cq.UVERBS_ATTR_CREATE_CQ_EVENT_FD, value));
  for (const [name, ioctl, expected] of [
    ['its own channel', compChannel(channel), 0],
    ['its own event file', eventFile(asyncFd), 0],
    ['the channel of another context', compChannel(foreign), 'EBADF'],
    ['the event file of another context', eventFile(other.asyncFd), 'EBADF'],
    ['an event file in place of a channel', compChannel(asyncFd), 'EBADF'],
    ['a channel in place of an event file', eventFile(channel), 'EBADF'],
    ['the device itself', eventFile(fd), 'EBADF'],
    ['standard input', eventFile(0), 'EBADF'],
    ['a closed descriptor', eventFile(99), 'EBADF'],
    ['minus one', compChannel(-1n), 'EBADF'],
    ['no descriptor at all', compChannel(1n << 32n), 'EINVAL'],
  ] as const) {
    t.equal(outcome(await door.ioctl(fd, ioctl, 64)), expected, name);
  }
});

t.test('outputs are marked, and nothing else is changed', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  const scratch = await door.address('@B');
  // With addresses in place of places, what comes back can be compared byte by byte.
  const resolve = ({ message: text }: Ioctl): string =>
    text.replaceAll(/@R(?:\+(\d+);)?/g, (_, offset = '0') => u64(scratch + BigInt(offset)));
  const marked = (text: string, ...indexes: number[]): string => {
    const bytes = Buffer.from(text, 'hex');
    for (const index of indexes) bytes.writeUInt16LE(MANDATORY | VALID, 24 + 16 * index + 4);
    return bytes.toString('hex');
  };
  for (const [name, ioctl, indexes] of [
    ['GET_CONTEXT', GET_CONTEXT_IOCTL, [0, 1, 2]],
    ['QUERY_PORT', QUERY_PORT, [1]],
    [
      'a method with room for driver data that the driver does not use',
      ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_INVOKE_WRITE, [
        attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, abi.ibUverbsWriteCmds.IB_USER_VERBS_CMD_QUERY_PORT),
        attr.in(Invoke.UVERBS_ATTR_CORE_IN, '@R@R'),
        attr.out(Invoke.UVERBS_ATTR_CORE_OUT, '@R', abi.ibUverbsQueryPortResp.size),
        attr.out(Uhw.UVERBS_ATTR_UHW_OUT, '@R+128;', 8),
      ]),
      [2, 3],
    ],
  ] as const) {
    const given = resolve(ioctl);
    if (given.includes('@')) await door.ask('scratch-fill', `${zeroes(8)}01${zeroes(7)}`, 4096);
    const text = given.replaceAll('@B+524288;', u64(scratch + 4096n));
    const answer = await door.ask('ioctl', fd, 'verbs', text);
    t.equal(outcome(answer), 0, name);
    t.equal(answer.buffer, marked(text, ...indexes), name);
  }
  const failed = resolve(queryPort(attr.const(portNumber.id, 9), portRoom));
  t.equal(
    (await door.ask('ioctl', fd, 'verbs', failed)).buffer,
    failed,
    'nothing is written by a failed call',
  );
});

t.test('outputs up to the first that cannot be written', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const pd = await make(door, fd, ALLOC_PD);
  const mr = await make(door, fd, regMr(pd, await door.address('@B')));
  const queryMr = ioctlMessage(Obj.UVERBS_OBJECT_MR, abi.uverbsMethodsMr.UVERBS_METHOD_QUERY_MR, [
    attr.handle(Query.UVERBS_ATTR_QUERY_MR_HANDLE, mr),
    attr.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LKEY, '@R', 4),
    attr.out(Query.UVERBS_ATTR_QUERY_MR_RESP_RKEY, '@U', 4),
    attr.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LENGTH, '@R+8;', 8),
  ]);
  const answer = await door.ioctl(fd, queryMr, 16);
  t.equal(outcome(answer), 'EFAULT');
  const flags = attributesIn(answer.buffer).map((attribute) => attribute.flags & VALID);
  t.same(flags, [0, VALID, 0, 0], 'what was written is marked');
  t.not(answer.response?.slice(0, 8), 'aa'.repeat(4), 'the local key');
  t.equal(answer.response?.slice(8), 'aa'.repeat(12), 'and nothing else');

  const infoHandles = (list: Message): Ioctl =>
    ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_INFO_HANDLES, [
      attr.const(Info.UVERBS_ATTR_INFO_OBJECT_ID, Obj.UVERBS_OBJECT_PD),
      attr.out(Info.UVERBS_ATTR_INFO_HANDLES_LIST, list, 8),
    ]);
  const failed = await door.ioctl(fd, infoHandles('@R'), 8);
  t.equal(outcome(failed), 'ENOENT', 'no room for the total');
  t.equal(failed.response, `${u32(pd)}${'aa'.repeat(4)}`, 'the list was written before');
  t.equal(outcome(await door.ioctl(fd, infoHandles('@U'))), 'EFAULT', 'unless it cannot be');
});

t.test('structures that grew', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const { response = '' } = await door.ioctl(
    fd,
    queryPort(portNumber, { ...portRoom, len: RESP_SIZE + 16 }),
    80,
  );
  t.not(parse(abi.ibUverbsQueryPortRespEx, response).legacyResp.lid, 0);
  t.equal(response.slice(2 * RESP_SIZE), zeroes(16) + 'aa'.repeat(16), 'room behind the structure is zeroed');

  const createQp = (cap: Message): Ioctl =>
    ioctlMessage(Obj.UVERBS_OBJECT_QP, abi.uverbsMethodsQp.UVERBS_METHOD_QP_CREATE, [
      attr.in(Qp.UVERBS_ATTR_CREATE_QP_CAP, cap),
    ]);
  const size = abi.ibUverbsQpCap.size;
  t.equal(outcome(await door.ioctl(fd, createQp(zeroes(size - 4)))), 'EINVAL', 'too short');
  t.equal(
    outcome(await door.ioctl(fd, createQp(`${zeroes(size)}01000000`))),
    'EOPNOTSUPP',
    'an unknown field',
  );
  t.equal(
    outcome(await door.ioctl(fd, createQp(zeroes(size + 8)))),
    'EINVAL',
    'the next fault is a missing attribute',
  );
});

t.test('INVOKE_WRITE', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByIoctl(door, device);
  const Cmd = abi.ibUverbsWriteCmds;
  const invoke = (word: bigint | number, ...attributes: Attribute[]): Ioctl =>
    ioctlMessage(Obj.UVERBS_OBJECT_DEVICE, Device.UVERBS_METHOD_INVOKE_WRITE, [
      attr.const(Invoke.UVERBS_ATTR_WRITE_CMD, word),
      ...attributes,
    ]);
  const coreIn = (bytes: Message): Attribute => attr.in(Invoke.UVERBS_ATTR_CORE_IN, bytes);
  const coreOut = (len: number): Attribute => attr.out(Invoke.UVERBS_ATTR_CORE_OUT, '@R', len);
  const EX_QUERY_DEVICE = 0x8000_0000 + abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_QUERY_DEVICE;
  for (const [name, ioctl, expected] of [
    ["libibverbs' probe", invoke(Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE), 'ENOSPC'],
    ['the command is missing', ioctlMessage(0, 0, [coreIn(u64(0))]), 'EINVAL'],
    [
      'a request that is too short',
      invoke(Cmd.IB_USER_VERBS_CMD_QUERY_PORT, coreIn(u64(0)), coreOut(40)),
      'ENOSPC',
    ],
    ['too little room', invoke(Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE, coreIn(u64(0)), coreOut(175)), 'ENOSPC'],
    ['all is there', invoke(Cmd.IB_USER_VERBS_CMD_QUERY_DEVICE, coreIn(u64(0)), coreOut(176)), 0],
    ['less than 4 bytes', invoke(Cmd.IB_USER_VERBS_CMD_DEALLOC_PD, coreIn(u16(0))), 'EINVAL'],
    ['no such object', invoke(Cmd.IB_USER_VERBS_CMD_DEALLOC_PD, coreIn(u32(0))), 'ENOENT'],
    ['an extended command without anything', invoke(EX_QUERY_DEVICE), 0],
    ['an extended command with little room', invoke(EX_QUERY_DEVICE, coreOut(4)), 0],
    ['a number beyond the table', invoke(41), 'EOPNOTSUPP'],
    ['an unsupported number', invoke(Cmd.IB_USER_VERBS_CMD_CREATE_AH), 'EOPNOTSUPP'],
    ['an unsupported extended number', invoke(0x8000_0000), 'EOPNOTSUPP'],
    ['unknown bits', invoke(0x100), 'EINVAL'],
    ['more than 32 bits', invoke(1n << 32n), 'EINVAL'],
  ] as const) {
    const answer = await door.ioctl(fd, ioctl, 304);
    t.equal(outcome(answer), expected, name);
    t.equal(answer.overrun, undefined, name);
  }
});
