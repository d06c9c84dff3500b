/** What every function on a PCI bus shows (drivers/pci/pci-sysfs.c). */
import { cpus } from 'node:os';
import type { Directory } from '../../devfs/nodes.js';
import type { PciFunction } from '../core/device.js';
import { SysfsDevice } from './device.js';
import { hex, upperHex } from './formats.js';
import type { Kobject } from './kobject.js';

/** A stretch of addresses that a function answers to. */
export interface PciRegion {
  /** 0 to 5. */
  bar: number;
  start: bigint;
  length: bigint;
  /** IORESOURCE_*. */
  flags: number;
}

export interface PciDeviceOptions {
  location: string;
  pci: PciFunction;
  regions: readonly PciRegion[];
  driver?: string;
  /** Attributes of the driver. */
  populate?: (kobject: Kobject) => void;
}

export function addPciDevice(root: Directory, options: PciDeviceOptions): SysfsDevice {
  const { location, pci, regions, driver, populate } = options;
  return new SysfsDevice(root, {
    name: pci.address,
    location,
    subsystem: 'bus/pci',
    listing: 'bus/pci/devices',
    ...(driver !== undefined && { driver }),
    uevent: () => [
      ['PCI_CLASS', upperHex(pci.classCode, 4)],
      ['PCI_ID', `${upperHex(pci.vendorId, 4)}:${upperHex(pci.deviceId, 4)}`],
      ['PCI_SUBSYS_ID', `${upperHex(pci.subsystemVendorId, 4)}:${upperHex(pci.subsystemDeviceId, 4)}`],
      ['PCI_SLOT_NAME', pci.address],
      ['MODALIAS', modalias(pci)],
    ],
    populate: (kobject) => {
      kobject.attribute('vendor', () => `0x${hex(pci.vendorId, 4)}`);
      kobject.attribute('device', () => `0x${hex(pci.deviceId, 4)}`);
      kobject.attribute('subsystem_vendor', () => `0x${hex(pci.subsystemVendorId, 4)}`);
      kobject.attribute('subsystem_device', () => `0x${hex(pci.subsystemDeviceId, 4)}`);
      kobject.attribute('revision', () => `0x${hex(pci.revision, 2)}`);
      kobject.attribute('class', () => `0x${hex(pci.classCode, 6)}`);
      kobject.attribute('modalias', () => modalias(pci));
      kobject.attribute('numa_node', () => -1);
      kobject.attribute('local_cpus', () => cpuMask(cpus().length));
      kobject.attribute('local_cpulist', () => cpuList(cpus().length));
      kobject.attribute('resource', () => resourceText(regions));
      // No interrupt line: lspci insists on the file all the same.
      kobject.attribute('irq', () => 0);
      kobject.attribute('enable', () => 1);
      for (const kind of ['current', 'max']) {
        kobject.attribute(`${kind}_link_speed`, () => '8.0 GT/s PCIe');
        kobject.attribute(`${kind}_link_width`, () => 8);
      }
      populate?.(kobject);
    },
  });
}

/**
 * What libibverbs matches its drivers' tables against, case and field widths included. The class code is in three
 * parts: base class, subclass, programming interface.
 */
function modalias(pci: PciFunction): string {
  return [
    'pci:',
    `v${upperHex(pci.vendorId, 8)}`,
    `d${upperHex(pci.deviceId, 8)}`,
    `sv${upperHex(pci.subsystemVendorId, 8)}`,
    `sd${upperHex(pci.subsystemDeviceId, 8)}`,
    `bc${upperHex(pci.classCode >> 16, 2)}`,
    `sc${upperHex((pci.classCode >> 8) & 0xff, 2)}`,
    `i${upperHex(pci.classCode & 0xff, 2)}`,
  ].join('');
}

/** The first `count` CPUs as a bitmap in groups of 32 bits (`%*pb`): `ff,ffffffff` of 40. */
export function cpuMask(count: number): string {
  const digits = hex((1n << BigInt(count)) - 1n);
  return digits.replace(/\B(?=(.{8})+$)/g, ',');
}

/** The first `count` CPUs as a list of ranges (`%*pbl`). */
export function cpuList(count: number): string {
  return count === 1 ? '0' : `0-${count - 1}`;
}

/** Six BARs and the expansion ROM: start, last address and flags. */
const RESOURCES = 7;

function resourceText(regions: readonly PciRegion[]): string {
  const lines = Array.from({ length: RESOURCES }, () => [0n, 0n, 0]);
  for (const { bar, start, length, flags } of regions) lines[bar] = [start, start + length - 1n, flags];
  return lines.map((line) => line.map((number) => `0x${hex(number, 16)}`).join(' ')).join('\n');
}
