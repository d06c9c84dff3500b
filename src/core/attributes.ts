/**
 * What a device and its ports say about themselves. The fields are those of the structures that clients read
 * (ib_uverbs_query_device_resp and its extended part, ib_uverbs_query_port_resp), so nothing is translated.
 */
import type { IbUverbsExQueryDeviceRespInit, IbUverbsQueryPortRespInit } from '../abi/index.js';

export type DeviceAttributes = Omit<
  IbUverbsExQueryDeviceRespInit,
  'compMask' | 'responseLength' | 'reserved'
>;

export type PortAttributes = Omit<IbUverbsQueryPortRespInit, 'reserved'> & { portCapFlags2: number };

/** enum ib_port_state. */
export const PortState = { NOP: 0, DOWN: 1, INIT: 2, ARMED: 3, ACTIVE: 4, ACTIVE_DEFER: 5 } as const;

/** Physical states of a port (IBTA, PortInfo:PortPhysicalState). */
export const PhysState = {
  SLEEP: 1,
  POLLING: 2,
  DISABLED: 3,
  PORT_CONFIGURATION_TRAINING: 4,
  LINK_UP: 5,
  LINK_ERROR_RECOVERY: 6,
  PHY_TEST: 7,
} as const;

/** IB_LINK_LAYER_*. */
export const LinkLayer = { UNSPECIFIED: 0, INFINIBAND: 1, ETHERNET: 2 } as const;

/** GID types as the ABI numbers them (enum ib_uverbs_gid_type). */
export const GidType = { IB: 0, ROCE_V1: 1, ROCE_V2: 2 } as const;

export interface GidEntry {
  /** 16 bytes, network order. */
  gid: Uint8Array;
  type: (typeof GidType)[keyof typeof GidType];
  /** Interface index in the client's network namespace; 0 on InfiniBand. */
  netdevIfindex: number;
}
