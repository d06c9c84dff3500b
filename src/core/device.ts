import type { DeviceAttributes, GidEntry, PortAttributes } from './attributes.js';
import type { Udata } from './udata.js';

/** Pages that the client maps from its descriptor, and the daemon's view of them. */
export interface UserPages {
  readonly buffer: ArrayBuffer;
}

/** One client's use of a device, as the kernel's ib_ucontext. Drivers extend it. */
export interface Ucontext {
  readonly device: IbDevice;
}

/** A protection domain. Drivers extend it. */
export interface ProtectionDomain {
  readonly context: Ucontext;
}

/**
 * What a driver gives to the core (the kernel's ib_device_ops). Everything throws `Errno`. A driver that leaves out
 * `disassociateUcontext` makes removal wait until the last open file is closed.
 */
export interface DeviceOps {
  /** RDMA_DRIVER_*. */
  readonly driverId: number;
  /** `abi_version` of the uverbs device. */
  readonly uverbsAbiVersion: number;
  readonly numCompVectors: number;

  queryDevice(): DeviceAttributes;
  /** Writes the driver's private part of the extended query. */
  queryDeviceUdata(udata: Udata): void;
  /** `port` is valid. */
  queryPort(port: number): PortAttributes;
  /** `port` is valid; `index` is below gidTblLen. `undefined` for an empty entry. */
  queryGid(port: number, index: number): GidEntry | undefined;
  /** `port` is valid; `index` is below pkeyTblLen. */
  queryPkey(port: number, index: number): number;

  allocUcontext(device: IbDevice, pages: UserPages, udata: Udata): Ucontext;
  deallocUcontext(context: Ucontext): void;
  /** Cuts a context off from the hardware; its client keeps its descriptors. */
  disassociateUcontext?(context: Ucontext): void;

  allocPd(context: Ucontext, udata: Udata): ProtectionDomain;
  deallocPd(pd: ProtectionDomain): void;
}

/** The PCI function that an HCA sits on, as far as clients look at it. */
export interface PciFunction {
  /** `dddd:bb:dd.f`. */
  readonly address: string;
  readonly vendorId: number;
  readonly deviceId: number;
  readonly subsystemVendorId: number;
  readonly subsystemDeviceId: number;
  readonly revision: number;
  /** 24-bit class code. */
  readonly classCode: number;
}

export interface IbDeviceOptions {
  name: string;
  ops: DeviceOps;
  pci: PciFunction;
  nodeDescription: string;
  /** The driver's own attributes in sysfs (hca_type, board_id, …): file name to content without the newline. */
  driverAttributes: Record<string, string>;
  /** Counters of a port by their sysfs name. */
  portCounters: (port: number) => Record<string, bigint>;
  /** Diagnostic counters of the device (`hw_counters`). */
  hwCounters: () => Record<string, bigint>;
}

/** A registered device, as the kernel's ib_device. A device that is plugged again is a new one. */
export class IbDevice {
  readonly name: string;
  readonly ops: DeviceOps;
  readonly pci: PciFunction;
  nodeDescription: string;
  readonly driverAttributes: Record<string, string>;
  readonly portCounters: (port: number) => Record<string, bigint>;
  readonly hwCounters: () => Record<string, bigint>;
  readonly portCount: number;
  /** Set while clients can reach it; a driver refuses new contexts without (the kernel's ib_active). */
  registered = false;

  constructor(options: IbDeviceOptions) {
    this.name = options.name;
    this.ops = options.ops;
    this.pci = options.pci;
    this.nodeDescription = options.nodeDescription;
    this.driverAttributes = options.driverAttributes;
    this.portCounters = options.portCounters;
    this.hwCounters = options.hwCounters;
    this.portCount = options.ops.queryDevice().base.physPortCnt;
  }

  isValidPort(port: number): boolean {
    return port >= 1 && port <= this.portCount;
  }

  /** Port numbers, from 1. */
  get ports(): number[] {
    return Array.from({ length: this.portCount }, (_, i) => i + 1);
  }
}
