/** Memory regions. */
import t, { type Test } from 'tap';
import * as abi from '../../src/abi/index.js';
import { clientProgram } from '../support/client-programs.js';
import { startDaemon } from '../support/daemon.js';
import { make, openByIoctl } from '../uverbs/support/context.js';
import { outcome, succeeded, UverbsDoor } from '../uverbs/support/door.js';
import { parse } from '../uverbs/support/messages.js';
import { callMethod, outputOf, u32Of } from './support/attributes.js';
import { mrAdvise, mrDestroy, mrDmabuf, mrQuery } from './support/methods.js';
import { allocPd, deregMr, regMr, reregMr } from './support/requests.js';
import { type Scene, Stage } from './support/scene.js';
import { badHandles, DOORS, type DoorName, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);

const LOCAL_WRITE = 1;
const REMOTE_WRITE = 2;
const REMOTE_READ = 4;
const REMOTE_ATOMIC = 8;
const MW_BIND = 16;
const ZERO_BASED = 32;
const ON_DEMAND = 64;
const HUGETLB = 128;
const FLUSH_GLOBAL = 256;
const FLUSH_PERSISTENT = 512;
const OPTIONAL_RANGE = 0x3ff0_0000;

const PAGE = 4096n;
const TRANS = 1;
const PD = 2;
const ACCESS = 4;

/** A range of memory, as both commands name it. */
const at = (start: bigint, length = PAGE) => ({ start, hcaVa: start, length });

t.test('REG_MR', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, regMr(scene));
    t.equal(overrun, undefined);
    const { mrHandle, lkey, rkey } = parse(abi.ibUverbsRegMrResp, response);
    t.equal(mrHandle, scene.next);
    t.equal(lkey, rkey, 'one key for both');
    t.equal(lkey & 0xff, 0, 'its low byte is that of a region');
    t.not(lkey, 0x100, 'it is not the invalid key');
    await stage.strike();
  }
  const all = REMOTE_READ | REMOTE_WRITE | REMOTE_ATOMIC | LOCAL_WRITE | MW_BIND;
  await walkTable(t, stage, regMr, [
    ['all rights', { accessFlags: all }, 'ok'],
    ['no right', { accessFlags: 0 }, 'ok'],
    ['a zero-based region', { accessFlags: ZERO_BASED }, 'ok'],
    ['a hint at huge pages', { accessFlags: HUGETLB }, 'ok'],
    ['any optional right', { accessFlags: OPTIONAL_RANGE }, 'ok'],
    ['part of a page', ({ memory }) => at(memory + 7n, 5n), 'ok'],
    ['no bytes in the middle of a page', ({ memory }) => at(memory + 7n, 0n), 'ok'],
    ['another address', ({ memory }) => ({ start: memory, hcaVa: 0x7000n }), 'ok'],
    ['read-only memory to be read', ({ readOnly }) => ({ ...at(readOnly), accessFlags: REMOTE_READ }), 'ok'],

    ['addresses that differ within their page', ({ memory }) => ({ hcaVa: memory + 1n }), 'EINVAL'],
    ['remote writes alone', { accessFlags: REMOTE_WRITE }, 'EINVAL'],
    ['remote atomics alone', { accessFlags: REMOTE_ATOMIC }, 'EINVAL'],
    ['an unknown right', { accessFlags: 1 << 10 }, 'EINVAL'],
    ['an unknown right above the optional ones', { accessFlags: 1 << 30 }, 'EINVAL'],
    ['on-demand paging', { accessFlags: ON_DEMAND }, 'EOPNOTSUPP'],
    ['global flush', { accessFlags: FLUSH_GLOBAL }, 'EOPNOTSUPP'],
    ['persistent flush', { accessFlags: FLUSH_PERSISTENT }, 'EOPNOTSUPP'],
    ['an unknown right and on-demand paging', { accessFlags: (1 << 10) | ON_DEMAND }, 'EINVAL'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ['no bytes at the start of a page', { length: 0n }, 'EINVAL'],
    ['more than the address space', { length: 0xffff_ffff_ffff_ffffn }, 'EINVAL'],
    ['the end of the address space', at(0xffff_ffff_ffff_f000n), 'EINVAL'],
    ['memory that is not mapped', ({ unmapped }) => at(unmapped), 'EFAULT'],
    ['memory of the kernel', at(0xffff_8000_0000_0000n), 'EFAULT'],
    ['read-only memory to be written', ({ readOnly }) => at(readOnly), 'EFAULT'],
    ['read-only memory and what lies behind it', ({ unmapped }) => at(unmapped - PAGE, 2n * PAGE), 'EFAULT'],
  ]);
  await walkFrame(t, stage, regMr);
});

t.test('REREG_MR', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const before = await callMethod(mrQuery, scene);
    const lkey = u32Of(mrQuery, scene, before, 'lkey');
    const change = { ...at(scene.memory + PAGE, 3n * PAGE), hcaVa: 0x5000n, pdHandle: scene.spare.pd };
    const { response, overrun } = await door(scene, reregMr(scene, change));
    t.equal(overrun, undefined);
    t.same(parse(abi.ibUverbsReregMrResp, response), { lkey, rkey: lkey }, 'the keys stay');
    const after = await callMethod(mrQuery, scene);
    t.equal(outputOf(mrQuery, scene, after, 'length'), '0030000000000000');
    t.equal(outputOf(mrQuery, scene, after, 'iova'), '0050000000000000');
    t.ok(await stage.isUntouched(), 'the handle for the time of the call is free again');
    await stage.strike();
  }
  await walkTable(t, stage, reregMr, [
    ['the address', { flags: TRANS }, 'ok'],
    ['the PD', { flags: PD }, 'ok'],
    ['the rights', { flags: ACCESS }, 'ok'],
    ['the rights, whatever the addresses say', { flags: ACCESS, start: 1n, hcaVa: 0n }, 'ok'],
    ['the address, whatever the rights say', { flags: TRANS, accessFlags: REMOTE_WRITE }, 'ok'],
    ['the address, whatever the PD says', { flags: TRANS, pdHandle: 9999 }, 'ok'],

    ['nothing', { flags: 0 }, 'EINVAL'],
    ['an unknown flag', { flags: 8 | TRANS }, 'EOPNOTSUPP'],
    ['addresses that differ within their page', ({ memory }) => ({ hcaVa: memory + 1n }), 'EINVAL'],
    ...badHandles('mrHandle', ({ pd }) => pd, foreign.pd),
    ['remote writes alone', { accessFlags: REMOTE_WRITE }, 'EINVAL'],
    ['on-demand paging', { accessFlags: ON_DEMAND }, 'EOPNOTSUPP'],
    ...badHandles('pdHandle', ({ cq }) => cq, foreign.pd),
    ['no bytes', { length: 0n }, 'EINVAL'],
    ['memory that is not mapped', ({ unmapped }) => at(unmapped), 'EFAULT'],
    ['read-only memory', ({ readOnly }) => at(readOnly), 'EFAULT'],
  ]);
  await walkFrame(t, stage, reregMr, { staysDone: true });
});

t.test('rights over memory that was pinned read-only', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const readOnly = regMr(scene, { ...at(scene.readOnly), accessFlags: REMOTE_READ });
    const mrHandle = await make(scene.door, scene.fd, readOnly);
    const rereg = async (flags: number, start: bigint, accessFlags: number) =>
      outcome(await door(scene, reregMr(scene, { mrHandle, flags, ...at(start), accessFlags })));
    t.equal(await rereg(ACCESS, scene.readOnly, LOCAL_WRITE), 'EACCES');
    t.equal(await rereg(ACCESS | TRANS, scene.memory, LOCAL_WRITE), 'EPERM');
    t.type(await rereg(ACCESS, scene.readOnly, 0), 'number');
    t.type(await rereg(TRANS, scene.memory, 0), 'number', 'memory that may be written');
    t.type(await rereg(ACCESS, scene.memory, LOCAL_WRITE), 'number', 'is pinned for it');
    await stage.strike();
  }
});

t.test('DEREG_MR', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, deregMr, [
    ['a region', {}, 'ok'],
    ...badHandles('mrHandle', ({ pd }) => pd, foreign.pd),
  ]);
  await walkFrame(t, stage, deregMr);
});

t.test('the methods', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  for (const method of [mrDestroy, mrQuery, mrAdvise, mrDmabuf]) {
    await walkAttributes(t, stage, method);
    await walkMethodTable(t, stage, method, [['a good call', {}, method.result ?? 'ok']]);
  }
});

t.test('QUERY_MR', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  const scene = await stage.scene();
  const { mrHandle, lkey, rkey } = parse(
    abi.ibUverbsRegMrResp,
    (await DOORS.INVOKE_WRITE(scene, regMr(scene, { length: 12345n, hcaVa: 0x1_2345_6000n }))).response,
  );
  const answer = await callMethod(mrQuery, scene, { handle: mrHandle });
  t.equal(u32Of(mrQuery, scene, answer, 'lkey'), lkey);
  t.equal(u32Of(mrQuery, scene, answer, 'rkey'), rkey);
  t.equal(outputOf(mrQuery, scene, answer, 'length'), '3930000000000000');
  t.equal(outputOf(mrQuery, scene, answer, 'iova'), '0060452301000000');
});

/** A client that may lock so many bytes and has no capability. */
async function limitedClient(t: Test, bytes: number): Promise<{ scene: Scene; door: UverbsDoor }> {
  const door = new UverbsDoor('prlimit', `--memlock=${bytes}`, clientProgram('door'));
  t.teardown(() => door.kill());
  const { fd } = await openByIoctl(door, new Stage(t, daemon).path);
  succeeded('setuid', await door.ask('setuid', 65534));
  const scene = { door, fd, pd: 0, memory: await door.address('@B+262144;') } as unknown as Scene;
  succeeded('ALLOC_PD', await door.invoke(fd, allocPd(scene)));
  return { scene, door };
}

t.test('RLIMIT_MEMLOCK', async (t) => {
  const register = async ({ scene, door }: { scene: Scene; door: UverbsDoor }, pages: number) =>
    outcome(await door.invoke(scene.fd, regMr(scene, { length: BigInt(pages) * PAGE })));

  const some = await limitedClient(t, 16 * 4096);
  t.equal(await register(some, 17), 'ENOMEM');
  t.equal(await register(some, 10), 0);
  t.equal(await register(some, 7), 'ENOMEM', 'all regions together');
  t.equal(await register(some, 6), 0);
  const none = await limitedClient(t, 0);
  t.equal(await register(none, 1), 'EPERM');
});

t.test('two regions never share a key, and a freed key does not come back at once', async (t) => {
  const stage = new Stage(t, daemon);
  const scene = await stage.scene();
  const doors = Object.keys(DOORS) as DoorName[];
  const keys: number[] = [];
  for (let i = 0; i < 20; i++) {
    const door = DOORS[doors[i % 2] as DoorName];
    const { response } = await door(scene, regMr(scene));
    const { mrHandle, lkey } = parse(abi.ibUverbsRegMrResp, response);
    keys.push(lkey);
    if (i % 3 === 0) await door(scene, deregMr(scene, { mrHandle }));
  }
  t.equal(new Set(keys).size, keys.length);
});
