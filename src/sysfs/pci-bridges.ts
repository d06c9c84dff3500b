/** The bridges between the root of a PCI domain and the buses that have devices. */
import { posix } from 'node:path';
import { Attribute, type Directory } from '../../devfs/nodes.js';
import { acceptUevent, populatePower, type SysfsDevice } from './device.js';
import { Kobject } from './kobject.js';
import { bridgeTo, formatPciAddress, type PciAddress, pciRootPath } from './pci-address.js';
import { addPciDevice } from './pci-device.js';

/** A PCI Express root port, as many servers have it (8086:2f04, Xeon E5 v3). */
const ROOT_PORT = {
  vendorId: 0x8086,
  deviceId: 0x2f04,
  subsystemVendorId: 0x8086,
  subsystemDeviceId: 0x0000,
  revision: 0x02,
  classCode: 0x060400,
};

/** A bridge is there as long as somebody needs it; a host bridge, once it was needed, stays. */
export class PciBridges {
  readonly #root: Directory;
  readonly #bridges = new Map<string, { node: SysfsDevice; users: number }>();

  constructor(root: Directory) {
    this.#root = root;
  }

  /** Makes the host bridge of the domain, which every bridge and function of it is below. */
  addHostBridge(address: PciAddress): void {
    const path = pciRootPath(address);
    const parent = this.#root.path(posix.dirname(path));
    const name = posix.basename(path);
    if (parent.entries.has(name)) return;
    const kobject = new Kobject(path);
    kobject.directory.add('uevent', new Attribute(() => '', acceptUevent));
    kobject.child('power', populatePower);
    parent.add(name, kobject.directory);
  }

  /** The directory for a function of that address. Throws an Error if the bridge's place is taken. */
  acquire(address: PciAddress): string {
    this.addHostBridge(address);
    const bridgeAddress = bridgeTo(address);
    if (bridgeAddress === undefined) return pciRootPath(address);
    const name = formatPciAddress(bridgeAddress);
    const bridge = this.#bridges.get(name) ?? { node: this.#add(name, pciRootPath(address)), users: 0 };
    bridge.users += 1;
    this.#bridges.set(name, bridge);
    return bridge.node.path;
  }

  /** Gives back what acquire() gave; a function has left it. */
  release(address: PciAddress): void {
    const bridgeAddress = bridgeTo(address);
    if (bridgeAddress === undefined) return;
    const name = formatPciAddress(bridgeAddress);
    const bridge = this.#bridges.get(name);
    if (bridge === undefined) return;
    bridge.users -= 1;
    if (bridge.users > 0) return;
    this.#bridges.delete(name);
    bridge.node.remove();
  }

  #add(name: string, location: string): SysfsDevice {
    return addPciDevice(this.#root, { location, pci: { address: name, ...ROOT_PORT }, regions: [] });
  }
}
