/** PCI addresses, and where in the machine a function of an address is. */

import { hex } from './formats.js';

/** The parts of `dddd:bb:dd.f`. */
export interface PciAddress {
  domain: number;
  bus: number;
  device: number;
  function: number;
}

/** Throws an Error if the text is no address as the kernel writes it: lower-case hex of these widths, at least. */
export function parsePciAddress(text: string): PciAddress {
  const match = /^([0-9a-f]+):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/.exec(text);
  const [domain = 0, bus = 0, device = 0, fn = 0] =
    match?.slice(1).map((part) => Number.parseInt(part, 16)) ?? [];
  const address = { domain, bus, device, function: fn };
  if (formatPciAddress(address) !== text) {
    throw new Error(`${text} is not a PCI address of the form dddd:bb:dd.f`);
  }
  return address;
}

export function formatPciAddress(address: PciAddress): string {
  return `${hex(address.domain, 4)}:${hex(address.bus, 2)}:${hex(address.device, 2)}.${address.function}`;
}

/** The directory of the root of a domain. */
export function pciRootPath({ domain }: PciAddress): string {
  return `devices/pci${hex(domain, 4)}:00`;
}

/**
 * The bridge from bus 0 to the bus of a function; none for a function on bus 0. Each bus has a bridge of its own,
 * in the slot of its number: 1000:00:03.0 leads to bus 1000:03. Slots have five bits, what is left of the
 * bus number is the bridge's function.
 */
export function bridgeTo({ domain, bus }: PciAddress): PciAddress | undefined {
  return bus === 0 ? undefined : { domain, bus: 0, device: bus & 0x1f, function: bus >> 5 };
}
