/** A port of an adapter, as the fabric sees it: the hardware's own properties and the addresses it got. */
import { LinkLayer, PhysState, type PortAttributes, PortState } from '../core/attributes.js';

export const FULL_MEMBER_DEFAULT_PKEY = 0xffff;

/** fe80::/64. On Ethernet it is the prefix of link-local addresses. */
export const LINK_LOCAL_PREFIX = 0xfe80_0000_0000_0000n;

/** What a port without a link shows as its speed. */
const SPEED_SDR = 1;

export interface FabricPortOptions {
  guid: bigint;
  linkLayer: 'infiniband' | 'ethernet';
  gidTableLength: number;
  pkeyTableLength: number;
  /** What the hardware of the port says of itself. */
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

/** What a subnet manager gives to a port; without one: Ethernet. */
export interface SubnetAddress {
  readonly lid: number;
  readonly smLid: number;
  readonly prefix: bigint;
  readonly timeout: number;
}

export class FabricPort {
  readonly guid: bigint;
  readonly isEthernet: boolean;
  readonly #address: SubnetAddress | undefined;
  readonly #options: FabricPortOptions;
  readonly #pkeys: Uint16Array;
  #linkUp = true;
  #attributes: PortAttributes | undefined;

  constructor(options: FabricPortOptions, address: SubnetAddress | undefined) {
    this.guid = options.guid;
    this.isEthernet = options.linkLayer === 'ethernet';
    this.#address = address;
    this.#options = options;
    this.#pkeys = new Uint16Array(options.pkeyTableLength);
    this.#pkeys[0] = FULL_MEMBER_DEFAULT_PKEY;
  }

  /** 0 on Ethernet. */
  get lid(): number {
    return this.#address?.lid ?? 0;
  }

  /** What QUERY_PORT answers. Made anew when something changes, not for each query. */
  attributes(): PortAttributes {
    this.#attributes ??= this.#describe();
    return this.#attributes;
  }

  /** Whether the cable carries a signal. */
  get linkUp(): boolean {
    return this.#linkUp;
  }

  set linkUp(up: boolean) {
    this.#linkUp = up;
    this.#attributes = undefined;
  }

  #describe(): PortAttributes {
    const { capabilities, gidTableLength, pkeyTableLength } = this.#options;
    return {
      ...capabilities,
      ...(!this.#linkUp && { activeSpeed: SPEED_SDR }),
      badPkeyCntr: 0,
      qkeyViolCntr: 0,
      gidTblLen: gidTableLength,
      pkeyTblLen: pkeyTableLength,
      lid: this.lid,
      smLid: this.#address?.smLid ?? 0,
      state: this.#linkUp ? PortState.ACTIVE : PortState.DOWN,
      lmc: 0,
      smSl: 0,
      subnetTimeout: this.#address?.timeout ?? 0,
      initTypeReply: 0,
      physState: this.#physState,
      linkLayer: this.isEthernet ? LinkLayer.ETHERNET : LinkLayer.INFINIBAND,
    };
  }

  /** Without a signal an InfiniBand port polls for one; an Ethernet port is shown as disabled (mlx4/main.c). */
  get #physState(): number {
    if (this.linkUp) return PhysState.LINK_UP;
    return this.isEthernet ? PhysState.DISABLED : PhysState.POLLING;
  }

  /** The GID at an index of the table, network order; `undefined` if empty. */
  gid(index: number): Uint8Array | undefined {
    if (index !== 0) return undefined;
    const bytes = new DataView(new ArrayBuffer(16));
    bytes.setBigUint64(0, this.#address?.prefix ?? LINK_LOCAL_PREFIX);
    bytes.setBigUint64(8, this.isEthernet ? eui64OfMac(macOfGuid(this.guid)) : this.guid);
    return new Uint8Array(bytes.buffer);
  }

  /** 0 for an empty entry. */
  pkey(index: number): number {
    return this.#pkeys[index] ?? 0;
  }
}

/** The MAC of a port that has this GUID: the maker's 24 bits, and those of the port. */
export function macOfGuid(guid: bigint): bigint {
  return ((guid >> 40n) << 24n) | (guid & 0xff_ffffn);
}

/** The interface identifier of IPv6 addresses: ff:fe in the middle, the universal/local bit inverted (RFC 4291). */
export function eui64OfMac(mac: bigint): bigint {
  const eui64 = ((mac >> 24n) << 40n) | (0xff_fen << 24n) | (mac & 0xff_ffffn);
  return eui64 ^ (0x02n << 56n);
}
