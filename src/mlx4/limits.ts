/**
 * How much the adapter has of everything: each number that clients see in the device attributes and that can be made
 * smaller (or larger) than a ConnectX-3's. Defaults from published `ibv_devinfo -v` output.
 */

export interface Limits {
  maxQp: number;
  maxQpWr: number;
  maxSge: number;
  maxCq: number;
  maxCqe: number;
  /** Memory regions and windows together. */
  maxMr: number;
  maxPd: number;
  maxQpRdAtom: number;
  maxQpInitRdAtom: number;
  maxSrq: number;
  maxSrqWr: number;
  maxSrqSge: number;
  maxMcastGrp: number;
  maxMcastQpAttach: number;
  gidTableLength: number;
  pkeyTableLength: number;
  /** Work queues that one indirection table spreads over. */
  maxRwqIndirectionTableSize: number;
}

export interface Range {
  standard: number;
  lowest: number;
  highest: number;
  powerOfTwo?: true;
}

/** Highest values are what the adapter's tables, or the fields of its queues, can hold. */
export const LIMIT_RANGES: Readonly<Record<keyof Limits, Range>> = {
  maxQp: { standard: 131000, lowest: 1, highest: 262144 - 520 },
  maxQpWr: { standard: 16351, lowest: 1, highest: 16351 },
  maxSge: { standard: 32, lowest: 1, highest: 32 },
  maxCq: { standard: 65408, lowest: 1, highest: 65536 - 128 },
  maxCqe: { standard: 4194303, lowest: 1, highest: 4194303 },
  maxMr: { standard: 524032, lowest: 1, highest: 524288 - 256 },
  maxPd: { standard: 32764, lowest: 1, highest: 32768 - 4 },
  maxQpRdAtom: { standard: 16, lowest: 1, highest: 128 },
  maxQpInitRdAtom: { standard: 128, lowest: 1, highest: 128 },
  maxSrq: { standard: 65472, lowest: 1, highest: 65536 - 64 },
  maxSrqWr: { standard: 16383, lowest: 1, highest: 16383 },
  maxSrqSge: { standard: 31, lowest: 1, highest: 31 },
  maxMcastGrp: { standard: 8192, lowest: 1, highest: 131072 },
  maxMcastQpAttach: { standard: 248, lowest: 1, highest: 248 },
  gidTableLength: { standard: 128, lowest: 1, highest: 128 },
  pkeyTableLength: { standard: 128, lowest: 1, highest: 128 },
  maxRwqIndirectionTableSize: { standard: 128, lowest: 1, highest: 128, powerOfTwo: true },
};

const NAMES = Object.keys(LIMIT_RANGES) as (keyof Limits)[];

/** Fills in what is not given. Throws an Error that says which number cannot be. */
export function completeLimits(given: Partial<Limits>): Limits {
  const limits = Object.fromEntries(NAMES.map((name) => [name, given[name] ?? LIMIT_RANGES[name].standard]));
  for (const name of NAMES) assertInRange(name, limits[name] as number);
  return limits as unknown as Limits;
}

function assertInRange(name: keyof Limits, value: number): void {
  const { lowest, highest, powerOfTwo } = LIMIT_RANGES[name];
  const shown = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  if (!Number.isInteger(value) || value < lowest || value > highest) {
    throw new Error(`${shown} must be a whole number from ${lowest} to ${highest}, not ${value}`);
  }
  if (powerOfTwo && (value & (value - 1)) !== 0)
    throw new Error(`${shown} must be a power of two, not ${value}`);
}
