/** Flow steering rules, which need Ethernet ports. */
import t from 'tap';
import * as abi from '../../src/abi/index.js';
import { startDaemon } from '../support/daemon.js';
import { openByIoctl } from '../uverbs/support/context.js';
import { outcome, succeeded, UverbsDoor } from '../uverbs/support/door.js';
import { type Message, parse, u16, u32, zeroes } from '../uverbs/support/messages.js';
import { callMethod } from './support/attributes.js';
import { flowDestroy } from './support/methods.js';
import { createFlow, destroyFlow, destroyQp, ETH_SPEC, flowAttr } from './support/requests.js';
import { type Scene, Stage } from './support/scene.js';
import { badHandles, DOORS, type Row, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t, { config: '[[device]]\nlink_layer = "ethernet"\n\n[[device]]\n' });
const ETHERNET = { ethernet: true };

const DONT_TRAP = 2;
const EGRESS = 4;

/** A specification: type, the bytes of its filter, and those of its mask. */
const spec = (type: number, filter: Message, mask: Message, reserved = 0): Message =>
  u32(type) + u16(8 + (filter.length + mask.length) / 2) + u16(reserved) + filter + mask;

/** A request with these specifications. */
const withSpecs = (specs: Message[], change: Partial<abi.IbUverbsFlowAttr> = {}) => {
  const tail = specs.join('');
  const size = tail.replaceAll('_', '').length / 2;
  const padding = zeroes((8 - (size % 8)) % 8);
  return { flowAttr: flowAttr({ numOfSpecs: specs.length, size, ...change }), tail: tail + padding };
};

const ETH = ETH_SPEC.replaceAll('_', '');
const IPV4 = spec(0x30, `0a000001${zeroes(8)}`, `ffffffff${zeroes(8)}`);
const TCP = spec(0x40, '00500050', 'ffffffff');
const UDP = spec(0x41, '00500050', 'ffffffff');
/** Of no field, or of the multicast bit. */
const ANY_ETH = spec(0x20, zeroes(16), zeroes(16));
const MULTICAST_ETH = spec(0x20, zeroes(16), `01${zeroes(15)}`);

type Fields = abi.IbUverbsCreateFlow;
const attrs = (change: Partial<abi.IbUverbsFlowAttr>) => ({ flowAttr: flowAttr(change) });

const GOOD: Row<Fields>[] = [
  ['a UD QP', ({ ud }) => ({ qpHandle: ud }), 'ok'],
  ['no specification', withSpecs([]), 'ok'],
  ['everything', withSpecs([], { type: 1 }), 'ok'],
  ['all multicast', withSpecs([], { type: 2 }), 'ok'],
  ['sniffing', withSpecs([], { type: 3 }), 'ok'],
  ['the highest priority', attrs({ priority: 0xfff }), 'ok'],
  ['addresses and ports', withSpecs([ETH, IPV4, TCP]), 'ok'],
  ['UDP', withSpecs([ETH, IPV4, UDP]), 'ok'],
  ['a short filter', withSpecs([spec(0x30, '0a000001', 'ffffffff')]), 'ok'],
  ['a long filter whose mask is zero', withSpecs([spec(0x40, zeroes(8), zeroes(8))]), 'ok'],
  ['passing all', withSpecs([ANY_ETH], { flags: DONT_TRAP }), 'ok'],
  ['passing multicast', withSpecs([MULTICAST_ETH], { flags: DONT_TRAP }), 'ok'],
  ['zeroes behind', { tail: ETH_SPEC + zeroes(16) }, 'ok'],
];

const FIRST: Row<Fields>[] = [
  ['comp_mask', { compMask: 1 }, 'EINVAL'],
  ['unknown flags', attrs({ flags: 8 }), 'EINVAL'],
  ['everything, and passing', withSpecs([], { type: 1, flags: DONT_TRAP }), 'EINVAL'],
  ['all multicast, and passing', withSpecs([], { type: 2, flags: DONT_TRAP }), 'EINVAL'],
  ['too many specifications', withSpecs(Array(11).fill(TCP)), 'EINVAL'],
  [
    'more bytes than specifications',
    { ...withSpecs([ETH, IPV4, TCP]), ...attrs({ numOfSpecs: 1, size: 96 }) },
    'EINVAL',
  ],
  ['reserved bytes', attrs({ reserved: Uint8Array.of(0, 1) }), 'EINVAL'],
  ['specifications that are cut off', { tail: ETH_SPEC.replaceAll('_', '').slice(0, 64) }, 'ENOSPC'],
  ['something behind them', { tail: `${ETH_SPEC}${zeroes(7)}01` }, 'EOPNOTSUPP'],
];
const LATER = (foreign: number): Row<Fields>[] => [
  ['no port', attrs({ port: 0 }), 'EINVAL'],
  ['a port that is not there', attrs({ port: 2 }), 'EINVAL'],
  ...badHandles('qpHandle', ({ pd }) => pd, foreign),
  ['an RC QP', ({ qp }) => ({ qpHandle: qp }), 'EINVAL'],
  ['a specification with a reserved field', withSpecs([spec(0x40, zeroes(4), zeroes(4), 1)]), 'EINVAL'],
  ['a specification of no type', withSpecs([spec(0x77, zeroes(4), zeroes(4))]), 'EINVAL'],
  ['an InfiniBand specification', withSpecs([spec(0x22, zeroes(8), zeroes(8))]), 'EINVAL'],
  ['a filter of no bytes', withSpecs([spec(0x40, '', '')]), 'EINVAL'],
  ['a long filter whose mask is not zero', withSpecs([spec(0x40, zeroes(8), `${zeroes(7)}01`)]), 'EINVAL'],
  ['fewer specifications than announced', attrs({ numOfSpecs: 2 }), 'EINVAL'],
  ['a specification that is longer than all', withSpecs([`20000000_6000_0000${zeroes(32)}`]), 'EINVAL'],
  ['IPv6', withSpecs([spec(0x31, zeroes(40), zeroes(40))]), 'EINVAL'],
  ['a tunnel', withSpecs([spec(0x50, zeroes(4), zeroes(4))]), 'EINVAL'],
  ['the protocol field of IPv4', withSpecs([spec(0x30, zeroes(12), `${zeroes(8)}ff${zeroes(3)}`)]), 'EINVAL'],
  ['a type that there is not', withSpecs([], { type: 4 }), 'EINVAL'],
  ['too low a priority', attrs({ priority: 0x1000 }), 'EINVAL'],
  ['passing addresses', withSpecs([ETH], { flags: DONT_TRAP }), 'EINVAL'],
  ['the flag of loopback', attrs({ flags: 1 }), 'EOPNOTSUPP'],
  ['egress', attrs({ flags: EGRESS }), 'EOPNOTSUPP'],
  ['passing with a priority', withSpecs([ANY_ETH], { flags: DONT_TRAP, priority: 1 }), 'EOPNOTSUPP'],
  ['passing with two specifications', withSpecs([ANY_ETH, IPV4], { flags: DONT_TRAP }), 'EOPNOTSUPP'],
  ['sniffing and passing', withSpecs([], { type: 3, flags: DONT_TRAP }), 'EOPNOTSUPP'],
];

t.test('CREATE_FLOW', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, createFlow(scene));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsCreateFlowResp, response), { compMask: 0, flowHandle: scene.next });
    t.equal(outcome(await door(scene, destroyQp(scene, { qpHandle: scene.raw }))), 'EBUSY');
    await stage.strike();
  }
  await walkTable(t, stage, createFlow, [...GOOD, ...FIRST, ...LATER(foreign.pd)]);
  const request = createFlow(await stage.scene()).request.replaceAll('_', '');
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const short = { ...createFlow(scene), request: request.slice(0, 32) };
    t.equal(outcome(await door(scene, short)), 'ENOSPC', 'half a request');
  }
});

t.test('a response that cannot be written', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  await walkFrame(t, stage, createFlow);
});

t.test('DESTROY_FLOW', async (t) => {
  const stage = new Stage(t, daemon, ETHERNET);
  const foreign = await stage.foreign();
  await walkTable(t, stage, destroyFlow, [
    ['a flow', {}, 'ok'],
    ['comp_mask', { compMask: 1 }, 'EINVAL'],
    ...badHandles('flowHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, destroyFlow);
});

t.test('FLOW DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { ...ETHERNET, context: 'ioctl' });
  await walkAttributes(t, stage, flowDestroy);
  await walkMethodTable(t, stage, flowDestroy, [['a flow', {}, 'ok']]);
});

t.test('flows need CAP_NET_RAW', async (t) => {
  const door = UverbsDoor.start(t);
  const { fd, asyncFd } = await openByIoctl(door, new Stage(t, daemon).path);
  succeeded('setuid', await door.ask('setuid', 65534));
  const scene = { door, fd, asyncFd, raw: 0 } as unknown as Scene;
  const send = async (change = {}) => outcome(await door.invoke(fd, createFlow(scene, change)));
  t.equal(await send(), 'EPERM');
  t.equal(await send({ compMask: 1 }), 'EINVAL', 'after comp_mask');
  t.equal(await send(attrs({ flags: 8 })), 'EPERM', 'before the flags');
});

t.test('an InfiniBand device has no flows', async (t) => {
  const stage = new Stage(t, daemon, { device: 1 });
  const scene = await stage.scene();
  t.equal(outcome(await DOORS.write(scene, createFlow(scene))), 'EINVAL', 'framed as a legacy command');
  t.equal(outcome(await DOORS.INVOKE_WRITE(scene, createFlow(scene))), 'EOPNOTSUPP');
  t.equal(outcome(await DOORS.INVOKE_WRITE(scene, destroyFlow(scene))), 'EOPNOTSUPP');
  t.equal(outcome(await callMethod(flowDestroy, scene)), 'EPROTONOSUPPORT');
});
