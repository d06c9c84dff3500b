import { Attribute, type Directory } from '../../devfs/nodes.js';
import { IB_USER_VERBS_ABI_VERSION } from '../abi/index.js';
import type { IbDevice } from '../core/device.js';
import type { SysfsDevice } from './device.js';
import { addInfinibandDevice } from './infiniband.js';
import { parsePciAddress } from './pci-address.js';
import { PciBridges } from './pci-bridges.js';
import { addPciFunction, PCI_DRIVER } from './pci-function.js';
import { addVerbsClassDevice, type VerbsNode } from './verbs.js';

/** What is there without any device. */
const STATIC_DIRECTORIES = [
  'bus/pci/devices',
  `bus/pci/drivers/${PCI_DRIVER}`,
  'class/infiniband',
  'class/infiniband_verbs',
  'dev/char',
  'devices/virtual',
];

/** What belongs to one device. */
interface Entry {
  pciFunction: SysfsDevice;
  infiniband: SysfsDevice;
  /** By the name of the verbs device. */
  verbs: Map<string, SysfsDevice>;
}

/**
 * The part of sysfs that tells of InfiniBand devices. Every value is asked for when it is read; which files there
 * are (ports, table lengths, names of counters) is settled when the device is added.
 */
export class Sysfs {
  readonly #root: Directory;
  readonly #bridges: PciBridges;
  readonly #entries = new Map<IbDevice, Entry>();

  /** `root` is the directory that clients see as /sys. */
  constructor(root: Directory) {
    this.#root = root;
    this.#bridges = new PciBridges(root);
    for (const path of STATIC_DIRECTORIES) root.path(path);
    root
      .path('class/infiniband_verbs')
      .add('abi_version', new Attribute(() => `${IB_USER_VERBS_ABI_VERSION}\n`));
  }

  /** Shows the root of the PCI domain of an address, also when it has no slot. Throws an Error if it is malformed. */
  addPciRoot(address: string): void {
    this.#bridges.addHostBridge(parsePciAddress(address));
  }

  /** Shows the bridge to a slot, whether a function is in it or not. Throws an Error if the bridge's place is taken. */
  addPciSlot(address: string): void {
    this.#bridges.acquire(parsePciAddress(address));
  }

  /** Takes back what `addPciSlot` did. */
  removePciSlot(address: string): void {
    this.#bridges.release(parsePciAddress(address));
  }

  /**
   * Shows the device and the PCI function that it sits on. Throws an Error, with the tree as it was, if the PCI
   * address is malformed or taken, or the name is.
   */
  addDevice(device: IbDevice): void {
    const address = parsePciAddress(device.pci.address);
    const location = this.#bridges.acquire(address);
    const added: SysfsDevice[] = [];
    try {
      const pciFunction = addPciFunction(this.#root, location, device);
      added.push(pciFunction);
      const infiniband = addInfinibandDevice(this.#root, pciFunction, device);
      this.#entries.set(device, { pciFunction, infiniband, verbs: new Map() });
    } catch (error) {
      for (const node of added.reverse()) node.remove();
      this.#bridges.release(address);
      throw error;
    }
  }

  /**
   * Takes the device away with all that belongs to it: its class link first, its PCI function last. Silent if it
   * is not there.
   */
  removeDevice(device: IbDevice): void {
    const entry = this.#entries.get(device);
    if (entry === undefined) return;
    this.#entries.delete(device);
    for (const node of entry.verbs.values()) node.remove();
    entry.infiniband.remove();
    entry.pciFunction.remove();
    this.#bridges.release(parsePciAddress(device.pci.address));
  }

  /** Shows the character device of a device that has been added. Throws an Error if the name is taken. */
  addVerbsDevice(device: IbDevice, node: VerbsNode): void {
    const entry = this.#entries.get(device);
    if (entry === undefined) throw new Error(`${device.name} is not in sysfs`);
    entry.verbs.set(node.name, addVerbsClassDevice(this.#root, entry.pciFunction, device, node));
  }

  /** Silent if it is not there. */
  removeVerbsDevice(device: IbDevice, node: VerbsNode): void {
    const entry = this.#entries.get(device);
    entry?.verbs.get(node.name)?.remove();
    entry?.verbs.delete(node.name);
  }
}
