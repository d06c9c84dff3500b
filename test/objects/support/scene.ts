/** A client with one object of every kind, which the rows of a table start from. */
import { join } from 'node:path';
import type { Test } from 'tap';
import * as abi from '../../../src/abi/index.js';
import type { Daemon } from '../../support/daemon.js';
import { type Context, opens } from '../../uverbs/support/context.js';
import { type Answer, outcome, succeeded, UverbsDoor } from '../../uverbs/support/door.js';
import { type Command, parse } from '../../uverbs/support/messages.js';
import * as requests from './requests.js';

export interface Scene {
  readonly door: UverbsDoor;
  readonly fd: number;
  readonly asyncFd: number;
  /** A completion channel. */
  readonly channel: number;
  /** Handles; those of `spare` are used by nothing. */
  readonly pd: number;
  readonly cq: number;
  readonly recvCq: number;
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
  /** From here on, only on a device with Ethernet ports: else -1. */
  readonly raw: number;
  readonly flow: number;
  readonly wq: number;
  readonly table: number;
  readonly spare: { readonly pd: number; readonly cq: number; readonly xrcd: number; readonly wq: number };
  /** The handle that the next object gets. */
  readonly next: number;
  /** Addresses: memory that nothing else uses, a page that is read-only, and where nothing is mapped. */
  readonly memory: bigint;
  readonly readOnly: bigint;
  readonly unmapped: bigint;
}

/** Another open file of the same process. */
export interface Foreign {
  readonly fd: number;
  readonly asyncFd: number;
  readonly channel: number;
  /** A PD's handle that is higher than any in a scene. */
  readonly pd: number;
}

/** 256 KiB of the scratch buffer. */
const MEMORY = '@B+262144;';
const FOREIGN_HANDLES = 40;

/** Where the handle is in the responses that do not begin with it. */
const HANDLE_OFFSETS = new Map<number, number>([
  [abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_CREATE_WQ, 8],
  [abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_CREATE_RWQ_IND_TBL, 8],
  [abi.ibUserVerbsExCmd.IB_USER_VERBS_EX_CMD_CREATE_FLOW, 4],
]);

/** The handle, or descriptor, in the answer to a command that makes something. */
export function handleOf(command: Command, { response = '' }: Answer): number {
  const at = command.extended ? (HANDLE_OFFSETS.get(command.number) ?? 0) : 0;
  return Buffer.from(response, 'hex').readInt32LE(at);
}

/** Makes what must be made. */
export async function made(scene: Scene, command: Command): Promise<number> {
  const answer = succeeded(`command ${command.number}`, await scene.door.command(scene.fd, command));
  return handleOf(command, answer);
}

/** What makes a CREATE_QP one of an XRC target. */
export const xrcTarget = ({ xrcd }: Scene) => ({
  qpType: requests.QpType.XRC_TGT,
  pdHandle: xrcd,
  maxRecvWr: 0,
  maxRecvSge: 0,
  driverIn: '',
});

type Draft = { -readonly [K in keyof Scene]: Scene[K] };

async function setUp(door: UverbsDoor, { fd, asyncFd }: Context, ethernet: boolean): Promise<Scene> {
  const scene: Draft = {
    ...{
      door,
      fd,
      asyncFd,
      channel: -1,
      pd: -1,
      cq: -1,
      recvCq: -1,
      mr: -1,
      mw: -1,
      srq: -1,
      qp: -1,
      ud: -1,
    },
    ...{ xrcd: -1, xsrq: -1, target: -1, targetQpn: -1, raw: -1, flow: -1, wq: -1, table: -1 },
    spare: { pd: -1, cq: -1, xrcd: -1, wq: -1 },
    next: -1,
    memory: await door.address(MEMORY),
    readOnly: await door.address('@O'),
    unmapped: await door.address('@U'),
  };
  scene.channel = await made(scene, requests.createCompChannel(scene));
  scene.pd = await made(scene, requests.allocPd(scene));
  scene.cq = await made(scene, requests.createCq(scene));
  scene.recvCq = await made(scene, requests.createCq(scene));
  scene.spare = {
    pd: await made(scene, requests.allocPd(scene)),
    cq: await made(scene, requests.createCq(scene)),
    xrcd: await made(scene, requests.openXrcd(scene)),
    wq: ethernet ? await made(scene, requests.createWq(scene)) : -1,
  };
  scene.mr = await made(scene, requests.regMr(scene));
  scene.mw = await made(scene, requests.allocMw(scene));
  scene.srq = await made(scene, requests.createSrq(scene));
  scene.qp = await made(scene, requests.createQp(scene));
  scene.ud = await made(scene, requests.createQp(scene, { qpType: requests.QpType.UD }));
  scene.xrcd = await made(scene, requests.openXrcd(scene));
  scene.xsrq = await made(scene, requests.createXsrq(scene));
  const target = await door.command(fd, requests.createQp(scene, xrcTarget(scene)));
  const { qpHandle, qpn } = parse(abi.ibUverbsCreateQpResp, succeeded('XRC target', target).response);
  scene.target = qpHandle;
  scene.targetQpn = qpn;
  scene.next = qpHandle + 1;
  if (!ethernet) return scene;
  scene.wq = await made(scene, requests.createWq(scene));
  scene.table = await made(scene, requests.createTable(scene));
  scene.raw = await made(scene, requests.createQp(scene, { qpType: requests.QpType.RAW_PACKET }));
  scene.flow = await made(scene, requests.createFlow(scene));
  scene.next = scene.flow + 1;
  return scene;
}

interface StageOptions {
  /** Number of the device; its ports are Ethernet. */
  device?: number;
  ethernet?: boolean;
  /** The door that the context is made through. */
  context?: keyof typeof opens;
  /** What else is to happen in each new scene. */
  prepare?: (scene: Scene) => Promise<unknown>;
}

/** Gives out scenes of one client: the same one as long as nothing was changed in it. */
export class Stage {
  readonly door: UverbsDoor;
  readonly path: string;
  readonly #options: StageOptions;
  #scene: Scene | undefined;
  #foreign: Foreign | undefined;

  constructor(t: Test, { mountpoint }: Daemon, options: StageOptions = {}) {
    this.door = UverbsDoor.start(t);
    this.path = join(mountpoint, 'dev', 'infiniband', `uverbs${options.device ?? 0}`);
    this.#options = options;
  }

  async scene(): Promise<Scene> {
    if (this.#scene !== undefined) return this.#scene;
    const context = await opens[this.#options.context ?? 'write'](this.door, this.path);
    const scene = await setUp(this.door, context, this.#options.ethernet ?? false);
    await this.#options.prepare?.(scene);
    this.#scene = scene;
    return scene;
  }

  async foreign(): Promise<Foreign> {
    if (this.#foreign !== undefined) return this.#foreign;
    const { fd, asyncFd } = await opens.write(this.door, this.path);
    const make = async (command: Command) => handleOf(command, await this.door.command(fd, command));
    const scene = await this.scene();
    const channel = await make(requests.createCompChannel(scene));
    let pd = -1;
    for (let i = 0; i < FOREIGN_HANDLES; i++) pd = await make(requests.allocPd(scene));
    this.#foreign = { fd, asyncFd, channel, pd };
    return this.#foreign;
  }

  /** The scene was changed: the next one is new. */
  async strike(): Promise<void> {
    const scene = this.#scene;
    this.#scene = undefined;
    if (scene === undefined) return;
    for (const fd of [scene.fd, scene.asyncFd, scene.channel]) await this.door.close(fd);
  }

  /** Whether the next handle is that of an untouched scene: nothing was made, and no number kept. */
  async isUntouched(): Promise<boolean> {
    const scene = await this.scene();
    const pd = handleOf(requests.allocPd(scene), await this.door.command(scene.fd, requests.allocPd(scene)));
    const freed = await this.door.command(scene.fd, requests.deallocPd(scene, { pdHandle: pd }));
    return pd === scene.next && typeof outcome(freed) === 'number';
  }
}
