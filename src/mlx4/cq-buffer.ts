/**
 * Rings of CQEs in a client's memory, as far as their ownership goes: entry n (counted from the start of the queue)
 * holds a completion iff the owner bit of its slot equals the bit of n that says how often the ring was gone round.
 */
import { copyToUser } from '../../devfs/index.js';
import { CQE_SIZE } from './capabilities.js';

interface Ring {
  /** Whose memory it is in. */
  readonly pid: number;
  readonly address: bigint;
  readonly entries: number;
}

/** Byte of a CQE: owner bit, whether it is of a send, and the opcode. Written last. */
const OWNER_OFFSET = CQE_SIZE - 1;
const OWNER = 0x80;
const OPCODE_RESIZE = 0x16;
/** What the hardware leaves in entries that hold no completion. */
const EMPTY = 0xcc;
/** Entries that are prepared at a time: 1 MiB. */
const CHUNK = 32768;

/** The owner bit with which entry `index` becomes valid. */
export function ownerBit(index: number, entries: number): number {
  return Math.floor(index / entries) % 2 === 1 ? OWNER : 0;
}

/** Makes every entry of a new queue an empty one; zeroed ones would look valid. */
export function fillNewCq(ring: Ring): void {
  fill(ring, (chunk) => chunk.fill(EMPTY));
}

/** The same for a queue that goes on with entry `first` in a new ring. */
export function fillResizedCq(ring: Ring, first: number): void {
  fill(ring, (chunk, slot) => {
    chunk.fill(EMPTY);
    for (let at = 0; at < chunk.length; at += CQE_SIZE) {
      const index = nextEntryOfSlot(slot + at / CQE_SIZE, first, ring.entries);
      if (ownerBit(index, ring.entries) === OWNER) chunk[at + OWNER_OFFSET] = EMPTY & ~OWNER;
    }
  });
}

/** The first entry from `first` on that goes into a slot. */
function nextEntryOfSlot(slot: number, first: number, entries: number): number {
  return first + ((slot - (first % entries) + entries) % entries);
}

function fill({ pid, address, entries }: Ring, prepare: (chunk: Uint8Array, slot: number) => void): void {
  const chunk = new Uint8Array(Math.min(entries, CHUNK) * CQE_SIZE);
  for (let slot = 0; slot < entries; slot += CHUNK) {
    prepare(chunk, slot);
    copyToUser(pid, address + BigInt(slot * CQE_SIZE), chunk);
  }
}

/** Entry `index` of a ring that is to be left says so: the client looks for nothing behind it. */
export function writeResizeCqe({ pid, address, entries }: Ring, index: number): void {
  const at = address + BigInt((index % entries) * CQE_SIZE);
  const cqe = new Uint8Array(CQE_SIZE);
  cqe[OWNER_OFFSET] = ownerBit(index, entries) | OPCODE_RESIZE;
  copyToUser(pid, at, cqe.subarray(0, OWNER_OFFSET));
  copyToUser(pid, at + BigInt(OWNER_OFFSET), cqe.subarray(OWNER_OFFSET));
}
