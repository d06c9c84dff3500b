/**
 * The hardware behind one device: its ports, its tables of objects by number, and the numbers that are free. Sizes
 * and reserved numbers are those of a ConnectX-3 (drivers/net/ethernet/mellanox/mlx4).
 */
import type { FabricPort } from '../fabric/subnet.js';
import { NUM_QPS } from './capabilities.js';
import type { Mlx4Cq } from './cq.js';
import type { Mlx4Flow } from './flow.js';
import { indexOfKey } from './keys.js';
import type { Limits } from './limits.js';
import type { Mlx4Mr } from './mr.js';
import type { MulticastGroup } from './multicast.js';
import type { Mlx4Mw } from './mw.js';
import { NumberSpace } from './number-space.js';
import type { Mlx4Qp } from './qp.js';
import type { Mlx4Srq } from './srq.js';
import type { Mlx4Wq } from './wq.js';

/** QP numbers have 24 bits; the highest tells XRC targets from the rest. */
const QPN_BITS = 23;
/** Behind the firmware's, the proxies' and the special QPs. */
const FIRST_QPN = 520;

export class Adapter {
  readonly limits: Limits;
  readonly ports: readonly FabricPort[];

  readonly pdns: NumberSpace;
  readonly cqns: NumberSpace;
  readonly srqns: NumberSpace;
  /** Of QPs and WQs: they share a table. */
  readonly qpns: NumberSpace;
  /** Indexes of memory keys. */
  readonly mptIndexes: NumberSpace;
  readonly xrcdns: NumberSpace;

  /** By number, without the bit of an XRC target. */
  readonly qps = new Map<number, Mlx4Qp>();
  readonly wqs = new Map<number, Mlx4Wq>();
  readonly cqs = new Map<number, Mlx4Cq>();
  readonly srqs = new Map<number, Mlx4Srq>();
  readonly #mpts = new Map<number, Mlx4Mr | Mlx4Mw>();
  /** By MGID in hexadecimal. */
  readonly multicastGroups = new Map<string, MulticastGroup>();
  readonly flows = new Set<Mlx4Flow>();
  /** After a fatal error the firmware answers no more; what frees things succeeds without it. */
  failed = false;

  constructor(limits: Limits, ports: readonly FabricPort[]) {
    this.limits = limits;
    this.ports = ports;
    this.pdns = new NumberSpace({ name: 'PDs', size: 32768, first: 4, limit: limits.maxPd, bits: 17 });
    this.cqns = new NumberSpace({ name: 'CQs', size: 65536, first: 128, limit: limits.maxCq });
    this.srqns = new NumberSpace({ name: 'SRQs', size: 65536, first: 64, limit: limits.maxSrq });
    this.qpns = new NumberSpace({
      name: 'QPs',
      size: NUM_QPS,
      first: FIRST_QPN,
      limit: limits.maxQp,
      bits: QPN_BITS,
    });
    this.mptIndexes = new NumberSpace({
      name: 'memory keys',
      size: 524288,
      first: 256,
      limit: limits.maxMr,
      bits: 32,
    });
    this.xrcdns = new NumberSpace({ name: 'XRC domains', size: 65536, first: 1, limit: 65535 });
  }

  /** Port numbers start at 1. */
  port(number: number): FabricPort {
    const port = this.ports[number - 1];
    if (port === undefined) throw new RangeError(`there is no port ${number}`);
    return port;
  }

  get hasEthernetPort(): boolean {
    return this.ports.some((port) => port.isEthernet);
  }

  addKey(index: number, entry: Mlx4Mr | Mlx4Mw): void {
    this.#mpts.set(index, entry);
  }

  removeKey(index: number): void {
    this.#mpts.delete(index);
  }

  /** The region or window that a key stands for; its whole key, tag included, is the caller's to compare. */
  entryOfKey(key: number): Mlx4Mr | Mlx4Mw | undefined {
    return this.#mpts.get(indexOfKey(key));
  }
}
