/**
 * One simulated fabric: a switch that every port is cabled to. InfiniBand ports are a subnet, whose manager gives them
 * addresses; Ethernet ports need none.
 */
import { FabricPort, type FabricPortOptions, LINK_LOCAL_PREFIX } from './port.js';

export { FabricPort, type FabricPortOptions } from './port.js';

/** What an SM hands out unless told otherwise. */
export const DEFAULT_SUBNET_PREFIX = LINK_LOCAL_PREFIX;

/** 4.096 µs * 2^18: how long a packet may take through the subnet. */
const SUBNET_TIMEOUT = 18;

export class Subnet {
  readonly prefix: bigint;
  /** The SM sits on the switch. */
  readonly smLid = 1;
  readonly #ports = new Set<FabricPort>();

  constructor(prefix = DEFAULT_SUBNET_PREFIX) {
    this.prefix = prefix;
  }

  /** Cables a port: the SM finds it and gives it the lowest free LID. */
  attach(options: FabricPortOptions): FabricPort {
    const address =
      options.linkLayer === 'ethernet'
        ? undefined
        : { lid: this.#freeLid(), smLid: this.smLid, prefix: this.prefix, timeout: SUBNET_TIMEOUT };
    const port = new FabricPort(options, address);
    this.#ports.add(port);
    return port;
  }

  detach(port: FabricPort): void {
    this.#ports.delete(port);
  }

  #freeLid(): number {
    const taken = new Set([...this.#ports].map((port) => port.lid));
    let lid = this.smLid + 1;
    while (taken.has(lid)) lid++;
    return lid;
  }
}
