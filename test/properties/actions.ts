/** What clients do: each action with what it sends, and what must come of it by the model. */
import fc from 'fast-check';
import * as abi from '../../src/abi/index.js';
import { NUM_COMP_VECTORS } from '../../src/mlx4/capabilities.js';
import {
  ALLOC_PD,
  ASYNC_EVENT_ALLOC,
  CREATE_COMP_CHANNEL,
  GET_CONTEXT,
  GET_CONTEXT_IOCTL,
} from '../uverbs/support/context.js';
import {
  type Attribute,
  attr,
  type Command,
  extended,
  type Ioctl,
  ioctlMessage,
  legacy,
  type Message,
  structure,
  u32,
  u64,
} from '../uverbs/support/messages.js';
import { KINDS, type Kind, type ModelFile, Refused, refuseIf, type Thing } from './model.js';
import {
  attributesOf,
  BIT,
  effectiveMask,
  isLegal,
  STATES,
  type State,
  TYPES,
  type Type,
} from './qp-legality.js';
import type { Answer, Door, Ref, Step, World } from './world.js';

const Cmd = abi.ibUverbsWriteCmds;
const Ex = abi.ibUserVerbsExCmd;
const { UVERBS_ATTR_UHW_IN: UHW_IN, UVERBS_ATTR_UHW_OUT: UHW_OUT } = abi.uverbsAttrUhw;

export interface Setting {
  world: World;
  file: ModelFile;
}

export type Plan = (setting: Setting) => Step;

interface Action {
  weight: number;
  arbitrary: fc.Arbitrary<Plan>;
}

function action<Values>(
  weight: number,
  values: { [K in keyof Values]: fc.Arbitrary<Values[K]> },
  plan: (setting: Setting, values: Values) => Step,
): Action {
  const arbitrary = fc.record(values).map((given) => (setting: Setting) => plan(setting, given as Values));
  return { weight, arbitrary };
}

// What values are like

/** `often` most of the time. */
const mostly = <T>(often: T, ...rarely: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(often) },
    { weight: 1, arbitrary: fc.constantFrom(...(rarely as [T, ...T[]])) },
  );

const ref: fc.Arbitrary<Ref> = fc.record({ live: mostly(true, false), n: fc.nat(40) });

/** What may be wrong with the driver's part. */
type DriverFault = 'none' | 'no input' | 'bad buffer' | 'bad doorbell';
const driverFault = mostly<DriverFault>('none', 'no input', 'bad buffer', 'bad doorbell');

function driverInput(fault: DriverFault, rest: Message = ''): Message {
  if (fault === 'no input') return '';
  const buffer = fault === 'bad buffer' ? '@U' : '@B';
  return `${buffer}${fault === 'bad doorbell' ? '@Q' : '@B+65536;'}${rest}`;
}

const refuseFault = (fault: DriverFault): void => refuseIf(fault !== 'none', 'EFAULT');

// What is made

/** Offset of a new handle in a response; through a method it stands in the attribute at `index` instead. */
function handleOf({ response, attributes }: Answer, door: Door, offset: number, index: number): number {
  return door === 'method' ? attributes.readInt32LE(24 + 16 * index + 8) : response.readInt32LE(offset);
}

function expectEqual(world: World, what: string, got: unknown, expected: unknown): void {
  if (got !== expected) world.diverge(`expected ${what} ${expected}, got ${got}`);
}

interface Made {
  kind: Kind;
  parents: Thing[];
  rest?: Partial<Thing>;
  offset?: number;
  index?: number;
}

/** Adds what was made, and compares its handle. */
function made(
  { world, file }: Setting,
  door: Door,
  answer: Answer,
  { kind, parents, rest, ...at }: Made,
): Thing {
  const thing = file.add(kind, parents, rest);
  expectEqual(world, 'the handle', handleOf(answer, door, at.offset ?? 0, at.index ?? 0), thing.handle);
  return thing;
}

const uhw = (input: Message, outputAt = -1): Attribute[] => [
  ...(input === '' ? [] : [attr.in(UHW_IN, input)]),
  ...(outputAt < 0 ? [] : [attr.out(UHW_OUT, `@R+${outputAt};`, 8)]),
];

// Contexts and event files

const getContext = action<{ byMethod: boolean }>(
  2,
  { byMethod: fc.boolean() },
  ({ world, file }, { byMethod }) => ({
    text: byMethod ? 'GET_CONTEXT without a file' : 'GET_CONTEXT',
    ...(byMethod ? { method: GET_CONTEXT_IOCTL } : { command: GET_CONTEXT }),
    foretell: () => {
      refuseIf(world.model.removed, 'EIO');
      refuseIf(file.hasContext, 'EINVAL');
      const room = byMethod || hasDescriptors(world);
      refuseIf(!room, 'EMFILE');
      return ({ response }) => {
        file.hasContext = true;
        if (!byMethod) file.eventFiles.set(response.readInt32LE(0), 'async');
      };
    },
  }),
);

const hasDescriptors = (world: World): boolean => world.machine.hasFreeDescriptor;

const allocAsync = action(1, {}, ({ world, file }) => ({
  text: 'ASYNC_EVENT_ALLOC',
  method: ASYNC_EVENT_ALLOC,
  foretell: () => {
    file.needContext();
    refuseIf(!hasDescriptors(world), 'EMFILE');
    return ({ attributes }) => void file.eventFiles.set(attributes.readInt32LE(32), 'async');
  },
}));

const createChannel = action(3, {}, ({ world, file }) => ({
  text: 'CREATE_COMP_CHANNEL',
  command: CREATE_COMP_CHANNEL,
  foretell: () => {
    file.needContext();
    refuseIf(!hasDescriptors(world), 'EMFILE');
    return ({ response }) => void file.eventFiles.set(response.readInt32LE(0), 'channel');
  },
}));

// PDs, MRs, MWs

const allocPd = action(8, {}, (setting) => ({
  text: 'ALLOC_PD',
  command: ALLOC_PD,
  badResponse: 'undone',
  foretell: (door) => {
    setting.file.needContext();
    return (answer) => void made(setting, door, answer, { kind: 'PD', parents: [] });
  },
}));

/** Flags, and the error that they are by themselves. */
const ACCESS: [flags: number, error: string][] = [
  [0, ''],
  [1, ''],
  [7, ''],
  [31, ''],
  [1 << 20, ''],
  [2, 'EINVAL'],
  [8, 'EINVAL'],
  [1 | (1 << 6), 'EOPNOTSUPP'],
  [1 | (1 << 11), 'EINVAL'],
];
const access = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...ACCESS.slice(0, 5)) },
  { weight: 1, arbitrary: fc.constantFrom(...ACCESS.slice(5)) },
);

/** Ranges by what is wrong with them. */
const RANGES = {
  good: { place: 'B', length: 10_000n, skew: 0n, error: '' },
  unmapped: { place: 'U', length: 4096n, skew: 0n, error: 'EFAULT' },
  empty: { place: 'B', length: 0n, skew: 0n, error: 'EINVAL' },
  skewed: { place: 'B', length: 4096n, skew: 8n, error: 'EINVAL' },
} as const;
const range = mostly<keyof typeof RANGES>('good', 'unmapped', 'empty', 'skewed');

const regMr = action<{ pd: Ref; range: keyof typeof RANGES; access: [number, string] }>(
  6,
  { pd: ref, range, access },
  (setting, values) => {
    const { world, file } = setting;
    const { place, length, skew, error } = RANGES[values.range];
    const [accessFlags, accessError] = values.access;
    const pdHandle = world.handle(file, 'PD', values.pd);
    const start = world.machine.client.places.address(place);
    return {
      text: `REG_MR pd=${pdHandle} ${values.range} access=0x${accessFlags.toString(16)}`,
      command: legacy(
        Cmd.IB_USER_VERBS_CMD_REG_MR,
        abi.ibUverbsRegMr,
        { start, length, hcaVa: start + skew, pdHandle, accessFlags },
        { response: abi.ibUverbsRegMrResp },
      ),
      badResponse: 'undone',
      foretell: (door) => {
        refuseIf(values.range === 'skewed', error);
        file.needContext();
        refuseIf(accessError !== '', accessError);
        const pd = file.find('PD', pdHandle);
        refuseIf(error !== '', error);
        return (answer) => void made(setting, door, answer, { kind: 'MR', parents: [pd] });
      },
    };
  },
);

const reregMr = action<{
  mr: Ref;
  pd: Ref;
  flags: number;
  range: keyof typeof RANGES;
  access: [number, string];
}>(
  3,
  { mr: ref, pd: ref, flags: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 7, 0, 8), range, access },
  ({ world, file }, { flags, ...values }) => {
    const { place, length, skew, error } = RANGES[values.range];
    const [accessFlags, accessError] = values.access;
    const mrHandle = world.handle(file, 'MR', values.mr);
    const pdHandle = world.handle(file, 'PD', values.pd);
    const start = world.machine.client.places.address(place);
    return {
      text: `REREG_MR mr=${mrHandle} flags=${flags} pd=${pdHandle} ${values.range} access=0x${accessFlags.toString(16)}`,
      command: legacy(
        Cmd.IB_USER_VERBS_CMD_REREG_MR,
        abi.ibUverbsReregMr,
        { mrHandle, flags, start, length, hcaVa: start + skew, pdHandle, accessFlags },
        { response: abi.ibUverbsReregMrResp },
      ),
      badResponse: 'done',
      foretell: () => {
        refuseIf(flags === 0, 'EINVAL');
        refuseIf((flags & ~7) !== 0, 'EOPNOTSUPP');
        refuseIf((flags & 1) !== 0 && values.range === 'skewed', 'EINVAL');
        const mr = file.find('MR', mrHandle);
        refuseIf((flags & 4) !== 0 && accessError !== '', accessError);
        const pd = (flags & 2) !== 0 ? file.find('PD', pdHandle) : undefined;
        refuseIf((flags & 1) !== 0 && error !== '', error);
        return () => {
          if (pd === undefined) return;
          for (const parent of mr.parents) parent.users--;
          mr.parents = [pd];
          pd.users++;
        };
      },
    };
  },
);

const allocMw = action<{ pd: Ref; mwType: number }>(
  4,
  { pd: ref, mwType: mostly(1, 2, 0, 3) },
  (setting, { pd, mwType }) => {
    const { world, file } = setting;
    const pdHandle = world.handle(file, 'PD', pd);
    return {
      text: `ALLOC_MW pd=${pdHandle} type=${mwType}`,
      command: legacy(
        Cmd.IB_USER_VERBS_CMD_ALLOC_MW,
        abi.ibUverbsAllocMw,
        { pdHandle, mwType },
        { response: abi.ibUverbsAllocMwResp },
      ),
      badResponse: 'undone',
      foretell: (door) => {
        file.needContext();
        const parent = file.find('PD', pdHandle);
        refuseIf(mwType !== 1 && mwType !== 2, 'EINVAL');
        return (answer) => void made(setting, door, answer, { kind: 'MW', parents: [parent] });
      },
    };
  },
);

// CQs

const usableCqe = (cqe: number): number => 2 ** Math.ceil(Math.log2(cqe + 1)) - 1;
const MAX_CQE = 4194303;
const cqe = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, MAX_CQE + 1, 0xffff_ffff) },
);
const refuseCqe = (entries: number): void => refuseIf(entries < 1 || entries > MAX_CQE, 'EINVAL');

/** A descriptor: none, an event file of this or of any open file, or a number that is no event file. */
const CHANNELS = ['none', 'none', 'own', 'own', 'own', 'any', 'other'] as const;
const channel = fc.record({ kind: fc.constantFrom(...CHANNELS), n: fc.nat(12) });
type ChannelValue = typeof channel extends fc.Arbitrary<infer Value> ? Value : never;

function descriptorOf({ world, file }: Setting, { kind, n }: ChannelValue): number {
  if (kind === 'other') return 0;
  const own = [...file.eventFiles].filter(([, type]) => type === 'channel').map(([descriptor]) => descriptor);
  const known = { none: [], own, any: world.machine.descriptors }[kind];
  return known[n % Math.max(known.length, 1)] ?? -1;
}

function refuseChannel(world: World, file: ModelFile, fd: number): void {
  if (fd < 0) return;
  refuseIf(file.eventFiles.get(fd) !== 'channel', 'EBADF');
  refuseIf(world.model.removed, 'EIO');
}

interface CqValues {
  cqe: number;
  compVector: number;
  channel: ChannelValue;
  fault: DriverFault;
  ex: boolean;
}

const createCq = action<CqValues>(
  9,
  { cqe, compVector: mostly(0, 1, 2, 0xffff_ffff), channel, fault: driverFault, ex: fc.boolean() },
  (setting, values) => {
    const { world, file } = setting;
    const { compVector, fault } = values;
    const compChannel = descriptorOf(setting, values.channel);
    const request = { userHandle: 7n, cqe: values.cqe, compVector, compChannel };
    const driver = { driverIn: driverInput(fault), driverOut: 8 };
    const C = abi.uverbsAttrsCreateCqCmdAttrIds;
    return {
      text: `${values.ex ? 'EX_' : ''}CREATE_CQ cqe=${values.cqe} vector=${compVector} channel=${compChannel} driver fault: ${fault}`,
      command: values.ex
        ? extended(
            Ex.IB_USER_VERBS_EX_CMD_CREATE_CQ,
            abi.ibUverbsExCreateCq,
            { ...request, compMask: 0, flags: 0 },
            { response: abi.ibUverbsExCreateCqResp, ...driver },
          )
        : legacy(Cmd.IB_USER_VERBS_CMD_CREATE_CQ, abi.ibUverbsCreateCq, request, {
            response: abi.ibUverbsCreateCqResp,
            ...driver,
          }),
      method: ioctlMessage(KINDS.CQ, abi.uverbsMethodsCq.UVERBS_METHOD_CQ_CREATE, [
        attr.newHandle(C.UVERBS_ATTR_CREATE_CQ_HANDLE),
        attr.out(C.UVERBS_ATTR_CREATE_CQ_RESP_CQE, '@R+4;', 4),
        attr.in(C.UVERBS_ATTR_CREATE_CQ_CQE, u32(values.cqe)),
        attr.in(C.UVERBS_ATTR_CREATE_CQ_USER_HANDLE, u64(7)),
        ...(compChannel < 0 ? [] : [attr.handle(C.UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, compChannel)]),
        attr.in(C.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, u32(compVector)),
        ...uhw(driver.driverIn, 8),
      ]),
      badResponse: 'undone',
      foretell: (door) => {
        if (door === 'method') {
          file.needContext();
          refuseChannel(world, file, compChannel);
        }
        refuseIf(compVector >= NUM_COMP_VECTORS, 'EINVAL');
        file.needContext();
        refuseChannel(world, file, compChannel);
        refuseCqe(values.cqe);
        refuseFault(fault);
        return (answer) => {
          const usable = usableCqe(values.cqe);
          made(setting, door, answer, { kind: 'CQ', parents: [], rest: { cqe: usable } });
          expectEqual(world, 'cqe', answer.response.readUInt32LE(4), usable);
        };
      },
    };
  },
);

const resizeCq = action<{ cq: Ref; cqe: number; fault: DriverFault }>(
  3,
  { cq: ref, cqe, fault: driverFault },
  ({ world, file }, { cq, cqe: entries, fault }) => {
    const cqHandle = world.handle(file, 'CQ', cq);
    return {
      text: `RESIZE_CQ cq=${cqHandle} cqe=${entries} driver fault: ${fault}`,
      command: legacy(
        Cmd.IB_USER_VERBS_CMD_RESIZE_CQ,
        abi.ibUverbsResizeCq,
        { cqHandle, cqe: entries },
        { response: abi.ibUverbsResizeCqResp, driverIn: driverInput(fault).slice(0, 2) },
      ),
      badResponse: 'done',
      foretell: () => {
        const thing = file.find('CQ', cqHandle);
        refuseCqe(entries);
        const usable = usableCqe(entries);
        if (usable !== thing.cqe) refuseFault(fault === 'bad doorbell' ? 'none' : fault);
        return () => {
          thing.cqe = usable;
        };
      },
    };
  },
);

const modifyCq = action<{ cq: Ref; attrMask: number }>(
  1,
  { cq: ref, attrMask: mostly(1, 0, 2) },
  ({ world, file }, { cq, attrMask }) => {
    const cqHandle = world.handle(file, 'CQ', cq);
    return {
      text: `MODIFY_CQ cq=${cqHandle} mask=${attrMask}`,
      command: extended(Ex.IB_USER_VERBS_EX_CMD_MODIFY_CQ, abi.ibUverbsExModifyCq, {
        cqHandle,
        attrMask,
        attr: { cqCount: 4, cqPeriod: 5 },
      }),
      foretell: () => {
        refuseIf(attrMask === 0, 'EINVAL');
        refuseIf(attrMask > 1, 'EOPNOTSUPP');
        file.find('CQ', cqHandle);
        return () => {};
      },
    };
  },
);

// SRQs and XRC domains

interface SrqValues {
  type: number;
  pd: Ref;
  cq: Ref;
  xrcd: Ref;
  maxWr: number;
  fault: DriverFault;
  plain: boolean;
}

const createSrq = action<SrqValues>(
  7,
  {
    type: mostly(0, 1, 1, 1, 1, 2, 3),
    pd: ref,
    cq: ref,
    xrcd: ref,
    maxWr: mostly(15, 100, 16384),
    fault: driverFault,
    plain: fc.boolean(),
  },
  (setting, { type, maxWr, fault, plain, ...refs }) => {
    const { world, file } = setting;
    const pdHandle = world.handle(file, 'PD', refs.pd);
    const cqHandle = world.handle(file, 'CQ', refs.cq);
    const xrcdHandle = world.handle(file, 'XRCD', refs.xrcd);
    const request = { userHandle: 9n, pdHandle, maxWr, maxSge: 1, srqLimit: 0 };
    const parts = { response: abi.ibUverbsCreateSrqResp, driverIn: driverInput(fault), driverOut: 8 };
    const isXrc = type === 1;
    const S = abi.uverbsAttrsCreateSrqCmdAttrIds;
    return {
      text: `CREATE_SRQ type=${type} pd=${pdHandle} cq=${cqHandle} xrcd=${xrcdHandle} wr=${maxWr} driver fault: ${fault}`,
      command:
        plain && type === 0
          ? legacy(Cmd.IB_USER_VERBS_CMD_CREATE_SRQ, abi.ibUverbsCreateSrq, request, parts)
          : legacy(
              Cmd.IB_USER_VERBS_CMD_CREATE_XSRQ,
              abi.ibUverbsCreateXsrq,
              { ...request, srqType: type, maxNumTags: 0, xrcdHandle, cqHandle },
              parts,
            ),
      method: ioctlMessage(KINDS.SRQ, abi.uverbsMethodsSrq.UVERBS_METHOD_SRQ_CREATE, [
        attr.newHandle(S.UVERBS_ATTR_CREATE_SRQ_HANDLE),
        ...(isXrc
          ? [
              attr.handle(S.UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE, xrcdHandle),
              attr.handle(S.UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE, cqHandle),
            ]
          : []),
        attr.const(S.UVERBS_ATTR_CREATE_SRQ_TYPE, type),
        attr.in(S.UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, u64(9)),
        attr.handle(S.UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, pdHandle),
        attr.in(S.UVERBS_ATTR_CREATE_SRQ_MAX_WR, u32(maxWr)),
        attr.in(S.UVERBS_ATTR_CREATE_SRQ_MAX_SGE, u32(1)),
        attr.in(S.UVERBS_ATTR_CREATE_SRQ_LIMIT, u32(0)),
        attr.out(S.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, '@R+4;', 4),
        attr.out(S.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, '@R+8;', 4),
        ...uhw(parts.driverIn, 16),
      ]),
      badResponse: 'undone',
      foretell: (door) => {
        file.needContext();
        const parents: Thing[] = [];
        if (isXrc) {
          parents.push(door === 'method' ? file.find('XRCD', xrcdHandle) : file.findXrcd(xrcdHandle));
          parents.push(file.find('CQ', cqHandle));
        } else if (door !== 'method' && type === 2) {
          file.find('CQ', cqHandle);
        }
        parents.push(file.find('PD', pdHandle));
        if (door === 'method') {
          refuseIf(type === 2, 'ENOENT');
          refuseIf(type > 2, 'EINVAL');
        }
        refuseIf(type > 1, 'EOPNOTSUPP');
        refuseIf(maxWr >= 16384, 'EINVAL');
        refuseFault(fault);
        return (answer) => void made(setting, door, answer, { kind: 'SRQ', parents, rest: { isXrc } });
      },
    };
  },
);

const modifySrq = action<{ srq: Ref; attrMask: number; srqLimit: number }>(
  1,
  { srq: ref, attrMask: mostly(2, 0, 1, 3), srqLimit: mostly(3, 20_000) },
  ({ world, file }, { srq, attrMask, srqLimit }) => {
    const srqHandle = world.handle(file, 'SRQ', srq);
    return {
      text: `MODIFY_SRQ srq=${srqHandle} mask=${attrMask} limit=${srqLimit}`,
      command: legacy(Cmd.IB_USER_VERBS_CMD_MODIFY_SRQ, abi.ibUverbsModifySrq, {
        srqHandle,
        attrMask,
        maxWr: 3,
        srqLimit,
      }),
      foretell: () => {
        file.find('SRQ', srqHandle);
        refuseIf((attrMask & 1) !== 0 || (attrMask === 2 && srqLimit > 10_000), 'EINVAL');
        return () => {};
      },
    };
  },
);

const O_CREAT = 0o100;
const O_EXCL = 0o200;

const openXrcd = action<{ inode: number; oflags: number }>(
  4,
  { inode: fc.constantFrom(-1, 0, 1, 99), oflags: mostly(O_CREAT, 0, O_CREAT | O_EXCL) },
  (setting, { inode, oflags }) => {
    const { world, file } = setting;
    const fd = inode < 0 ? -1 : world.machine.client.firstDescriptor + inode;
    const shared = inode < 0 ? undefined : inode;
    return {
      text: `OPEN_XRCD fd=${fd} oflags=0${oflags.toString(8)}`,
      command: legacy(
        Cmd.IB_USER_VERBS_CMD_OPEN_XRCD,
        abi.ibUverbsOpenXrcd,
        { fd, oflags },
        { response: abi.ibUverbsOpenXrcdResp },
      ),
      badResponse: 'undone',
      foretell: (door) => {
        refuseIf(inode === 99, 'EBADF');
        const found = shared === undefined ? undefined : world.model.domain(shared);
        refuseIf(shared !== undefined && found === undefined && (oflags & O_CREAT) === 0, 'EAGAIN');
        refuseIf(found !== undefined && (oflags & O_EXCL) !== 0, 'EINVAL');
        file.needContext();
        return (answer) => {
          const domain = found ?? world.model.newDomain(shared);
          domain.handles++;
          made(setting, door, answer, { kind: 'XRCD', parents: [], rest: { domain } });
        };
      },
    };
  },
);

// QPs

const QP_CAP = { maxSendWr: 15, maxRecvWr: 10, maxSendSge: 1, maxRecvSge: 1, maxInlineData: 0 };
const typeName = (type: number): Type | undefined =>
  (Object.keys(TYPES) as Type[]).find((name) => TYPES[name] === type);

interface QpValues {
  type: number;
  pd: Ref;
  xrcd: Ref;
  sendCq: Ref;
  recvCq: Ref;
  srq: Ref;
  withSrq: boolean;
  tooLarge: boolean;
  fault: DriverFault;
  ex: boolean;
}

const createQp = action<QpValues>(
  14,
  {
    type: fc.constantFrom(2, 2, 2, 2, 3, 4, 4, 4, 8, 9, 10, 10, 10, 1, 0xff),
    pd: ref,
    xrcd: ref,
    sendCq: ref,
    recvCq: ref,
    srq: ref,
    withSrq: fc.boolean(),
    tooLarge: mostly(false, true),
    fault: driverFault,
    ex: fc.boolean(),
  },
  (setting, { type, withSrq, tooLarge, fault, ex, ...refs }) => {
    const { world, file } = setting;
    const name = typeName(type);
    const isTarget = name === 'XT';
    const pdHandle = world.handle(file, isTarget ? 'XRCD' : 'PD', isTarget ? refs.xrcd : refs.pd);
    const sendCqHandle = world.handle(file, 'CQ', refs.sendCq);
    const recvCqHandle = world.handle(file, 'CQ', refs.recvCq);
    const srqHandle = world.handle(file, 'SRQ', refs.srq);
    const isSrq = withSrq && name !== 'XI' && !isTarget;
    const receives = name !== 'XI' && !isTarget && !isSrq;
    const cap = { ...QP_CAP, ...(!receives && { maxRecvWr: 0, maxRecvSge: 0 }) };
    // log_sq_bb_count, log_sq_stride, and what must be zero
    const driverIn = driverInput(fault, `${tooLarge ? '14' : '06'}06_0000_00000000`);
    const request = {
      userHandle: 11n,
      pdHandle,
      sendCqHandle,
      recvCqHandle,
      srqHandle: isSrq ? srqHandle : 0,
      ...cap,
      sqSigAll: 1,
      qpType: type,
      isSrq: isSrq ? 1 : 0,
    };
    const Q = abi.uverbsAttrsCreateQpCmdAttrIds;
    const named: Attribute[] = isTarget
      ? [attr.handle(Q.UVERBS_ATTR_CREATE_QP_XRCD_HANDLE, pdHandle)]
      : [
          attr.handle(Q.UVERBS_ATTR_CREATE_QP_PD_HANDLE, pdHandle),
          attr.handle(Q.UVERBS_ATTR_CREATE_QP_SEND_CQ_HANDLE, sendCqHandle),
          ...(name === 'XI' ? [] : [attr.handle(Q.UVERBS_ATTR_CREATE_QP_RECV_CQ_HANDLE, recvCqHandle)]),
        ];
    return {
      text:
        `${ex ? 'EX_' : ''}CREATE_QP type=${name ?? type} ${isTarget ? 'xrcd' : 'pd'}=${pdHandle} cq=${sendCqHandle},${recvCqHandle}` +
        `${isSrq ? ` srq=${srqHandle}` : ''}${tooLarge ? ' too large' : ''} driver fault: ${fault}`,
      command: ex
        ? extended(
            Ex.IB_USER_VERBS_EX_CMD_CREATE_QP,
            abi.ibUverbsExCreateQp,
            { ...request, compMask: 0, createFlags: 0, rwqIndTblHandle: 0, sourceQpn: 0 },
            { response: abi.ibUverbsExCreateQpResp, driverIn },
          )
        : legacy(Cmd.IB_USER_VERBS_CMD_CREATE_QP, abi.ibUverbsCreateQp, request, {
            response: abi.ibUverbsCreateQpResp,
            driverIn,
          }),
      method: ioctlMessage(KINDS.QP, abi.uverbsMethodsQp.UVERBS_METHOD_QP_CREATE, [
        attr.newHandle(Q.UVERBS_ATTR_CREATE_QP_HANDLE),
        ...named,
        attr.const(Q.UVERBS_ATTR_CREATE_QP_TYPE, type),
        attr.in(Q.UVERBS_ATTR_CREATE_QP_USER_HANDLE, u64(11)),
        attr.in(Q.UVERBS_ATTR_CREATE_QP_CAP, structure(abi.ibUverbsQpCap, cap)),
        ...(isSrq ? [attr.handle(Q.UVERBS_ATTR_CREATE_QP_SRQ_HANDLE, srqHandle)] : []),
        attr.out(Q.UVERBS_ATTR_CREATE_QP_RESP_CAP, '@R+8;', 20),
        attr.out(Q.UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, '@R+4;', 4),
        ...uhw(driverIn),
      ]),
      badResponse: 'undone',
      foretell: (door) => {
        const isKnown = name !== undefined || type === 0xff;
        if (door !== 'method') refuseIf(!isKnown, 'EINVAL');
        file.needContext();
        const parents: Thing[] = [];
        const srq = (): void => {
          if (!isSrq) return;
          const found = file.find('SRQ', srqHandle);
          if (door !== 'method') refuseIf(found.isXrc === true, 'EINVAL');
          parents.push(found);
        };
        if (isTarget) {
          parents.push(door === 'method' ? file.find('XRCD', pdHandle) : file.findXrcd(pdHandle));
        } else if (door === 'method') {
          parents.push(file.find('PD', pdHandle), file.find('CQ', sendCqHandle));
          if (name !== 'XI') parents.push(file.find('CQ', recvCqHandle));
          srq();
          refuseIf(!isKnown, 'EINVAL');
          refuseIf(
            parents.some((parent) => parent.isXrc === true),
            'EINVAL',
          );
        } else {
          srq();
          if (name !== 'XI' && recvCqHandle !== sendCqHandle) parents.push(file.find('CQ', recvCqHandle));
          const sendCq = file.find('CQ', sendCqHandle);
          parents.push(sendCq, file.find('PD', pdHandle));
          if (name !== 'XI' && recvCqHandle === sendCqHandle) parents.push(sendCq);
        }
        if (name === undefined) throw new Refused('EOPNOTSUPP');
        if (!isTarget) {
          refuseIf(fault === 'no input', 'EFAULT');
          refuseIf(tooLarge, 'EINVAL');
          refuseIf(fault === 'bad buffer' || (fault === 'bad doorbell' && receives), 'EFAULT');
        }
        return (answer) => {
          const qpn = answer.response.readUInt32LE(4);
          const queue = {
            type: name,
            qpn,
            state: 'RESET' as const,
            port: 0,
            handles: 1,
            attached: [],
            groups: new Set<string>(),
            wqs: undefined,
          };
          if (isTarget) parents[0]?.domain?.targets.set(qpn, queue);
          made(setting, door, answer, { kind: 'QP', parents, rest: { queue } });
        };
      },
    };
  },
);

const openQp = action<{ xrcd: Ref; n: number }>(4, { xrcd: ref, n: fc.nat(8) }, (setting, { xrcd, n }) => {
  const { world, file } = setting;
  const xrcdHandle = world.handle(file, 'XRCD', xrcd);
  const targets = file.ofKind('XRCD').find(({ handle }) => handle === xrcdHandle)?.domain?.targets;
  const qpns = [...(targets?.keys() ?? [])];
  const qpn = qpns[n % Math.max(qpns.length + 1, 1)] ?? 77;
  return {
    text: `OPEN_QP xrcd=${xrcdHandle} qpn=${qpn}`,
    command: legacy(
      Cmd.IB_USER_VERBS_CMD_OPEN_QP,
      abi.ibUverbsOpenQp,
      { userHandle: 5n, pdHandle: xrcdHandle, qpn, qpType: TYPES.XT },
      { response: abi.ibUverbsCreateQpResp },
    ),
    badResponse: 'undone',
    foretell: (door) => {
      file.needContext();
      const parent = file.findXrcd(xrcdHandle);
      const queue = parent.domain?.targets.get(qpn);
      if (queue === undefined) throw new Refused('EINVAL');
      return (answer) => {
        queue.handles++;
        made(setting, door, answer, { kind: 'QP', parents: [parent], rest: { queue } });
      };
    },
  };
});

const FORWARD: Record<State, State> = {
  RESET: 'INIT',
  INIT: 'RTR',
  RTR: 'RTS',
  RTS: 'SQD',
  SQD: 'RTS',
  SQE: 'RTS',
  ERR: 'RESET',
};

interface ModifyValues {
  qp: Ref;
  forward: boolean;
  to: number;
  /** Chooses among what is optional. */
  optional: number;
  omit: number;
  extra: number;
  withState: boolean;
  currentState: number;
  port: number;
}

const bits = (mask: number): number[] =>
  Array.from({ length: 32 }, (_, i) => i).filter((i) => (mask >>> i) & 1);

function maskFor({ type, state }: { type: Type; state: State }, to: State, values: ModifyValues): number {
  const { needs, takes } = attributesOf(type, state, to) ?? { needs: 0, takes: 0 };
  let mask = needs | (takes & values.optional);
  const omitted = bits(needs)[values.omit];
  if (omitted !== undefined) mask &= ~(1 << omitted);
  if (values.extra >= 0) mask |= 1 << values.extra;
  return values.withState ? mask | 1 : mask & ~1;
}

const modifyQp = action<ModifyValues>(
  24,
  {
    qp: ref,
    forward: mostly(true, false, false, false),
    to: fc.nat(7),
    optional: fc.oneof(fc.constant(0), fc.nat(0x1f_ffff)),
    omit: mostly(99, 0, 1, 2, 3),
    extra: mostly(-1, ...Array.from({ length: 21 }, (_, i) => i), 25),
    withState: mostly(true, false),
    currentState: fc.nat(7),
    port: mostly(1, 1, 2, 3),
  },
  ({ world, file }, values) => {
    const qpHandle = world.handle(file, 'QP', values.qp);
    const queue = file.things.find(({ handle }) => handle === qpHandle)?.queue;
    const shown = queue ?? { type: 'RC' as const, state: 'RESET' as const };
    const to = values.forward ? FORWARD[shown.state] : STATES[values.to];
    const attrMask = maskFor(shown, to ?? 'RESET', values);
    const has = (bit: keyof typeof BIT): boolean => (attrMask & (1 << BIT[bit])) !== 0;
    const { port } = values;
    // Mostly the right one.
    const current = (values.currentState < 5 ? shown.state : STATES[values.currentState]) ?? 'RESET';
    const qpState = to === undefined ? 7 : STATES.indexOf(to);
    const path = pathOver(port, world.isEthernet);
    return {
      text: `MODIFY_QP qp=${qpHandle} (${shown.type} ${shown.state}) to=${to ?? 7} mask=${maskText(attrMask)} port=${port}${has('CUR') ? ` cur=${current}` : ''}`,
      command: legacy(Cmd.IB_USER_VERBS_CMD_MODIFY_QP, abi.ibUverbsModifyQp, {
        ...ATTRIBUTES,
        qpHandle,
        attrMask,
        qpState,
        curQpState: STATES.indexOf(current),
        portNum: port,
        altPortNum: port,
        dest: path,
        altDest: path,
      }),
      foretell: () => {
        refuseIf((attrMask & ~0x1f_ffff) !== 0, 'EOPNOTSUPP');
        const found = file.find('QP', qpHandle).queue;
        if (found === undefined) throw new Error('a QP without a queue');
        const isPort = port === 1 || port === 2;
        refuseIf(has('PORT') && !isPort, 'EINVAL');
        let mask = attrMask;
        if (has('AV')) {
          refuseIf(!isPort, 'EINVAL');
          if (has('STATE') && to === 'RTR') refuseIf(port !== found.port, 'EINVAL');
          else mask |= 1 << BIT.PORT;
        }
        refuseIf(has('ALT') && (!isPort || world.isEthernet), 'EINVAL');
        refuseIf(has('STATE') && to === undefined, 'EINVAL');
        mask = effectiveMask(found.type, mask);
        const from = has('CUR') ? current : found.state;
        const next = has('STATE') && to !== undefined ? to : from;
        refuseIf(!isLegal(found.type, from, next, mask), 'EINVAL');
        if (found.wqs !== undefined) {
          const known = (from === 'RESET' && next === 'INIT') || (from === 'INIT' && next === 'RTR');
          refuseIf(!known || (mask & ~(1 | (1 << BIT.PORT))) !== 0, 'EOPNOTSUPP');
        }
        refuseIf((mask & (1 << BIT.PORT)) !== 0 && found.type === 'RAW' && !world.isEthernet, 'EINVAL');
        if (from === 'RESET' && next === 'RESET') return () => {};
        refuseIf(from !== found.state, 'EINVAL');
        const wqs = found.wqs?.flatMap(({ wq }) => wq ?? []) ?? [];
        if (next === 'INIT')
          refuseIf(
            wqs.some((wq) => wq.spread > 0 && wq.port !== port),
            'EINVAL',
          );
        return () => {
          found.state = next;
          if ((mask & (1 << BIT.PORT)) !== 0) found.port = port;
          if (next !== 'INIT') return;
          for (const wq of wqs) {
            wq.port = port;
            wq.spread++;
          }
        };
      },
    };
  },
);

const ATTRIBUTES = {
  qkey: 1,
  rqPsn: 1,
  sqPsn: 1,
  destQpNum: 1,
  qpAccessFlags: 0,
  pkeyIndex: 0,
  altPkeyIndex: 0,
  pathMtu: 3,
  pathMigState: 0,
  enSqdAsyncNotify: 1,
  maxRdAtomic: 1,
  maxDestRdAtomic: 1,
  minRnrTimer: 1,
  timeout: 1,
  retryCnt: 1,
  rnrRetry: 1,
  altTimeout: 1,
};

/** A path over Ethernet has a GRH. */
function pathOver(portNum: number, isEthernet: boolean): abi.IbUverbsQpDest {
  return {
    dgid: new Uint8Array(16),
    flowLabel: 0,
    dlid: 1,
    reserved: 0,
    sgidIndex: 0,
    hopLimit: 1,
    trafficClass: 0,
    sl: 0,
    srcPathBits: 0,
    staticRate: 0,
    isGlobal: isEthernet ? 1 : 0,
    portNum,
  };
}

function maskText(mask: number): string {
  const names = new Map(Object.entries(BIT).map(([name, bit]) => [bit as number, name]));
  return bits(mask)
    .map((bit) => names.get(bit) ?? bit)
    .join('+');
}

const queryQp = action<{ qp: Ref }>(4, { qp: ref }, ({ world, file }, { qp }) => {
  const qpHandle = world.handle(file, 'QP', qp);
  return {
    text: `QUERY_QP qp=${qpHandle}`,
    command: legacy(
      Cmd.IB_USER_VERBS_CMD_QUERY_QP,
      abi.ibUverbsQueryQp,
      { qpHandle, attrMask: 0 },
      { response: abi.ibUverbsQueryQpResp },
    ),
    badResponse: 'undone',
    foretell: () => {
      const queue = file.find('QP', qpHandle).queue;
      refuseIf(queue?.wqs !== undefined, 'EOPNOTSUPP');
      return ({ response }) => {
        const view = new DataView(response.buffer, response.byteOffset, response.length);
        const { qpState, portNum } = abi.ibUverbsQueryQpResp.read(view, 0);
        expectEqual(world, 'the state', STATES[qpState], queue?.state);
        if (queue?.state !== 'RESET') expectEqual(world, 'the port', portNum, queue?.port);
      };
    },
  };
});

// What hangs on QPs

interface McastValues {
  qp: Ref;
  attach: boolean;
  group: number;
  lid: number;
}

const mcast = action<McastValues>(
  6,
  {
    qp: ref,
    attach: mostly(true, false, false, false),
    group: mostly(0, 1, 2, 3, 4),
    lid: fc.constantFrom(0xc001, 0xc001, 0xc002, 0xc002, 1, 0xffff),
  },
  ({ world, file }, { qp, attach, group, lid }) => {
    const uds = file.ofKind('QP').filter(({ queue }) => queue?.type === 'UD');
    const ud = uds[qp.n % Math.max(uds.length, 1)];
    const qpHandle = qp.live && ud !== undefined ? ud.handle : world.handle(file, 'QP', qp);
    const gid = new Uint8Array(16);
    gid[0] = group === 4 ? 0xfe : 0xff;
    gid[15] = group;
    const [number, struct] = attach
      ? [Cmd.IB_USER_VERBS_CMD_ATTACH_MCAST, abi.ibUverbsAttachMcast]
      : [Cmd.IB_USER_VERBS_CMD_DETACH_MCAST, abi.ibUverbsDetachMcast];
    return {
      text: `${attach ? 'ATTACH' : 'DETACH'}_MCAST qp=${qpHandle} group=${group} lid=0x${lid.toString(16)}`,
      command: legacy(number, struct, { gid, qpHandle, mlid: lid }),
      foretell: () => {
        const queue = file.find('QP', qpHandle).queue;
        if (queue === undefined) throw new Error('a QP without a queue');
        const key = `${group}/${lid}`;
        const isAttached = queue.attached.includes(key);
        if (attach) {
          if (isAttached) return () => {};
          refuseIf(queue.type !== 'UD' || group === 4, 'EINVAL');
          refuseIf(!world.isEthernet && (lid < 0xc000 || lid === 0xffff), 'EINVAL');
          return () => {
            queue.attached.push(key);
            queue.groups.add(`${group}`);
          };
        }
        refuseIf(!isAttached, 'EINVAL');
        // The adapter goes by the GID alone, and the entry is gone whatever the adapter says.
        queue.attached.splice(queue.attached.indexOf(key), 1);
        refuseIf(!queue.groups.delete(`${group}`), 'EINVAL');
        return () => {};
      },
    };
  },
);

const createFlow = action<{ qp: Ref; port: number }>(
  3,
  { qp: ref, port: mostly(1, 2, 3) },
  (setting, { qp, port }) => {
    const { world, file } = setting;
    const qpHandle = world.handle(file, 'QP', qp);
    const flowAttr = { type: 1, size: 0, priority: 0, numOfSpecs: 0, port, flags: 0 };
    return {
      text: `CREATE_FLOW qp=${qpHandle} port=${port}`,
      command: extended(
        Ex.IB_USER_VERBS_EX_CMD_CREATE_FLOW,
        abi.ibUverbsCreateFlow,
        { compMask: 0, qpHandle, flowAttr },
        { response: abi.ibUverbsCreateFlowResp },
      ),
      badResponse: 'undone',
      foretell: (door) => {
        needEthernet(world, door);
        file.needContext();
        refuseIf(port === 3, 'EINVAL');
        const parent = file.find('QP', qpHandle);
        refuseIf(parent.queue?.type !== 'UD' && parent.queue?.type !== 'RAW', 'EINVAL');
        return (answer) => void made(setting, door, answer, { kind: 'flow', parents: [parent], offset: 4 });
      },
    };
  },
);

/** What InfiniBand ports do not have: by write(2) the lengths of the headers are looked at first. */
function needEthernet({ isEthernet }: World, door: Door): void {
  refuseIf(!isEthernet, { write: 'EINVAL', invoke: 'EOPNOTSUPP', method: 'EPROTONOSUPPORT' }[door]);
}

// Receive side scaling

const createWq = action<{ pd: Ref; cq: Ref; fault: DriverFault }>(
  5,
  { pd: ref, cq: ref, fault: driverFault },
  (setting, { pd, cq, fault }) => {
    const { world, file } = setting;
    const pdHandle = world.handle(file, 'PD', pd);
    const cqHandle = world.handle(file, 'CQ', cq);
    const driverIn = driverInput(fault, '0000000000000000');
    const W = abi.uverbsAttrsCreateWqCmdAttrIds;
    return {
      text: `CREATE_WQ pd=${pdHandle} cq=${cqHandle} driver fault: ${fault}`,
      command: extended(
        Ex.IB_USER_VERBS_EX_CMD_CREATE_WQ,
        abi.ibUverbsExCreateWq,
        { compMask: 0, wqType: 0, userHandle: 1n, pdHandle, cqHandle, maxWr: 7, maxSge: 1, createFlags: 0 },
        { response: abi.ibUverbsExCreateWqResp, driverIn },
      ),
      method: ioctlMessage(KINDS.WQ, abi.uverbsMethodsWq.UVERBS_METHOD_WQ_CREATE, [
        attr.newHandle(W.UVERBS_ATTR_CREATE_WQ_HANDLE),
        attr.handle(W.UVERBS_ATTR_CREATE_WQ_PD_HANDLE, pdHandle),
        attr.handle(W.UVERBS_ATTR_CREATE_WQ_CQ_HANDLE, cqHandle),
        attr.in(W.UVERBS_ATTR_CREATE_WQ_USER_HANDLE, u64(1)),
        attr.const(W.UVERBS_ATTR_CREATE_WQ_TYPE, 0),
        attr.in(W.UVERBS_ATTR_CREATE_WQ_MAX_WR, u32(7)),
        attr.in(W.UVERBS_ATTR_CREATE_WQ_MAX_SGE, u32(1)),
        attr.const(W.UVERBS_ATTR_CREATE_WQ_FLAGS, 0),
        attr.out(W.UVERBS_ATTR_CREATE_WQ_RESP_MAX_WR, '@R+12;', 4),
        attr.out(W.UVERBS_ATTR_CREATE_WQ_RESP_MAX_SGE, '@R+16;', 4),
        attr.out(W.UVERBS_ATTR_CREATE_WQ_RESP_WQ_NUM, '@R+20;', 4),
        ...uhw(driverIn),
      ]),
      badResponse: 'undone',
      foretell: (door) => {
        needEthernet(world, door);
        file.needContext();
        const parents = [file.find('PD', pdHandle), file.find('CQ', cqHandle)];
        refuseIf(fault === 'no input', 'EINVAL');
        refuseFault(fault);
        return (answer) => {
          const wq = { wqn: answer.response.readUInt32LE(20), state: 0, port: 0, spread: 0 };
          made(setting, door, answer, { kind: 'WQ', parents, rest: { wq }, offset: 8 });
        };
      },
    };
  },
);

const STATE = 1;
const CUR_STATE = 2;
const [, READY, ERROR] = [0, 1, 2];

const modifyWq = action<{ wq: Ref; attrMask: number; to: number; from: number }>(
  3,
  { wq: ref, attrMask: mostly(1, 2, 3, 3, 0, 4, 8), to: fc.nat(3), from: fc.nat(3) },
  ({ world, file }, { wq, attrMask, to, from }) => {
    const wqHandle = world.handle(file, 'WQ', wq);
    return {
      text: `MODIFY_WQ wq=${wqHandle} mask=${attrMask} to=${to} cur=${from}`,
      command: extended(
        Ex.IB_USER_VERBS_EX_CMD_MODIFY_WQ,
        abi.ibUverbsExModifyWq,
        { attrMask, wqHandle, wqState: to, currWqState: from, flags: 0, flagsMask: 0 },
        { driverIn: u64(0) },
      ),
      foretell: (door) => {
        needEthernet(world, door);
        refuseIf(attrMask === 0 || attrMask > 7, 'EINVAL');
        const found = file.find('WQ', wqHandle).wq;
        if (found === undefined) throw new Error('a WQ without a state');
        refuseIf((attrMask & CUR_STATE) !== 0 && from > ERROR, 'EINVAL');
        refuseIf((attrMask & STATE) !== 0 && to > ERROR, 'EINVAL');
        refuseIf((attrMask & 4) !== 0, 'EOPNOTSUPP');
        const before = (attrMask & CUR_STATE) !== 0 ? from : found.state;
        const after = (attrMask & STATE) !== 0 ? to : before;
        refuseIf(after === READY && before === ERROR, 'EINVAL');
        refuseIf(after === ERROR && before === 0, 'EINVAL');
        return () => {
          found.state = after;
        };
      },
    };
  },
);

const createIndTable = action<{ wqs: Ref; logSize: number }>(
  4,
  { wqs: ref, logSize: mostly(0, 1, 1, 1, 14) },
  (setting, { wqs: first, logSize }) => {
    const { world, file } = setting;
    const size = logSize > 2 ? 1 : 2 ** logSize;
    const handles = Array.from({ length: size }, (_, i) =>
      world.handle(file, 'WQ', { live: first.live, n: first.n + i }),
    );
    return {
      text: `CREATE_RWQ_IND_TBL log size=${logSize} wqs=${handles}`,
      command: withTail(
        extended(
          Ex.IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL,
          abi.ibUverbsExCreateRwqIndTable,
          { compMask: 0, logIndTblSize: logSize },
          { response: abi.ibUverbsExCreateRwqIndTableResp },
        ),
        [...handles, ...(size === 1 ? [0] : [])].map(u32).join(''),
      ),
      badResponse: 'undone',
      foretell: (door) => {
        needEthernet(world, door);
        refuseIf(logSize > 13, 'EINVAL');
        const parents = handles.map((handle) => file.find('WQ', handle));
        file.needContext();
        const [lowest = 0, ...rest] = parents.map(({ wq }) => wq?.wqn ?? 0);
        refuseIf(lowest % size !== 0 || rest.some((wqn, i) => wqn !== lowest + i + 1), 'EINVAL');
        return (answer) =>
          void made(setting, door, answer, { kind: 'RWQ indirection table', parents, offset: 8 });
      },
    };
  },
);

function withTail(command: Command, tail: Message): Command {
  return { ...command, request: command.request + tail };
}

const createRssQp = action<{ pd: Ref; table: Ref; tooLong: boolean }>(
  4,
  { pd: ref, table: ref, tooLong: mostly(false, true) },
  (setting, { pd, table, tooLong }) => {
    const { world, file } = setting;
    const pdHandle = world.handle(file, 'PD', pd);
    const rwqIndTblHandle = world.handle(file, 'RWQ indirection table', table);
    const cap = { ...QP_CAP, maxSendWr: 0, maxSendSge: 0, maxRecvWr: tooLong ? 5 : 0, maxRecvSge: 0 };
    const driverIn = structure(abi.mlx4IbCreateQpRss, {
      rxHashFieldsMask: 3n,
      rxHashFunction: 1,
      rxHashKey: new Uint8Array(40),
      compMask: 0,
    });
    const Q = abi.uverbsAttrsCreateQpCmdAttrIds;
    return {
      text: `EX_CREATE_QP type=RAW pd=${pdHandle} table=${rwqIndTblHandle}${tooLong ? ' with receives' : ''}`,
      command: extended(
        Ex.IB_USER_VERBS_EX_CMD_CREATE_QP,
        abi.ibUverbsExCreateQp,
        {
          userHandle: 1n,
          pdHandle,
          sendCqHandle: 0,
          recvCqHandle: 0,
          srqHandle: 0,
          ...cap,
          sqSigAll: 0,
          qpType: TYPES.RAW,
          isSrq: 0,
          compMask: 1,
          createFlags: 0,
          rwqIndTblHandle,
          sourceQpn: 0,
        },
        { response: abi.ibUverbsExCreateQpResp, driverIn },
      ),
      method: ioctlMessage(KINDS.QP, abi.uverbsMethodsQp.UVERBS_METHOD_QP_CREATE, [
        attr.newHandle(Q.UVERBS_ATTR_CREATE_QP_HANDLE),
        attr.handle(Q.UVERBS_ATTR_CREATE_QP_IND_TABLE_HANDLE, rwqIndTblHandle),
        attr.handle(Q.UVERBS_ATTR_CREATE_QP_PD_HANDLE, pdHandle),
        attr.const(Q.UVERBS_ATTR_CREATE_QP_TYPE, TYPES.RAW),
        attr.in(Q.UVERBS_ATTR_CREATE_QP_USER_HANDLE, u64(1)),
        attr.in(Q.UVERBS_ATTR_CREATE_QP_CAP, structure(abi.ibUverbsQpCap, cap)),
        attr.out(Q.UVERBS_ATTR_CREATE_QP_RESP_CAP, '@R+8;', 20),
        attr.out(Q.UVERBS_ATTR_CREATE_QP_RESP_QP_NUM, '@R+4;', 4),
        ...uhw(driverIn),
      ]),
      badResponse: 'undone',
      foretell: (door) => {
        file.needContext();
        const spread = file.find('RWQ indirection table', rwqIndTblHandle);
        if (door !== 'method') refuseIf(tooLong, 'EINVAL');
        const parents = [spread, file.find('PD', pdHandle)];
        refuseIf(tooLong, 'EINVAL');
        return (answer) => {
          const queue = {
            type: 'RAW' as const,
            qpn: answer.response.readUInt32LE(4),
            state: 'RESET' as const,
            port: 0,
            handles: 1,
            attached: [],
            groups: new Set<string>(),
            wqs: spread.parents,
          };
          made(setting, door, answer, { kind: 'QP', parents, rest: { queue } });
        };
      },
    };
  },
);

// Any object

const anyKind = fc.constantFrom(...(Object.keys(KINDS) as Kind[]));

interface Destroyer {
  command: (handle: number) => Command;
  method: (handle: number) => Ioctl;
  responds: boolean;
  ethernetOnly?: true;
}

const destroyMethod =
  (kind: Kind, methodId: number, response: number) =>
  (handle: number): Ioctl =>
    ioctlMessage(KINDS[kind], methodId, [
      ...(response > 0 ? [attr.out(1, '@R', response)] : []),
      attr.handle(0, handle),
    ]);

const DESTROYERS: Record<Kind, Destroyer> = {
  PD: {
    command: (pdHandle) => legacy(Cmd.IB_USER_VERBS_CMD_DEALLOC_PD, abi.ibUverbsDeallocPd, { pdHandle }),
    method: destroyMethod('PD', 0, 0),
    responds: false,
  },
  MR: {
    command: (mrHandle) => legacy(Cmd.IB_USER_VERBS_CMD_DEREG_MR, abi.ibUverbsDeregMr, { mrHandle }),
    method: destroyMethod('MR', 1, 0),
    responds: false,
  },
  MW: {
    command: (mwHandle) => legacy(Cmd.IB_USER_VERBS_CMD_DEALLOC_MW, abi.ibUverbsDeallocMw, { mwHandle }),
    method: destroyMethod('MW', 0, 0),
    responds: false,
  },
  CQ: {
    command: (cqHandle) =>
      legacy(
        Cmd.IB_USER_VERBS_CMD_DESTROY_CQ,
        abi.ibUverbsDestroyCq,
        { cqHandle },
        { response: abi.ibUverbsDestroyCqResp },
      ),
    method: destroyMethod('CQ', 1, 8),
    responds: true,
  },
  QP: {
    command: (qpHandle) =>
      legacy(
        Cmd.IB_USER_VERBS_CMD_DESTROY_QP,
        abi.ibUverbsDestroyQp,
        { qpHandle },
        { response: abi.ibUverbsDestroyQpResp },
      ),
    method: destroyMethod('QP', 1, 4),
    responds: true,
  },
  SRQ: {
    command: (srqHandle) =>
      legacy(
        Cmd.IB_USER_VERBS_CMD_DESTROY_SRQ,
        abi.ibUverbsDestroySrq,
        { srqHandle },
        { response: abi.ibUverbsDestroySrqResp },
      ),
    method: destroyMethod('SRQ', 1, 4),
    responds: true,
  },
  XRCD: {
    command: (xrcdHandle) => legacy(Cmd.IB_USER_VERBS_CMD_CLOSE_XRCD, abi.ibUverbsCloseXrcd, { xrcdHandle }),
    method: destroyMethod('XRCD', 0, 0),
    responds: false,
  },
  flow: {
    command: (flowHandle) =>
      extended(Ex.IB_USER_VERBS_EX_CMD_DESTROY_FLOW, abi.ibUverbsDestroyFlow, { compMask: 0, flowHandle }),
    method: destroyMethod('flow', 0, 0),
    ethernetOnly: true,
    responds: false,
  },
  'RWQ indirection table': {
    command: (indTblHandle) =>
      extended(Ex.IB_USER_VERBS_EX_CMD_DESTROY_RWQ_IND_TBL, abi.ibUverbsExDestroyRwqIndTable, {
        compMask: 0,
        indTblHandle,
      }),
    method: destroyMethod('RWQ indirection table', 0, 0),
    ethernetOnly: true,
    responds: false,
  },
  WQ: {
    command: (wqHandle) =>
      extended(
        Ex.IB_USER_VERBS_EX_CMD_DESTROY_WQ,
        abi.ibUverbsExDestroyWq,
        { compMask: 0, wqHandle },
        { response: abi.ibUverbsExDestroyWqResp },
      ),
    method: destroyMethod('WQ', 1, 4),
    ethernetOnly: true,
    responds: true,
  },
};

const destroy = action<{ any: boolean; kind: Kind; object: Ref }>(
  16,
  { any: mostly(true, false, false, false), kind: anyKind, object: ref },
  ({ world, file }, { any, object, ...named }) => {
    const thing = any ? file.things[object.n % Math.max(file.things.length, 1)] : undefined;
    const kind = thing?.kind ?? named.kind;
    const handle = thing?.handle ?? world.handle(file, kind, object);
    const { command, method, ethernetOnly, responds } = DESTROYERS[kind];
    return {
      text: `destroy ${kind} ${handle}`,
      command: command(handle),
      method: method(handle),
      ...(responds && { badResponse: 'done' as const }),
      foretell: (door) => {
        if (ethernetOnly) needEthernet(world, door);
        const found = file.findUnused(kind, handle);
        return () => file.remove(found);
      },
    };
  },
);

const infoHandles = action<{ kind: Kind }>(4, { kind: anyKind }, ({ world, file }, { kind }) => {
  const I = abi.uverbsAttrsInfoHandlesId;
  return {
    text: `INFO_HANDLES ${kind}`,
    method: ioctlMessage(0, abi.uverbsMethodsDevice.UVERBS_METHOD_INFO_HANDLES, [
      attr.const(I.UVERBS_ATTR_INFO_OBJECT_ID, KINDS[kind]),
      attr.out(I.UVERBS_ATTR_INFO_TOTAL_HANDLES, '@R', 4),
      attr.out(I.UVERBS_ATTR_INFO_HANDLES_LIST, '@R+8;', 480),
    ]),
    foretell: () => {
      refuseIf(!world.isEthernet && DESTROYERS[kind].ethernetOnly === true, 'ENOENT');
      return ({ response }) => {
        const things = world.model.removed ? [] : file.ofKind(kind).toReversed();
        const expected = things.map(({ handle }) => handle).slice(0, 120);
        const got = Array.from({ length: response.readUInt32LE(0) }, (_, i) =>
          response.readUInt32LE(8 + 4 * i),
        );
        expectEqual(world, `the handles of ${kind}`, `[${got}]`, `[${expected}]`);
      };
    },
  };
});

const ACTIONS: Action[] = [
  getContext,
  allocAsync,
  createChannel,
  allocPd,
  regMr,
  reregMr,
  allocMw,
  createCq,
  resizeCq,
  modifyCq,
  createSrq,
  modifySrq,
  openXrcd,
  createQp,
  openQp,
  modifyQp,
  queryQp,
  mcast,
  createFlow,
  createWq,
  modifyWq,
  createIndTable,
  createRssQp,
  destroy,
  infoHandles,
];

/** What nearly everything needs: mostly a context, a PD and two CQs. */
export const basicPlans: fc.Arbitrary<Plan[]> = fc.tuple(
  getContext.arbitrary,
  allocPd.arbitrary,
  createCq.arbitrary,
  createCq.arbitrary,
);

/** Any of them. */
export const anyPlan: fc.Arbitrary<Plan> = fc.oneof(...ACTIONS);
