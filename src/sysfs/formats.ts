/** How the kernel writes values into sysfs (drivers/infiniband/core/sysfs.c), without the newline. */
import { Errno } from '../../devfs/errno.js';
import { LinkLayer } from '../core/attributes.js';

/** A number in lower-case hex, with leading zeros up to `digits`. */
export function hex(value: number | bigint, digits = 1): string {
  return value.toString(16).padStart(digits, '0');
}

/** As hex(), with upper-case digits: how PCI numbers stand in uevents and aliases. */
export function upperHex(value: number, digits: number): string {
  return hex(value, digits).toUpperCase();
}

/** Groups of four digits with colons between them. */
function groupsOfFour(digits: string): string {
  return digits.replace(/.{4}(?=.)/g, '$&:');
}

/** `0002:c903:00a1:b2c0` of 0x0002c90300a1b2c0n. */
export function guidText(guid: bigint): string {
  return groupsOfFour(hex(guid, 16));
}

/** All eight groups of the 16 bytes (`%pI6`), never shortened. */
export function gidText(gid: Uint8Array): string {
  return groupsOfFour(Buffer.from(gid).toString('hex'));
}

/** `2.42.5000` of major << 32 | minor << 16 | subminor. */
export function firmwareVersionText(version: bigint): string {
  return [version >> 32n, (version >> 16n) & 0xffffn, version & 0xffffn].join('.');
}

const PORT_STATES = ['NOP', 'DOWN', 'INIT', 'ARMED', 'ACTIVE', 'ACTIVE_DEFER'];

/** `4: ACTIVE`. */
export function portStateText(state: number): string {
  return `${state}: ${PORT_STATES[state] ?? 'UNKNOWN'}`;
}

const PHYS_STATES = [
  undefined,
  'Sleep',
  'Polling',
  'Disabled',
  'PortConfigurationTraining',
  'LinkUp',
  'LinkErrorRecovery',
  'Phy Test',
];

/** `5: LinkUp`. */
export function physStateText(state: number): string {
  return `${state}: ${PHYS_STATES[state] ?? '<unknown>'}`;
}

/** Lanes by enum ib_port_width. */
const LANES: Record<number, number> = { 1: 1, 2: 4, 4: 8, 8: 12, 16: 2 };

/** Name and Gb/s of a lane by enum ib_port_speed. */
const SPEEDS: Record<number, { name: string; rate: number }> = {
  1: { name: 'SDR', rate: 2.5 },
  2: { name: 'DDR', rate: 5 },
  4: { name: 'QDR', rate: 10 },
  8: { name: 'FDR10', rate: 10 },
  16: { name: 'FDR', rate: 14 },
  32: { name: 'EDR', rate: 25 },
  64: { name: 'HDR', rate: 50 },
  128: { name: 'NDR', rate: 100 },
};
const SDR = 1;

/** `56 Gb/sec (4X FDR)`; an unknown speed counts as SDR, an unknown width is EINVAL, as in rate_show(). */
export function rateText(activeWidth: number, activeSpeed: number): string {
  const lanes = LANES[activeWidth];
  if (lanes === undefined) throw new Errno('EINVAL', `there is no port width ${activeWidth}`);
  const { name, rate } = SPEEDS[activeSpeed] ?? SPEEDS[SDR]!;
  return `${rate * lanes} Gb/sec (${lanes}X ${name})`;
}

export function linkLayerText(linkLayer: number): string {
  switch (linkLayer) {
    case LinkLayer.INFINIBAND:
      return 'InfiniBand';
    case LinkLayer.ETHERNET:
      return 'Ethernet';
    default:
      return 'Unknown';
  }
}
