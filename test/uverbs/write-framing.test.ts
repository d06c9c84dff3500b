/** write(2) on the device file: what is refused, with which error, in which order, and where a command's parts lie. */
import { join } from 'node:path';
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import {
  ALLOC_PD,
  countHandles,
  createCq,
  deallocPd,
  destroyCq,
  EX_QUERY_DEVICE,
  GET_CONTEXT,
  make,
  openByWrite,
  QUERY_DEVICE,
  queryPort,
} from './support/context.js';
import { outcome, UverbsDoor } from './support/door.js';
import { byWrite, type Command, type Message, parse, u16, u32, u64, zeroes } from './support/messages.js';

const Cmd = abi.ibUverbsWriteCmds;
const Obj = abi.uverbsDefaultObjects;

const QUERY_PORT = queryPort(1);
const EXTENDED = 0x8000_0000;
const KERNEL_ADDRESS = u64(0xffff_8000_0000_0000n);

/** A legacy header that counts its own 8 bytes, and `bytes` more. */
const header = (word: number, bytes = 0): Message =>
  u32(word) + u16((8 + bytes) / 4) + u16(0) + zeroes(bytes);

/** An extended header of 24 bytes with `body` bytes announced and there. */
const exHeader = (number: number, given: Partial<Record<'in' | 'reserved', number>> = {}): Message =>
  byWrite(
    { ...EX_QUERY_DEVICE, number, request: '', coreOut: 0 },
    { inWords: given.in ?? 0, reserved: given.reserved ?? 0 },
  );

const daemon = await startDaemon(t);
const device = join(daemon.mountpoint, 'dev', 'infiniband', 'uverbs0');

// In the order of the checks. All of them come before the device is asked, so a context is not needed.
const refusals: [string, Message, string][] = [
  ['less than a header', zeroes(4), 'EINVAL'],
  ['one byte less than a header', zeroes(7), 'EINVAL'],
  ['bits between number and flag', header(0x100), 'EINVAL'],
  ['another high bit', header(0x4000_0000), 'EINVAL'],
  ['unknown bits beside the extended flag', header(EXTENDED + 0x100), 'EINVAL'],
  ['unknown bits come before a number beyond the table', header(0x1ff), 'EINVAL'],
  ['a legacy number beyond the table', header(41), 'EOPNOTSUPP'],
  ['the highest legacy number', header(255), 'EOPNOTSUPP'],
  ['an extended number beyond the table', header(EXTENDED + 58), 'EOPNOTSUPP'],
  ['a number beyond the table comes before in_words', u32(41) + u16(77) + u16(0), 'EOPNOTSUPP'],

  ['extended: the second header is missing', header(EXTENDED + 1), 'EINVAL'],
  ['extended: the second header is cut', header(EXTENDED + 1) + zeroes(12), 'EINVAL'],
  ['extended: in_words counts too much', byWrite(EX_QUERY_DEVICE, { inWords: 2 }), 'EINVAL'],
  ['extended: in_words counts too little', byWrite(EX_QUERY_DEVICE, { inWords: 0 }), 'EINVAL'],
  ['extended: provider_in_words counts too much', byWrite(EX_QUERY_DEVICE, { driverInWords: 1 }), 'EINVAL'],
  ['extended: cmd_hdr_reserved', byWrite(EX_QUERY_DEVICE, { reserved: 1 }), 'EINVAL'],
  ['extended: a response without room', byWrite(EX_QUERY_DEVICE, { outWords: 0 }), 'EINVAL'],
  ['extended: room without a response', byWrite(EX_QUERY_DEVICE, { response: u64(0) }), 'EINVAL'],
  [
    'extended: room for the driver without a response',
    byWrite(EX_QUERY_DEVICE, { outWords: 0, driverOutWords: 1, response: u64(0) }),
    'EINVAL',
  ],
  ['extended: a response in the kernel', byWrite(EX_QUERY_DEVICE, { response: KERNEL_ADDRESS }), 'EFAULT'],
  [
    'extended: reserved comes before the response',
    byWrite(EX_QUERY_DEVICE, { reserved: 1, response: KERNEL_ADDRESS }),
    'EINVAL',
  ],

  ['legacy: in_words counts too much', byWrite(QUERY_DEVICE, { inWords: 5 }), 'EINVAL'],
  ['legacy: in_words counts too little', byWrite(QUERY_DEVICE, { inWords: 3 }), 'EINVAL'],
  [
    'legacy: in_words comes before the size',
    byWrite({ ...QUERY_PORT, request: '@R' }, { inWords: 6 }),
    'EINVAL',
  ],
  ['legacy: a short request', byWrite({ ...QUERY_PORT, request: '@R' }), 'ENOSPC'],
  ['legacy: a header alone', header(Cmd.IB_USER_VERBS_CMD_ALLOC_PD), 'ENOSPC'],
  ['legacy: a request that is half there', byWrite({ ...deallocPd(0), request: '' }), 'ENOSPC'],
  ['legacy: too little room for the response', byWrite(QUERY_DEVICE, { outWords: 43 }), 'ENOSPC'],
  ['legacy: no room for the response', byWrite(ALLOC_PD, { outWords: 0 }), 'ENOSPC'],

  ['then there is no context', byWrite(QUERY_DEVICE), 'EINVAL'],
  ['and no object', byWrite(deallocPd(0)), 'ENOENT'],
];

t.test('framing is checked before anything else', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  for (const [name, message, errno] of refusals) {
    t.equal(outcome(await door.write(fd, message, 1024)), errno, name);
  }
  t.equal(outcome(await door.ask('write-at', fd, '@U', 8)), 'EFAULT', 'an unreadable header');
});

// Commands that the kernel never had, or that mlx4 has not.
const UNSUPPORTED_LEGACY = [5, 6, 7, 8, 10, 12, 15, 21, 22, 23, 28, 29, 36];
const UNSUPPORTED_EXTENDED = [0, 2, 17, 49];

t.test('unsupported commands', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  for (const number of UNSUPPORTED_LEGACY) {
    t.equal(outcome(await door.write(fd, header(number, 64))), 'EOPNOTSUPP', `legacy ${number}`);
    const miscounted = u32(number) + u16(1) + u16(0);
    t.equal(outcome(await door.write(fd, miscounted)), 'EINVAL', `legacy ${number}, in_words wrong`);
  }
  for (const number of UNSUPPORTED_EXTENDED) {
    t.equal(
      outcome(await door.write(fd, exHeader(number))),
      'EINVAL',
      `extended ${number} is framed as legacy`,
    );
    const framed = header(EXTENDED + number, 16);
    t.equal(outcome(await door.write(fd, framed)), 'EOPNOTSUPP', `extended ${number} with a legacy in_words`);
    const command: Command = { ...EX_QUERY_DEVICE, number };
    t.equal(outcome(await door.invoke(fd, command)), 'EOPNOTSUPP', `extended ${number} by INVOKE_WRITE`);
  }
});

t.test('only the opener may write, anybody may use ioctl', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);

  t.equal(outcome(await door.ask('setuid', 0)), 0);
  t.equal(outcome(await door.command(fd, QUERY_DEVICE)), 16, 'credentials that were set to what they are');

  await door.ask('fork');
  t.equal(outcome(await door.command(fd, QUERY_DEVICE)), 'EACCES', 'a forked child');
  t.equal(outcome(await door.write(fd, zeroes(4))), 'EACCES', 'before the length is looked at');
  t.equal(outcome(await door.invoke(fd, QUERY_DEVICE)), 0, 'a forked child by ioctl');
  await door.ask('exit');
  t.equal(outcome(await door.command(fd, QUERY_DEVICE)), 16, 'its parent');

  t.equal(outcome(await door.ask('setuid', 65534)), 0);
  t.equal(outcome(await door.command(fd, QUERY_DEVICE)), 'EACCES', 'after setuid');
  t.equal(outcome(await door.invoke(fd, QUERY_DEVICE)), 0, 'after setuid by ioctl');
});

t.test('a legacy request and its response', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);

  const longer = { ...QUERY_PORT, request: `${QUERY_PORT.request}${zeroes(8)}`, coreOut: 56 };
  const answer = await door.command(fd, longer);
  t.match(answer, { result: 32 }, 'the result is the count');
  t.equal(answer.response?.slice(80), zeroes(16), 'room behind the response is zeroed');
  t.equal(answer.overrun, undefined, 'and nothing more');
  t.notSame(parse(abi.ibUverbsQueryPortResp, answer.response).lid, 0);

  const unknown = { ...QUERY_PORT, request: `${QUERY_PORT.request}${zeroes(7)}01` };
  t.equal(outcome(await door.command(fd, unknown)), 'EOPNOTSUPP', 'fields that are not known');

  const pd = await door.command(fd, { ...ALLOC_PD, driverOut: 16 });
  t.match(pd, { result: 16 });
  t.equal(pd.response?.slice(16), 'aa'.repeat(12), 'what the driver does not write stays');
});

t.test('a response that cannot be written', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const pds = () => countHandles(door, fd, Obj.UVERBS_OBJECT_PD);
  for (const [what, place] of Object.entries({ unmapped: '@U', 'read-only': '@O', inaccessible: '@Q' })) {
    const command = { ...ALLOC_PD, request: place };
    t.equal(outcome(await door.command(fd, command)), 'EFAULT', what);
  }
  t.equal(outcome(await door.command(fd, { ...ALLOC_PD, driverOut: 0 })), 'EFAULT', 'no room for the driver');
  t.equal(await pds(), 0, 'nothing was made');
  const first = await make(door, fd, ALLOC_PD);
  t.equal(first, 0, 'the handle is free');
  t.equal(await pds(), 1);

  const cq = await make(door, fd, createCq());
  const destroy = destroyCq(cq);
  const unwritable = { ...destroy, request: destroy.request.replace('@R', '@U') };
  t.equal(outcome(await door.command(fd, unwritable)), 'EFAULT');
  t.equal(outcome(await door.command(fd, destroy)), 'ENOENT', 'it was destroyed all the same');
});

t.test('DESTROY_CQ that counts 16 bytes', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const { request } = destroyCq(await make(door, fd, createCq()));
  // The whole request is in memory, but write(2) is told of 16 bytes, and of no room for the response.
  const whole = `${u32(Cmd.IB_USER_VERBS_CMD_DESTROY_CQ)}${u16(4)}${u16(0)}${request.replace('@R', '@B+4096;')}`;
  await door.ask('scratch-fill', whole);
  t.equal(outcome(await door.ask('write-at', fd, '@B', 16)), 16);
  t.equal(await countHandles(door, fd, Obj.UVERBS_OBJECT_CQ), 0);
  t.equal((await door.ask('scratch-dump', 8, 4096)).data, zeroes(8), 'it answered');
  await door.ask('scratch-fill', whole);
  t.equal(outcome(await door.ask('write-at', fd, '@B', 20)), 'EINVAL', 'no other count is tolerated');
});

t.test('an extended request and its response', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const { size } = abi.ibUverbsExQueryDeviceResp;

  for (const [name, request, expected] of [
    ['whole', EX_QUERY_DEVICE.request, 32],
    ['missing, and taken for zero', '', 24],
    ['with more zeroes', zeroes(16), 40],
    ['with unknown fields', `${zeroes(15)}01`, 'EOPNOTSUPP'],
    ['with comp_mask', `${u32(1)}${u32(0)}`, 'EINVAL'],
  ] as const) {
    t.equal(outcome(await door.command(fd, { ...EX_QUERY_DEVICE, request })), expected, `a request ${name}`);
  }
  for (const room of [8, 184, size, 512]) {
    const { response = '', overrun } = await door.command(fd, { ...EX_QUERY_DEVICE, coreOut: room });
    t.equal(overrun, undefined);
    if (room >= 184) {
      const known = Math.min(room, size);
      const { responseLength } = parse(abi.ibUverbsExQueryDeviceResp, response.padEnd(2 * size, '0'));
      t.equal(responseLength, known, `response_length with ${room} bytes of room`);
      t.equal(response.slice(2 * known), zeroes(room - known), 'room behind the response is zeroed');
    }
  }
  const driver = abi.mlx4UverbsExQueryDeviceResp.size;
  const both = await door.command(fd, { ...EX_QUERY_DEVICE, coreOut: 184, driverOut: driver });
  t.equal(
    parse(abi.mlx4UverbsExQueryDeviceResp, both.response, 184).responseLength,
    driver,
    "the driver's part follows",
  );
});

t.test('writev executes each element', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd } = await openByWrite(door, device);
  const pds = () => countHandles(door, fd, Obj.UVERBS_OBJECT_PD);
  const writev = (...messages: Message[]) => door.ask('writev', fd, messages.join(','), 64);
  const alloc = (place: Message) => byWrite({ ...ALLOC_PD, request: place });
  const bad = header(41);

  const both = await writev(alloc('@R'), alloc('@R+16;'));
  t.match(both, { result: 32 }, 'the sum of the counts');
  t.equal(both.response?.slice(0, 8), u32(0));
  t.equal(both.response?.slice(32, 40), u32(1));

  t.equal(outcome(await writev(alloc('@R'), bad, alloc('@R'))), 16, 'stops at the first error');
  t.equal(await pds(), 3);
  t.equal(
    outcome(await writev(bad, alloc('@R'))),
    'EOPNOTSUPP',
    'which is the result if nothing came before',
  );
  const mixed = [byWrite(deallocPd(0)), byWrite(EX_QUERY_DEVICE), byWrite(deallocPd(1))];
  t.equal(outcome(await writev(...mixed)), 12 + 32 + 12, 'elements of either kind');
});

t.test('a write that makes a descriptor', async (t) => {
  const door = UverbsDoor.start(t);
  const fd = await door.open(device);
  const { result, response = '', overrun } = await door.command(fd, GET_CONTEXT);
  t.equal(result, 16);
  t.equal(overrun, undefined);
  const { asyncFd } = parse(abi.ibUverbsGetContextResp, response);
  t.equal(outcome(await door.read(asyncFd, 16, 'nonblock')), 'EAGAIN');
});
