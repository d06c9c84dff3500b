/**
 * What a ConnectX-3 (MT27500) says of itself: drivers/infiniband/hw/mlx4/main.c and
 * drivers/net/ethernet/mellanox/mlx4/main.c for the rules, published `ibv_devinfo -v` output for the values.
 */
import { ibUverbsDeviceCapFlags, MLX4_IB_UVERBS_ABI_VERSION } from '../abi/index.js';
import type { DeviceAttributes } from '../core/attributes.js';
import { QpType } from '../core/objects.js';
import type { Limits } from './limits.js';

export const VENDOR_ID = 0x02c9;
export const PCI_VENDOR_ID = 0x15b3;
/** ConnectX-3: MT4099. */
export const PCI_DEVICE_ID = 0x1003;
export const PCI_SUBSYSTEM_ID = 0x0055;
/** InfiniBand network controller. */
export const PCI_CLASS = 0x020700;
/** RDMA_DRIVER_MLX4. */
export const DRIVER_ID = 2;
export const UVERBS_ABI_VERSION = MLX4_IB_UVERBS_ABI_VERSION;
export const HARDWARE_REVISION = 0;

/** Entries of the QP table; a client sizes its own from it, so QP numbers are unique modulo this. */
export const NUM_QPS = 262144;
/** Completion queue entries are always 32 bytes long here (no LARGE_CQE). */
export const CQE_SIZE = 32;
/** 0: no BlueFlame. Doorbells are rung by store to the UAR page alone. */
export const BF_REG_SIZE = 0;
export const NUM_COMP_VECTORS = 2;

const MAX_WQE_SIZE = 512;
const DATA_SEGMENT_SIZE = 16;

/** A receive WQE's scatter list, given over to inline data. */
export const maxInlineReceiveSize = ({ maxSge }: Limits): number => maxSge * DATA_SEGMENT_SIZE;

const Flag = ibUverbsDeviceCapFlags;

/** device_cap_flags of any adapter. */
const DEVICE_CAP_FLAGS = Number(
  Flag.IB_UVERBS_DEVICE_BAD_PKEY_CNTR |
    Flag.IB_UVERBS_DEVICE_BAD_QKEY_CNTR |
    Flag.IB_UVERBS_DEVICE_CHANGE_PHY_PORT |
    Flag.IB_UVERBS_DEVICE_UD_AV_PORT_ENFORCE |
    Flag.IB_UVERBS_DEVICE_PORT_ACTIVE_EVENT |
    Flag.IB_UVERBS_DEVICE_SYS_IMAGE_GUID |
    Flag.IB_UVERBS_DEVICE_RC_RNR_NAK_GEN |
    Flag.IB_UVERBS_DEVICE_MEM_WINDOW |
    Flag.IB_UVERBS_DEVICE_UD_IP_CSUM |
    Flag.IB_UVERBS_DEVICE_XRC |
    Flag.IB_UVERBS_DEVICE_MEM_MGT_EXTENSIONS |
    Flag.IB_UVERBS_DEVICE_MEM_WINDOW_TYPE_2B |
    Flag.IB_UVERBS_DEVICE_RAW_IP_CSUM,
);

/** "2.42.5000" as the ABI has it: major, minor and sub-minor in 32, 16 and 16 bits. */
export function firmwareVersion(text: string): bigint {
  const [major = 0n, minor = 0n, sub = 0n] = text.split('.').map(BigInt);
  return (major << 32n) | (minor << 16n) | sub;
}

function deviceCapFlags({ linkLayer, flowSteering }: HcaOptions): number {
  return (
    DEVICE_CAP_FLAGS |
    (linkLayer === 'infiniband' ? Number(Flag.IB_UVERBS_DEVICE_AUTO_PATH_MIG) : 0) |
    (flowSteering ? Number(Flag.IB_UVERBS_DEVICE_MANAGED_FLOW_STEERING) : 0)
  );
}

/** What the attributes of one adapter depend on. */
export interface HcaOptions {
  nodeGuid: bigint;
  firmware: string;
  ports: number;
  linkLayer: 'infiniband' | 'ethernet';
  flowSteering: boolean;
  limits: Limits;
}

export function deviceAttributes(options: HcaOptions): DeviceAttributes {
  const { limits } = options;
  const flags = deviceCapFlags(options);
  const hasRss = options.linkLayer === 'ethernet';
  return {
    base: {
      fwVer: firmwareVersion(options.firmware),
      nodeGuid: options.nodeGuid,
      sysImageGuid: options.nodeGuid + 3n,
      maxMrSize: 0xffff_ffff_ffff_ffffn,
      pageSizeCap: 0xffff_fe00n,
      vendorId: VENDOR_ID,
      vendorPartId: PCI_DEVICE_ID,
      hwVer: HARDWARE_REVISION,
      maxQp: limits.maxQp,
      maxQpWr: limits.maxQpWr,
      deviceCapFlags: flags,
      maxSge: limits.maxSge,
      maxSgeRd: (MAX_WQE_SIZE - 32) / DATA_SEGMENT_SIZE,
      maxCq: limits.maxCq,
      maxCqe: limits.maxCqe,
      maxMr: limits.maxMr,
      maxPd: limits.maxPd,
      maxQpRdAtom: limits.maxQpRdAtom,
      maxEeRdAtom: 0,
      maxResRdAtom: limits.maxQpRdAtom * limits.maxQp,
      maxQpInitRdAtom: limits.maxQpInitRdAtom,
      maxEeInitRdAtom: 0,
      atomicCap: 1, // IB_ATOMIC_HCA
      maxEe: 0,
      maxRdd: 0,
      maxMw: 0, // the driver never fills it in, although it has memory windows
      maxRawIpv6Qp: 0,
      maxRawEthyQp: 0,
      maxMcastGrp: limits.maxMcastGrp,
      maxMcastQpAttach: limits.maxMcastQpAttach,
      maxTotalMcastQpAttach: limits.maxMcastGrp * limits.maxMcastQpAttach,
      maxAh: 2147483647,
      maxFmr: 0,
      maxMapPerFmr: 0,
      maxSrq: limits.maxSrq,
      maxSrqWr: limits.maxSrqWr,
      maxSrqSge: limits.maxSrqSge,
      maxPkeys: limits.pkeyTableLength,
      localCaAckDelay: 15,
      physPortCnt: options.ports,
    },
    odpCaps: { generalCaps: 0n, perTransportCaps: { rcOdpCaps: 0, ucOdpCaps: 0, udOdpCaps: 0 } },
    timestampMask: (1n << 48n) - 1n,
    hcaCoreClock: 427000n,
    deviceCapFlagsEx: BigInt(flags),
    rssCaps: {
      supportedQpts: hasRss ? 1 << QpType.RAW_PACKET : 0,
      maxRwqIndirectionTables: hasRss ? limits.maxQp : 0,
      maxRwqIndirectionTableSize: hasRss ? limits.maxRwqIndirectionTableSize : 0,
    },
    maxWqTypeRq: hasRss ? limits.maxQp : 0,
    rawPacketCaps: 0,
    tmCaps: { maxRndvHdrSize: 0, maxNumTags: 0, flags: 0, maxOps: 0, maxSge: 0 },
    cqModerationCaps: { maxCqModerationCount: 65535, maxCqModerationPeriod: 65535 },
    maxDmSize: 0n,
    xrcOdpCaps: 0,
  };
}

/** What a port's hardware says of itself: FDR, or 40 Gbit/s Ethernet with packets of up to 1500 bytes. */
export const PORT_CAPABILITIES = {
  infiniband: {
    portCapFlags: 0x02514868,
    portCapFlags2: 0,
    maxMsgSz: 0x4000_0000,
    maxMtu: 5, // 4096
    activeMtu: 5,
    maxVlNum: 4,
    activeWidth: 2, // 4X
    activeSpeed: 16, // FDR
    flags: 0,
  },
  ethernet: {
    portCapFlags: 0x04010000, // IB_PORT_CM_SUP, IB_PORT_IP_BASED_GIDS
    portCapFlags2: 0,
    maxMsgSz: 0x4000_0000,
    maxMtu: 5,
    activeMtu: 3, // 1024
    maxVlNum: 2,
    activeWidth: 2,
    activeSpeed: 4, // QDR
    flags: 0,
  },
} as const;
