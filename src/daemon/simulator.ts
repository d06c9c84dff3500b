/**
 * The simulated machine: one file system, one subnet, and the configured adapters in their slots. Everything is
 * wired together here; what a part does stands in its own folder.
 */
import { Directory, type Log, Session } from '../../devfs/index.js';
import type { DeviceStatus, PortStatus, ResourceStatus, UnplugReport } from '../admin/protocol.js';
import { Refusal } from '../admin/refusal.js';
import type { Config, DeviceConfig } from '../config/config.js';
import { IbCore } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import { Subnet } from '../fabric/subnet.js';
import { createMlx4Device } from '../mlx4/device.js';
import {
  gidText,
  guidText,
  linkLayerText,
  physStateText,
  portStateText,
  rateText,
} from '../sysfs/formats.js';
import { Sysfs, SysfsClient } from '../sysfs/index.js';
import { UverbsClient } from '../uverbs/index.js';
import { profiles } from '../uverbs/profile.js';

export interface SimulatorOptions {
  /** An existing empty directory. */
  mountpoint: string;
  /** Directories in which clients find the device nodes. */
  clientDirectories: string[];
  config: Config;
  log: Log;
  /** Somebody unmounted the file system. */
  onLost(): void;
}

/** A configured device; `plugged` while it is in. */
interface Slot {
  readonly config: DeviceConfig;
  plugged: { device: IbDevice; detach: () => void } | undefined;
}

const EMPTY_GID = new Uint8Array(16);

export class Simulator {
  readonly #session: Session;
  readonly #subnet = new Subnet();
  readonly #core: IbCore;
  readonly #uverbs: UverbsClient;
  readonly #slots: ReadonlyMap<string, Slot>;

  private constructor({ mountpoint, clientDirectories, config, log, onLost }: SimulatorOptions) {
    const root = new Directory();
    const sysfs = new Sysfs(root.directory('sys'));
    this.#session = Session.mount({ mountpoint, root, fsname: 'verbsim', clientDirectories, log, onLost });
    const forgotten = (): Promise<void> => this.#session.forgotten();
    this.#uverbs = new UverbsClient(root.path('dev/infiniband'), sysfs, forgotten, ({ name }) => {
      return profiles[this.#slot(name).config.kernelProfile];
    });
    this.#core = new IbCore([new SysfsClient(sysfs, forgotten), this.#uverbs]);
    this.#slots = new Map(
      config.devices.map((device): [string, Slot] => [device.name, { config: device, plugged: undefined }]),
    );
  }

  /** Mounts and plugs every configured device. Throws an Error whose message says what to do. */
  static async start(options: SimulatorOptions): Promise<Simulator> {
    const simulator = new Simulator(options);
    try {
      for (const name of simulator.#slots.keys()) await simulator.plug(name);
    } catch (error) {
      simulator.close();
      throw error;
    }
    return simulator;
  }

  devices(): DeviceStatus[] {
    return [...this.#slots.values()].map((slot) => this.#describe(slot));
  }

  /** Every object on every device. */
  resources(): ResourceStatus[] {
    return [...this.#slots.values()].flatMap(({ config: { name }, plugged }) => {
      const uverbs = plugged && this.#uverbs.device(plugged.device);
      return uverbs?.resources().map((resource) => ({ device: name, ...resource })) ?? [];
    });
  }

  status(): { openFiles: number } {
    return { openFiles: this.#session.openHandles };
  }

  async plug(name: string): Promise<void> {
    const slot = this.#slot(name);
    if (slot.plugged !== undefined) throw new Refusal(`${name} is plugged in already`);
    const { config } = slot;
    const plugged = createMlx4Device(
      {
        name,
        nodeGuid: config.nodeGuid,
        firmware: config.firmware,
        boardId: config.boardId,
        pciAddress: config.pci,
        ports: config.ports,
        linkLayer: config.linkLayer,
        limits: config.limits,
        withoutDisassociate: config.driverWithoutDisassociate,
      },
      this.#subnet,
    );
    slot.plugged = plugged;
    try {
      await this.#core.registerDevice(plugged.device);
    } catch (error) {
      slot.plugged = undefined;
      plugged.detach();
      throw error;
    }
  }

  async unplug(name: string): Promise<UnplugReport> {
    const slot = this.#slot(name);
    if (slot.plugged === undefined) {
      throw new Refusal(`${name} is not plugged in; "verbsim plug ${name}" plugs it`);
    }
    if (!slot.plugged.device.registered) {
      throw new Refusal(
        `${name} is being unplugged: that waits until its users, shown by "verbsim dev show", close it`,
      );
    }
    const { device, detach } = slot.plugged;
    const start = performance.now();
    const { contexts } = await this.#core.unregisterDevice(device);
    detach();
    slot.plugged = undefined;
    return { device: name, contexts, milliseconds: performance.now() - start };
  }

  /** Unmounts; clients get ENOTCONN. */
  close(): void {
    this.#session.close();
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) {
      throw new Refusal(`there is no device ${name}; configured are ${[...this.#slots.keys()].join(', ')}`);
    }
    return slot;
  }

  #describe({ config, plugged }: Slot): DeviceStatus {
    const device = plugged?.device;
    const uverbs = device && this.#uverbs.device(device);
    return {
      name: config.name,
      plugged: plugged !== undefined,
      pci: config.pci,
      nodeGuid: guidText(config.nodeGuid),
      firmware: config.firmware,
      ...(uverbs !== undefined && device?.registered === true && { uverbs: uverbs.name }),
      contexts: uverbs?.contexts() ?? [],
      ports: device?.ports.map((port) => describePort(device, port)) ?? [],
    };
  }
}

function describePort({ ops }: IbDevice, port: number): PortStatus {
  const attributes = ops.queryPort(port);
  return {
    port,
    state: nameOf(portStateText(attributes.state)),
    physState: nameOf(physStateText(attributes.physState)),
    lid: attributes.lid,
    gid: gidText(ops.queryGid(port, 0)?.gid ?? EMPTY_GID),
    linkLayer: linkLayerText(attributes.linkLayer),
    rate: rateText(attributes.activeWidth, attributes.activeSpeed),
  };
}

/** Of sysfs's "4: ACTIVE". */
function nameOf(state: string): string {
  return state.replace(/^\d+: /, '');
}
