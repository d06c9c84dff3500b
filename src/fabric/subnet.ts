/** One simulated InfiniBand subnet: a switch that every port is cabled to, and the addresses its SM gives. */
import { LinkLayer, PhysState, type PortAttributes, PortState } from '../core/attributes.js';

/** fe80::/64, the subnet prefix that an SM hands out unless told otherwise. */
export const DEFAULT_SUBNET_PREFIX = 0xfe80_0000_0000_0000n;

export const FULL_MEMBER_DEFAULT_PKEY = 0xffff;

export interface FabricPortOptions {
  guid: bigint;
  gidTableLength: number;
  pkeyTableLength: number;
  /** What the hardware of the port says of itself; the subnet adds the addresses. */
  capabilities: Pick<
    PortAttributes,
    | 'portCapFlags'
    | 'portCapFlags2'
    | 'maxMsgSz'
    | 'maxMtu'
    | 'activeMtu'
    | 'maxVlNum'
    | 'activeWidth'
    | 'activeSpeed'
    | 'flags'
  >;
}

/** A port as the subnet sees it. */
export class FabricPort {
  readonly guid: bigint;
  readonly lid: number;
  readonly #subnet: Subnet;
  readonly #options: FabricPortOptions;
  readonly #pkeys: Uint16Array;

  constructor(subnet: Subnet, lid: number, options: FabricPortOptions) {
    this.guid = options.guid;
    this.lid = lid;
    this.#subnet = subnet;
    this.#options = options;
    this.#pkeys = new Uint16Array(options.pkeyTableLength);
    this.#pkeys[0] = FULL_MEMBER_DEFAULT_PKEY;
  }

  attributes(): PortAttributes {
    return {
      ...this.#options.capabilities,
      badPkeyCntr: 0,
      qkeyViolCntr: 0,
      gidTblLen: this.#options.gidTableLength,
      pkeyTblLen: this.#options.pkeyTableLength,
      lid: this.lid,
      smLid: this.#subnet.smLid,
      state: PortState.ACTIVE,
      lmc: 0,
      smSl: 0,
      subnetTimeout: 18,
      initTypeReply: 0,
      physState: PhysState.LINK_UP,
      linkLayer: LinkLayer.INFINIBAND,
    };
  }

  /** The GID at an index of the table, network order; `undefined` if empty. */
  gid(index: number): Uint8Array | undefined {
    if (index !== 0) return undefined;
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setBigUint64(0, this.#subnet.prefix);
    bytes.setBigUint64(8, this.guid);
    return new Uint8Array(bytes.buffer);
  }

  /** 0 for an empty entry. */
  pkey(index: number): number {
    return this.#pkeys[index] ?? 0;
  }
}

export class Subnet {
  readonly prefix: bigint;
  /** The SM sits on the switch. */
  readonly smLid = 1;
  readonly #ports = new Map<number, FabricPort>();

  constructor(prefix = DEFAULT_SUBNET_PREFIX) {
    this.prefix = prefix;
  }

  /** Cables a port: the SM finds it and gives it the lowest free LID. */
  attach(options: FabricPortOptions): FabricPort {
    let lid = this.smLid + 1;
    while (this.#ports.has(lid)) lid++;
    const port = new FabricPort(this, lid, options);
    this.#ports.set(lid, port);
    return port;
  }

  detach(port: FabricPort): void {
    this.#ports.delete(port.lid);
  }
}
