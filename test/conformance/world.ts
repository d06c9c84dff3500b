/** A device of its own for one cell of the table, the clients that have it open, and its removal. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { AdminClient } from '../../src/admin/client.js';
import type { DeviceStatus, UnplugReport } from '../../src/admin/protocol.js';
import { type Scene, Stage } from '../objects/support/scene.js';
import { type Daemon, eventually, startDaemon } from '../support/daemon.js';
import { operate } from '../support/operator.js';
import { type Context, openByWrite } from '../uverbs/support/context.js';
import { UverbsDoor } from '../uverbs/support/door.js';
import type { Combination } from './table.js';

export const DEVICE = 'mlx4_0';
const NODE = 'uverbs0';

export type Removal = 'device.unplug' | 'device.fatal' | 'device.reset';

export interface Simulator {
  readonly daemon: Daemon;
  readonly operator: AdminClient;
  /** A connection answers one request after another, and a removal may wait. */
  readonly remover: AdminClient;
}

/** Without any device. */
export async function startSimulator(t: Test): Promise<Simulator> {
  const daemon = await startDaemon(t, { config: 'device = []\n' });
  return { daemon, operator: await operate(t, daemon), remover: await operate(t, daemon) };
}

interface DeviceOptions {
  link_layer?: 'infiniband' | 'ethernet';
  ports?: 1 | 2;
}

export class World {
  readonly daemon: Daemon;
  readonly operator: AdminClient;
  readonly combination: Combination;
  readonly #remover: AdminClient;
  readonly #test: Test;
  #removal: Promise<UnplugReport> | undefined;
  #isRemoved = false;

  constructor(t: Test, { daemon, operator, remover }: Simulator, combination: Combination) {
    this.#test = t;
    this.daemon = daemon;
    this.operator = operator;
    this.#remover = remover;
    this.combination = combination;
  }

  get node(): string {
    return join(this.daemon.mountpoint, 'dev', 'infiniband', NODE);
  }

  /** A path below the simulator's /sys/class. */
  class(...path: string[]): string {
    return join(this.daemon.mountpoint, 'sys', 'class', ...path);
  }

  /** Plugs the device in. It is unplugged and forgotten when the test ends, after its clients have ended. */
  async plugIn(options: DeviceOptions = {}): Promise<void> {
    const { kernel, disassociates } = this.combination;
    this.#test.teardown(async () => {
      await this.#removal?.catch(() => undefined);
      await this.operator.call('device.delete', { device: DEVICE });
    });
    await this.operator.call('device.add', {
      name: DEVICE,
      kernel_profile: kernel,
      driver_without_disassociate: !disassociates,
      ...options,
    });
  }

  /** A client that has nothing open. */
  door(): UverbsDoor {
    return UverbsDoor.start(this.#test);
  }

  /** Plugs the device in and opens it: a client with a context and an object of every kind. */
  async client(options: DeviceOptions = {}): Promise<Scene> {
    await this.plugIn(options);
    return this.open(options);
  }

  /** The same for a device that is there. */
  open({ link_layer }: DeviceOptions = {}): Promise<Scene> {
    return new Stage(this.#test, this.daemon, { ethernet: link_layer === 'ethernet' }).scene();
  }

  /** Plugs the device in and opens it: a client with a context. */
  async bareClient(): Promise<Context & { door: UverbsDoor }> {
    await this.plugIn();
    const door = this.door();
    return { door, ...(await openByWrite(door, this.node)) };
  }

  /**
   * Removes the device. Without disassociate_ucontext that goes on for as long as the device is open; this returns when
   * the node is gone.
   */
  async remove(): Promise<void> {
    const removal = this.begin('device.unplug');
    if (this.combination.disassociates) await removal;
    else await eventually('the node is gone', () => !existsSync(this.node));
  }

  /** Begins what removes the device; `ended` waits for it. */
  begin(method: Removal, realisticTiming?: true): Promise<unknown> {
    const params = { device: DEVICE, ...(realisticTiming && { realisticTiming }) };
    this.#isRemoved = false;
    this.#removal = this.#remover.call(method, params);
    const noted = this.#removal.then(() => (this.#isRemoved = true));
    noted.catch(() => undefined);
    return noted;
  }

  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  /** The operator's report, when the removal has ended. */
  ended(): Promise<UnplugReport> {
    if (this.#removal === undefined) throw new Error('no removal was begun');
    return this.#removal;
  }

  plug(): Promise<null> {
    return this.operator.call('device.plug', { device: DEVICE });
  }

  /** The device as an operator sees it. */
  async status(): Promise<DeviceStatus | undefined> {
    const devices = await this.operator.call('device.list', {});
    return devices.find(({ name }) => name === DEVICE);
  }
}
