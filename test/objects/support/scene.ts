/** A client with one object of every kind, from which table-driven tests send one message each. */
import { join } from 'node:path';
import type { Test } from 'tap';
import * as abi from '../../../src/abi/index.js';
import type { Daemon } from '../../support/daemon.js';
import { type Context, handleIn, make, opens } from '../../uverbs/support/context.js';
import { outcome, succeeded, UverbsDoor } from '../../uverbs/support/door.js';
import { type Command, parse, u64 } from '../../uverbs/support/messages.js';
import * as requests from './requests.js';

export interface Scene {
  readonly door: UverbsDoor;
  readonly fd: number;
  readonly asyncFd: number;
  /** A completion channel. */
  readonly channel: number;
  /** Handles. Those of `spare` are used by nothing. */
  readonly pd: number;
  readonly cq: number;
  readonly mr: number;
  readonly mw: number;
  readonly srq: number;
  /** RC, in RESET. */
  readonly qp: number;
  /** UD, in RESET. */
  readonly ud: number;
  readonly xrcd: number;
  readonly xsrq: number;
  /** XRC target. */
  readonly target: number;
  readonly targetQpn: number;
  readonly spare: { pd: number; cq: number; xrcd: number; wq: number };
  /** Only on a device with Ethernet ports, else -1: */
  readonly raw: number;
  readonly flow: number;
  readonly wq: number;
  readonly table: number;
  /** The handle that the next object gets. */
  readonly next: number;
  /** A handle that only another file of the same process has, of any type that fits. */
  readonly foreign: number;
  /** Event files of that other file. */
  readonly foreignAsyncFd: number;
  readonly foreignChannel: number;
  /** Addresses: memory that may be registered, a read-only page, and where nothing is mapped. */
  readonly memory: bigint;
  readonly readOnly: bigint;
  readonly unmapped: bigint;
}

/** Part of the scratch buffer that nothing else uses; 256 KiB. */
const MEMORY = '@B+262144;';

/** How many handles the other file has; more than any scene. */
const FOREIGN_HANDLES = 40;

async function makeAll(door: UverbsDoor, { fd, asyncFd }: Context, ethernet: boolean): Promise<Scene> {
  const scene: Record<string, unknown> = {
    ...{ door, fd, asyncFd, raw: -1, flow: -1, wq: -1, table: -1, spare: { wq: -1 } },
    memory: await door.address(MEMORY),
    readOnly: await door.address('@O'),
    unmapped: await door.address('@U'),
  };
  const known = scene as unknown as Scene & { -readonly [K in keyof Scene]: Scene[K] };
  const made = (build: requests.AnyBuild): Promise<number> => make(door, fd, build(known));
  known.channel = await make(door, fd, requests.createCompChannel(known));
  known.pd = await made(requests.allocPd);
  known.spare.pd = await made(requests.allocPd);
  known.cq = await made(requests.createCq);
  known.spare.cq = await made(requests.createCq);
  known.mr = await made(requests.regMr);
  known.mw = await made(requests.allocMw);
  known.srq = await made(requests.createSrq);
  known.qp = await made(requests.createQp);
  known.ud = await made((s) => requests.createQp(s, { qpType: requests.QpType.UD }));
  known.xrcd = await made(requests.openXrcd);
  known.spare.xrcd = await made(requests.openXrcd);
  known.xsrq = await made(requests.createXsrq);
  const target = succeeded('XRC target', await door.command(fd, requests.createQp(known, xrcTarget(known))));
  known.target = handleIn(target);
  known.targetQpn = parse(abi.ibUverbsCreateQpResp, target.response).qpn;
  known.next = 13;
  if (!ethernet) return known;
  known.wq = await made(wq);
  known.spare.wq = await made(wq);
  known.table = handleOfTable(await door.command(fd, requests.createTable(known)));
  known.raw = await made((s) => requests.createQp(s, { qpType: requests.QpType.RAW_PACKET }));
  known.flow = handleOfFlow(await door.command(fd, requests.createFlow(known)));
  known.next = 18;
  return known;

  async function wq(): Promise<number> {
    return -1;
  }
}

export const xrcTarget = ({ xrcd }: Scene) => ({
  qpType: requests.QpType.XRC_TGT,
  pdHandle: xrcd,
  maxRecvWr: 0,
  maxRecvSge: 0,
  driverIn: '',
});
