/**
 * The simulated machine: one file system, one subnet, and the configured adapters in their slots. Everything is
 * wired together here; what a part does stands in its own folder.
 */
import { setTimeout } from 'node:timers/promises';
import { Directory, type Log, Session } from '../../devfs/index.js';
import type { DeviceStatus, PortStatus, ResourceStatus, UnplugReport } from '../admin/protocol.js';
import { Refusal } from '../admin/refusal.js';
import {
  additionalDevice,
  type Config,
  type DeviceConfig,
  type DeviceRequest,
  defaultConfig,
  type ModuleName,
} from '../config/config.js';
import { type IbClient, IbCore } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import { type DeviceEvent, EventType, eventName } from '../core/events.js';
import { Journal } from '../core/journal.js';
import { type FabricPort, Subnet } from '../fabric/subnet.js';
import { createMlx4Device, type Mlx4Device, type Mlx4Options } from '../mlx4/device.js';
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
  plugged: Mlx4Device | undefined;
}

const EMPTY_GID = new Uint8Array(16);

export class Simulator {
  readonly #session: Session;
  readonly #subnet = new Subnet();
  readonly #core: IbCore;
  readonly #sysfs: Sysfs;
  readonly #uverbs: UverbsClient;
  readonly #slots = new Map<string, Slot>();
  /** What happens, for whoever watches. */
  readonly journal = new Journal();

  private constructor({ mountpoint, clientDirectories, config, log, onLost }: SimulatorOptions) {
    const root = new Directory();
    const sysfs = new Sysfs(root.directory('sys'));
    this.#sysfs = sysfs;
    // A command that is started before the first slot is made must see what will be in it.
    for (const { pci } of defaultConfig.devices) sysfs.addPciRoot(pci);
    this.#session = Session.mount({ mountpoint, root, fsname: 'verbsim', clientDirectories, log, onLost });
    const forgotten = (): Promise<void> => this.#session.forgotten();
    const profileOf = ({ name }: IbDevice) => profiles[this.#slot(name).config.kernelProfile];
    this.#uverbs = new UverbsClient(root.path('dev/infiniband'), sysfs, forgotten, profileOf, this.journal);
    const modules: Partial<Record<ModuleName, IbClient>> = { ib_uverbs: this.#uverbs };
    const loaded = config.moduleOrder.flatMap((name) => modules[name] ?? []);
    this.#core = new IbCore([new SysfsClient(sysfs, forgotten), ...loaded]);
  }

  /** Mounts and plugs every configured device. Throws an Error whose message says what to do. */
  static async start(options: SimulatorOptions): Promise<Simulator> {
    const simulator = new Simulator(options);
    try {
      for (const device of options.config.devices) simulator.#addSlot(device);
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

  /** Makes a slot for a device at run time and plugs it; returns its name. */
  async addDevice(given: DeviceRequest): Promise<string> {
    const others = [...this.#slots.values()].map((slot) => slot.config);
    const config = additionalDevice(given, others);
    if (this.#slots.has(config.name)) throw new Refusal(`there is a device ${config.name} already`);
    try {
      this.#addSlot(config);
      await this.plug(config.name);
    } catch (error) {
      this.#forget(config.name);
      throw error instanceof Error ? new Refusal(error.message, { cause: error }) : error;
    }
    return config.name;
  }

  #addSlot(config: DeviceConfig): void {
    this.#sysfs.addPciSlot(config.pci);
    this.#slots.set(config.name, { config, plugged: undefined });
    this.journal.record(() => ({ event: 'added', device: config.name }));
  }

  /** Unplugs a device, if it is in, and forgets it. */
  async deleteDevice(name: string): Promise<void> {
    const slot = this.#slot(name);
    if (slot.plugged !== undefined) await this.unplug(name);
    this.#forget(name);
  }

  /** Silent if there is no such device. */
  #forget(name: string): void {
    const slot = this.#slots.get(name);
    if (slot === undefined) return;
    this.#slots.delete(name);
    this.#sysfs.removePciSlot(slot.config.pci);
    this.journal.record(() => ({ event: 'deleted', device: name }));
  }

  async plug(name: string): Promise<void> {
    const slot = this.#slot(name);
    if (slot.plugged !== undefined) throw new Refusal(`${name} is plugged in already`);
    const plugged = createMlx4Device(mlx4Options(slot.config), this.#subnet);
    slot.plugged = plugged;
    try {
      await this.#core.registerDevice(plugged.device);
    } catch (error) {
      slot.plugged = undefined;
      plugged.detach();
      throw error;
    }
    this.journal.record(() => ({ event: 'plugged', device: name }));
  }

  /** Without `disassociateUcontext` this waits for the device's users, however long. */
  async unplug(name: string): Promise<UnplugReport> {
    const slot = this.#slot(name);
    const { device, detach } = this.#plugged(slot);
    const start = performance.now();
    this.journal.record(() => ({ event: 'being unplugged', device: name }));
    const { contexts } = await this.#core.unregisterDevice(device);
    detach();
    slot.plugged = undefined;
    const milliseconds = performance.now() - start;
    this.journal.record(() => ({ event: 'unplugged', device: name, details: { contexts: contexts.length } }));
    return { device: name, contexts, milliseconds };
  }

  /**
   * A fatal error: clients get DEVICE_FATAL from the driver, the firmware is dead; then the driver restarts the
   * adapter, which is a removal with its own DEVICE_FATAL, and plugs it again.
   */
  async fatal(name: string, delayMilliseconds: number): Promise<UnplugReport> {
    const { device, fail } = this.#plugged(this.#slot(name));
    fail();
    this.journal.record(() => ({ event: 'fatal error', device: name }));
    this.#core.dispatchEvent({ device, type: EventType.DEVICE_FATAL, port: 0 });
    await setTimeout(delayMilliseconds);
    return this.reset(name, delayMilliseconds);
  }

  /** Unplugs and plugs again. */
  async reset(name: string, delayMilliseconds: number): Promise<UnplugReport> {
    this.#plugged(this.#slot(name));
    this.journal.record(() => ({ event: 'reset', device: name }));
    const report = await this.unplug(name);
    await setTimeout(delayMilliseconds);
    await this.plug(name);
    return report;
  }

  /** Plugs the cable of a port or pulls it; clients are told if that changes anything. */
  setLink(name: string, port: number, up: boolean): void {
    const { device, ports } = this.#plugged(this.#slot(name));
    const found = portOf(name, ports, port);
    if (found.linkUp === up) return;
    found.linkUp = up;
    this.#portEvent({ device, type: up ? EventType.PORT_ACTIVE : EventType.PORT_ERR, port });
  }

  /** Tells the clients of a device of an event of one of its ports. */
  raisePortEvent(name: string, port: number, type: EventType): void {
    const { device, ports } = this.#plugged(this.#slot(name));
    portOf(name, ports, port);
    this.#portEvent({ device, type, port });
  }

  #portEvent(event: DeviceEvent): void {
    const { device, type, port } = event;
    this.journal.record(() => ({
      event: 'port',
      device: device.name,
      details: { type: eventName(type), port },
    }));
    this.#core.dispatchEvent(event);
  }

  /** Unmounts; clients get ENOTCONN. */
  close(): void {
    this.#session.close();
  }

  #slot(name: string): Slot {
    const slot = this.#slots.get(name);
    if (slot === undefined) {
      const known = [...this.#slots.keys()].join(', ') || 'none';
      throw new Refusal(`there is no device ${name}; there are: ${known}`);
    }
    return slot;
  }

  #plugged({ config: { name }, plugged }: Slot): Mlx4Device {
    if (plugged === undefined) {
      throw new Refusal(`${name} is not plugged in; "verbsim plug ${name}" plugs it`);
    }
    if (!plugged.device.registered) {
      throw new Refusal(
        `${name} is being unplugged: that waits until its users, shown by "verbsim dev show", close it`,
      );
    }
    return plugged;
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
      kernelProfile: config.kernelProfile,
      driverWithoutDisassociate: config.driverWithoutDisassociate,
      ...(uverbs !== undefined && device?.registered === true && { uverbs: uverbs.name }),
      contexts: uverbs?.users() ?? [],
      ports: device?.ports.map((port) => describePort(device, port)) ?? [],
    };
  }
}

function mlx4Options(config: DeviceConfig): Mlx4Options {
  const { name, nodeGuid, firmware, boardId, pci, ports, linkLayer, limits, driverWithoutDisassociate } =
    config;
  return {
    name,
    nodeGuid,
    firmware,
    boardId,
    pciAddress: pci,
    ports,
    linkLayer,
    limits,
    withoutDisassociate: driverWithoutDisassociate,
  };
}

function portOf(name: string, ports: readonly FabricPort[], port: number): FabricPort {
  const found = ports[port - 1];
  if (found === undefined) throw new Refusal(`${name} has no port ${port}; it has ${ports.length}`);
  return found;
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
