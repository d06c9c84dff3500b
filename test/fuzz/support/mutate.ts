/** How commands are spoilt (test/clients/fuzz-door.c does it the same way). */
import { ibUverbsAttr, ibUverbsIoctlHdr } from '../../../src/abi/index.js';

/** A generator of numbers that starts anywhere and repeats (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  u32(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** Below `limit`, which is at least 1. */
  below(limit: number): number {
    return this.u32() % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

const HEADER = ibUverbsIoctlHdr.size;
const ATTRIBUTE = ibUverbsAttr.size;
/** As much as a request may grow. */
const MAX_GROWTH = 300;

export interface Interesting {
  /** Numbers that mean something, or nearly. */
  values: readonly bigint[];
  /** Other commands, whose parts may be mixed in. */
  others: readonly Buffer[];
}

/** A command with a few things wrong; the same one now and then. */
export function mutate(random: Random, bytes: Buffer, isIoctl: boolean, interesting: Interesting): Buffer {
  let spoilt: Buffer = Buffer.from(bytes);
  for (let times = random.below(4); times > 0; times--) {
    spoilt = mutateOnce(random, spoilt, isIoctl, interesting);
  }
  if (random.below(2) === 0) mendLengths(spoilt, isIoctl);
  return spoilt;
}

function mutateOnce(
  random: Random,
  bytes: Buffer,
  isIoctl: boolean,
  { values, others }: Interesting,
): Buffer {
  if (bytes.length < 8) return Buffer.concat([bytes, random.pick(others)]);
  const at = random.below(bytes.length);
  switch (random.below(isIoctl ? 11 : 8)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      bytes[at] = random.u32() & 0xff;
      return bytes;
    case 2:
      bytes.writeUInt16LE(Number(random.pick(values) & 0xffffn), even(at, 2, bytes.length));
      return bytes;
    case 3:
      bytes.writeUInt32LE(Number(random.pick(values) & 0xffff_ffffn), even(at, 4, bytes.length));
      return bytes;
    case 4:
      bytes.writeUInt32LE(random.below(16), even(at, 4, bytes.length));
      return bytes;
    case 5:
      bytes.writeBigUInt64LE(random.pick(values), even(at, 8, bytes.length));
      return bytes;
    case 6:
      return bytes.subarray(0, random.below(3) === 0 ? at : at & ~7);
    case 7: {
      const tail = Buffer.alloc(random.below(MAX_GROWTH) & ~3, random.below(2) * 0x41);
      return Buffer.concat([bytes, random.below(2) === 0 ? tail : random.pick(others)]);
    }
    default:
      return mutateAttributes(random, bytes);
  }
}

/** Doubles, drops or swaps an attribute. */
function mutateAttributes(random: Random, bytes: Buffer): Buffer {
  const count = Math.floor((bytes.length - HEADER) / ATTRIBUTE);
  if (count < 1) return bytes;
  const attribute = (i: number): Buffer =>
    bytes.subarray(HEADER + i * ATTRIBUTE, HEADER + (i + 1) * ATTRIBUTE);
  const one = random.below(count);
  const other = random.below(count);
  const all = Array.from({ length: count }, (_, i) => attribute(i));
  if (random.below(3) === 0) all.push(attribute(one));
  else if (random.below(2) === 0) all.splice(one, 1);
  else [all[one], all[other]] = [attribute(other), attribute(one)];
  return Buffer.concat([bytes.subarray(0, HEADER), ...all]);
}

const even = (at: number, size: number, length: number): number => Math.min(at & -size, length - size);

/** Makes the lengths in the header those of the bytes, so that more than the header is looked at. */
function mendLengths(bytes: Buffer, isIoctl: boolean): void {
  if (isIoctl) {
    if (bytes.length < HEADER) return;
    const count = Math.floor((bytes.length - HEADER) / ATTRIBUTE);
    bytes.writeUInt16LE(HEADER + count * ATTRIBUTE, 0);
    bytes.writeUInt16LE(count, 6);
    return;
  }
  if (bytes.length < 24) return;
  const isExtended = bytes.readUInt8(3) === 0x80;
  if (!isExtended) bytes.writeUInt16LE(bytes.length >> 2, 4);
  else bytes.writeUInt16LE(Math.max(0, (bytes.length - 24 - 8 * bytes.readUInt16LE(16)) >> 3), 4);
}
