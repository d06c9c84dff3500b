/** The PCI function of an HCA, with what its driver adds (drivers/net/ethernet/mellanox/mlx4/main.c). */
import { Errno } from '../../devfs/errno.js';
import type { Directory } from '../../devfs/nodes.js';
import { LinkLayer } from '../core/attributes.js';
import type { IbDevice } from '../core/device.js';
import type { SysfsDevice } from './device.js';
import type { Kobject } from './kobject.js';
import { type PciAddress, parsePciAddress } from './pci-address.js';
import { addPciDevice, type PciRegion } from './pci-device.js';

export const PCI_DRIVER = 'mlx4_core';

/** The function goes into the directory `location`. */
export function addPciFunction(root: Directory, location: string, device: IbDevice): SysfsDevice {
  return addPciDevice(root, {
    location,
    pci: device.pci,
    regions: regionsOf(parsePciAddress(device.pci.address)),
    driver: PCI_DRIVER,
    populate: (kobject) => populate(kobject, device),
  });
}

function populate(kobject: Kobject, device: IbDevice): void {
  for (const port of device.ports) {
    kobject.attribute(
      `mlx4_port${port}`,
      () => portType(device, port),
      (text) => setPortType(device, port, text),
    );
    kobject.attribute(`mlx4_port${port}_mtu`, () => 128 << device.ops.queryPort(port).maxMtu);
  }
}

function portType(device: IbDevice, port: number): string {
  return device.ops.queryPort(port).linkLayer === LinkLayer.ETHERNET ? 'eth' : 'ib';
}

/** set_port_type() of an HCA whose ports can be of one type only. */
function setPortType(device: IbDevice, port: number, text: string): void {
  const type = text.replace(/\n$/, '');
  if (!['ib', 'eth', 'auto'].includes(type)) throw new Errno('EINVAL', `there is no port type ${type}`);
  if (type !== portType(device, port))
    throw new Errno('EOPNOTSUPP', `port ${port} cannot be of type ${type}`);
}

const MiB = 1n << 20n;
/** IORESOURCE_MEM, SIZEALIGN and MEM_64 over the BAR's own type bits; the second with PREFETCH. */
const MEMORY_64 = 0x140204;
const PREFETCHABLE_64 = 0x14220c;

/**
 * The command registers (BAR 0) and the UAR pages (BAR 2) of a ConnectX-3. Each function has a window of its own:
 * scripts like ibdev2netdev recognise a function by the content of `resource`.
 */
function regionsOf(address: PciAddress): PciRegion[] {
  const index = (address.domain << 16) | (address.bus << 8) | (address.device << 3) | address.function;
  const window = BigInt(index >>> 0) * 16n * MiB;
  return [
    { bar: 0, start: window, length: MiB, flags: MEMORY_64 },
    { bar: 2, start: window + 8n * MiB, length: 8n * MiB, flags: PREFETCHABLE_64 },
  ];
}
