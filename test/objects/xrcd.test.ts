/** XRC domains: private ones, and those that processes share through a file. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import * as abi from '../../src/abi/index.js';
import { eventually, startDaemon } from '../support/daemon.js';
import { outcome } from '../uverbs/support/door.js';
import { parse } from '../uverbs/support/messages.js';
import { xrcdDestroy } from './support/methods.js';
import {
  closeXrcd,
  createQp,
  createXsrq,
  destroyQp,
  destroySrq,
  O_CREAT,
  O_EXCL,
  openQp,
  openXrcd,
  queryQp,
} from './support/requests.js';
import { made, type Scene, Stage, xrcTarget } from './support/scene.js';
import { badHandles, DOORS, walkTable } from './support/table.js';
import { walkAttributes, walkMethodTable } from './support/walk-attributes.js';
import { walkFrame } from './support/walk-frame.js';

const daemon = await startDaemon(t);
const CLOSED = 900;

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'verbsim-xrcd-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

t.test('OPEN_XRCD', async (t) => {
  const stage = new Stage(t, daemon);
  for (const door of Object.values(DOORS)) {
    const scene = await stage.scene();
    const { response, overrun } = await door(scene, openXrcd(scene));
    t.equal(overrun, undefined);
    t.equal(parse(abi.ibUverbsOpenXrcdResp, response).xrcdHandle, scene.next);
    await stage.strike();
  }
  await walkTable(t, stage, openXrcd, [
    ['a private domain, whatever the flags', { oflags: O_EXCL }, 'ok'],
    ['a descriptor that is not open', { fd: CLOSED }, 'EBADF'],
    ['any other negative descriptor', { fd: 0xffff_fffe }, 'EBADF'],
    ['a file without a domain', ({ fd }) => ({ fd, oflags: 0 }), 'EAGAIN'],
    ['a file without a domain, with O_EXCL alone', ({ fd }) => ({ fd, oflags: O_EXCL }), 'EAGAIN'],
  ]);
  await walkFrame(t, stage, openXrcd);
});

t.test('CLOSE_XRCD', async (t) => {
  const stage = new Stage(t, daemon);
  const foreign = await stage.foreign();
  await walkTable(t, stage, closeXrcd, [
    ['an unused domain', {}, 'ok'],
    ...badHandles('xrcdHandle', ({ pd }) => pd, foreign.pd),
    ['a domain that objects use', ({ xrcd }) => ({ xrcdHandle: xrcd }), 'EBUSY'],
  ]);
  await walkFrame(t, stage, closeXrcd);
});

t.test('XRCD DESTROY', async (t) => {
  const stage = new Stage(t, daemon, { context: 'ioctl' });
  await walkAttributes(t, stage, xrcdDestroy);
  await walkMethodTable(t, stage, xrcdDestroy, [
    ['an unused domain', {}, 'ok'],
    ['a domain that objects use', ({ xrcd }) => ({ handle: xrcd }), 'EBUSY'],
  ]);
});

t.test('a domain is used by SRQs, targets and opened targets, each of which keeps it', async (t) => {
  const scene = await new Stage(t, daemon).scene();
  const send = (command: Parameters<typeof DOORS.write>[1]) => DOORS.write(scene, command);
  const xrcdHandle = scene.spare.xrcd;
  const close = async () => outcome(await send(closeXrcd(scene, { xrcdHandle })));
  const target = await send(createQp(scene, { ...xrcTarget(scene), pdHandle: xrcdHandle }));
  const { qpHandle, qpn } = parse(abi.ibUverbsCreateQpResp, target.response);
  const opened = await made(scene, openQp(scene, { pdHandle: xrcdHandle, qpn }));
  const srqHandle = await made(scene, createXsrq(scene, { xrcdHandle }));
  for (const destroy of [
    destroyQp(scene, { qpHandle }),
    destroySrq(scene, { srqHandle }),
    destroyQp(scene, { qpHandle: opened }),
  ]) {
    t.equal(await close(), 'EBUSY');
    t.type(outcome(await send(destroy)), 'number');
  }
  t.type(await close(), 'number');
});

interface Peer {
  scene: Scene;
  /** OPEN_XRCD through a file; its handle or errno. */
  openDomain: (path: string, oflags: number) => Promise<number | string>;
}

async function peer(t: Test): Promise<Peer> {
  const scene = await new Stage(t, daemon).scene();
  return {
    scene,
    async openDomain(path, oflags) {
      const file = await scene.door.open(path);
      const answer = await DOORS.write(scene, openXrcd(scene, { fd: file, oflags }));
      await scene.door.close(file);
      return answer.errno ?? parse(abi.ibUverbsOpenXrcdResp, answer.response).xrcdHandle;
    },
  };
}

t.test('two processes share a domain through a file', async (t) => {
  const directory = folder(t);
  const path = join(directory, 'domain');
  const link = join(directory, 'link');
  const other = join(directory, 'other');
  writeFileSync(path, '');
  writeFileSync(other, '');
  symlinkSync(path, link);
  const [a, b] = [await peer(t), await peer(t)];

  t.equal(await a.openDomain(path, 0), 'EAGAIN', 'nobody has made it');
  const first = (await a.openDomain(path, O_CREAT | O_EXCL)) as number;
  t.equal(first, a.scene.next);
  t.equal(await a.openDomain(path, O_CREAT | O_EXCL), 'EINVAL', 'it is there');
  t.equal(await b.openDomain(path, O_EXCL), 'EINVAL', 'for everybody');
  t.equal(await b.openDomain(other, 0), 'EAGAIN', 'but not behind another file');
  const second = (await b.openDomain(link, 0)) as number;
  t.type(second, 'number', 'the file counts, not its name');

  const made = await DOORS.write(a.scene, createQp(a.scene, { ...xrcTarget(a.scene), pdHandle: first }));
  const { qpHandle, qpn } = parse(abi.ibUverbsCreateQpResp, made.response);
  const open = (xrcd: number) => DOORS.write(b.scene, openQp(b.scene, { pdHandle: xrcd, qpn }));
  t.equal(outcome(await open(b.scene.xrcd)), 'EINVAL', 'the target is in the shared domain only');
  const opened = parse(abi.ibUverbsCreateQpResp, (await open(second)).response);
  t.equal(opened.qpn, qpn, 'a second handle on the same QP');
  const srq = await DOORS.write(b.scene, createXsrq(b.scene, { xrcdHandle: second }));
  t.type(outcome(srq), 'number', 'an SRQ of the other process in the same domain');

  const closeBy = async ({ scene }: Peer, xrcdHandle: number) =>
    outcome(await DOORS.write(scene, closeXrcd(scene, { xrcdHandle })));
  t.equal(await closeBy(a, first), 'EBUSY', "A's target");
  t.type(outcome(await DOORS.write(a.scene, destroyQp(a.scene, { qpHandle }))), 'number');
  t.type(await closeBy(a, first), 'number', "B's objects do not keep A's handle");
  const ask = await DOORS.write(b.scene, queryQp(b.scene, { qpHandle: opened.qpHandle }));
  t.type(outcome(ask), 'number', 'the target lives on with B');
  t.equal(await closeBy(b, second), 'EBUSY', "B's handles do");
  t.type(await a.openDomain(path, 0), 'number', 'as does the domain');
});

t.test('the domain of a file ends with its last handle, also of a process that is killed', async (t) => {
  const path = join(folder(t), 'domain');
  writeFileSync(path, '');
  const [a, b] = [await peer(t), await peer(t)];
  t.type(await a.openDomain(path, O_CREAT), 'number');
  t.type(await b.openDomain(path, O_CREAT), 'number', 'O_CREAT alone takes what is there');
  await a.scene.door.kill();
  t.type(await b.openDomain(path, 0), 'number', 'the other handle keeps it');
  await b.scene.door.kill();
  const c = await peer(t);
  await eventually('there is no domain', async () => (await c.openDomain(path, O_EXCL)) === 'EAGAIN');
});
