import type { DeviceOps } from './device-ops.js';

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
