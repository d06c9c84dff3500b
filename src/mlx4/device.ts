/** The mlx4 driver: what it gives to the core, over one simulated adapter. */
import { Errno } from '../../devfs/errno.js';
import { mlx4IbAllocPdResp, mlx4IbAllocUcontextResp, mlx4UverbsExQueryDeviceResp } from '../abi/index.js';
import { GidType } from '../core/attributes.js';
import {
  type DeviceOps,
  IbDevice,
  type ProtectionDomain,
  type Ucontext,
  type UserPages,
} from '../core/device.js';
import type { Udata } from '../core/udata.js';
import type { FabricPort, Subnet } from '../fabric/subnet.js';
import * as caps from './capabilities.js';
import { newHwCounters, newPortCounters, type PortCounters } from './counters.js';
import { NumberSpace } from './number-space.js';

export interface Mlx4Options {
  name: string;
  nodeGuid: bigint;
  firmware: string;
  boardId: string;
  pciAddress: string;
  ports: number;
  /** Leaves out `disassociateUcontext`, as drivers without hot removal do. */
  withoutDisassociate: boolean;
}

interface Mlx4Context extends Ucontext {
  /** The UAR page and what follows it. */
  readonly pages: UserPages;
}

interface Mlx4Pd extends ProtectionDomain {
  readonly pdn: number;
}

/** Numbers 0 to 3 belong to the firmware. */
const RESERVED_PDS = 4;

/** The adapter with its cables, and the driver over it. */
class Mlx4Driver {
  readonly portCounters: PortCounters[];
  readonly hwCounters = newHwCounters();
  readonly #options: Mlx4Options;
  readonly #subnet: Subnet;
  readonly #ports: FabricPort[];
  readonly #attributes: ReturnType<typeof caps.deviceAttributes>;
  readonly #pdns: NumberSpace;

  constructor(options: Mlx4Options, subnet: Subnet) {
    this.#options = options;
    this.#subnet = subnet;
    this.#attributes = caps.deviceAttributes(options);
    this.#pdns = new NumberSpace(RESERVED_PDS, this.#attributes.base.maxPd);
    this.portCounters = Array.from({ length: options.ports }, newPortCounters);
    this.#ports = Array.from({ length: options.ports }, (_, i) =>
      subnet.attach({
        guid: options.nodeGuid + BigInt(i + 1),
        gidTableLength: caps.GID_TABLE_LENGTH,
        pkeyTableLength: caps.PKEY_TABLE_LENGTH,
        capabilities: caps.PORT_CAPABILITIES,
      }),
    );
  }

  /** Pulls the cables. */
  detach(): void {
    for (const port of this.#ports) this.#subnet.detach(port);
  }

  ops(): DeviceOps {
    const ops: DeviceOps = {
      driverId: caps.DRIVER_ID,
      uverbsAbiVersion: caps.UVERBS_ABI_VERSION,
      numCompVectors: caps.NUM_COMP_VECTORS,
      queryDevice: () => this.#attributes,
      queryDeviceUdata,
      queryPort: (port) => this.#port(port).attributes(),
      queryGid: (port, index) => {
        const gid = this.#port(port).gid(index);
        return gid && { gid, type: GidType.IB, netdevIfindex: 0 };
      },
      queryPkey: (port, index) => this.#port(port).pkey(index),
      allocUcontext,
      deallocUcontext: () => {},
      allocPd: (context, udata) => this.#allocPd(context, udata),
      deallocPd: (pd) => this.#pdns.free((pd as Mlx4Pd).pdn),
    };
    // The adapter has nothing to stop yet: the mappings of a context stay, and nobody looks at them any more.
    if (!this.#options.withoutDisassociate) ops.disassociateUcontext = () => {};
    return ops;
  }

  #port(number: number): FabricPort {
    return this.#ports[number - 1] as FabricPort;
  }

  #allocPd(context: Ucontext, udata: Udata): Mlx4Pd {
    const pdn = this.#pdns.allocate();
    try {
      const bytes = new Uint8Array(mlx4IbAllocPdResp.size);
      mlx4IbAllocPdResp.write(new DataView(bytes.buffer), 0, { pdn });
      // The kernel writes the number alone, not the reserved word behind it.
      udata.copyOut(bytes.subarray(0, 4));
    } catch (error) {
      this.#pdns.free(pdn);
      throw error;
    }
    return { context, pdn };
  }
}

function allocUcontext(device: IbDevice, pages: UserPages, udata: Udata): Mlx4Context {
  const bytes = new Uint8Array(mlx4IbAllocUcontextResp.size);
  mlx4IbAllocUcontextResp.write(new DataView(bytes.buffer), 0, {
    devCaps: 0,
    qpTabSize: caps.NUM_QPS,
    bfRegSize: caps.BF_REG_SIZE,
    bfRegsPerPage: 0,
    cqeSize: caps.CQE_SIZE,
  });
  udata.copyOut(bytes);
  return { device, pages };
}

/** Input: nothing, or 8 zero bytes. Output: as much of the structure as there is room for. */
function queryDeviceUdata(udata: Udata): void {
  if (udata.inputLength > 0) {
    if (udata.inputLength < 8) throw new Errno('EINVAL', 'the driver input is too short');
    if (udata.copyIn(8).getBigUint64(0) !== 0n) throw new Errno('EINVAL', 'the driver input is not zero');
  }
  if (udata.outputLength === 0) return;
  const bytes = new Uint8Array(mlx4UverbsExQueryDeviceResp.size);
  const length = Math.min(udata.outputLength, bytes.length);
  mlx4UverbsExQueryDeviceResp.write(new DataView(bytes.buffer), 0, {
    compMask: 0, // no clock page
    responseLength: length,
    hcaCoreClockOffset: 0n,
    maxInlRecvSz: caps.MAX_INLINE_RECV_SIZE,
    rssCaps: { rxHashFieldsMask: 0n, rxHashFunction: 0 },
    tsoCaps: { maxTso: 0, supportedQpts: 0 },
  });
  udata.copyOut(bytes.subarray(0, length));
}

/** A device ready to be registered. `detach` takes it off the subnet when it is unplugged. */
export function createMlx4Device(
  options: Mlx4Options,
  subnet: Subnet,
): { device: IbDevice; detach: () => void } {
  const driver = new Mlx4Driver(options, subnet);
  const device = new IbDevice({
    name: options.name,
    ops: driver.ops(),
    pci: {
      address: options.pciAddress,
      vendorId: caps.PCI_VENDOR_ID,
      deviceId: caps.PCI_DEVICE_ID,
      subsystemVendorId: caps.PCI_VENDOR_ID,
      subsystemDeviceId: caps.PCI_SUBSYSTEM_ID,
      revision: 0,
      classCode: caps.PCI_CLASS,
    },
    nodeDescription: options.name,
    driverAttributes: {
      hw_rev: caps.HARDWARE_REVISION.toString(16),
      hca_type: `MT${caps.PCI_DEVICE_ID}`,
      board_id: options.boardId,
    },
    portCounters: (port) => driver.portCounters[port - 1] ?? {},
    hwCounters: () => driver.hwCounters,
  });
  return { device, detach: () => driver.detach() };
}
