/** The mlx4 driver: what it gives to the core, over one simulated adapter. */
import { Errno } from '../../devfs/errno.js';
import { GidType } from '../core/attributes.js';
import { IbDevice } from '../core/device.js';
import type { DeviceOps, FlowOps, MemoryWindowOps, RssOps, XrcOps } from '../core/device-ops.js';
import type { FabricPort, FabricPortOptions, Subnet } from '../fabric/subnet.js';
import { Adapter } from './adapter.js';
import * as caps from './capabilities.js';
import { newHwCounters, newPortCounters } from './counters.js';
import { createCq, destroyCq, modifyCq, resizeCq } from './cq.js';
import { createFlow, destroyFlow } from './flow.js';
import { completeLimits, type Limits } from './limits.js';
import { deregMr, regUserMr, reregUserMr } from './mr.js';
import { attachMcast, detachMcast } from './multicast.js';
import { allocMw, deallocMw } from './mw.js';
import { allocPd, deallocPd } from './pd.js';
import { createQp, destroyQp } from './qp.js';
import { modifyQp } from './qp-modify.js';
import { queryQp } from './qp-query.js';
import { queryDeviceUdata } from './query-device.js';
import { createSrq, destroySrq, modifySrq, querySrq } from './srq.js';
import { allocUcontext } from './ucontext.js';
import { createRwqIndTable, createWq, destroyWq, modifyWq } from './wq.js';
import { allocXrcd, deallocXrcd } from './xrcd.js';

export interface Mlx4Options {
  name: string;
  nodeGuid: bigint;
  firmware: string;
  boardId: string;
  pciAddress: string;
  ports: number;
  /** Of all ports; InfiniBand if left out. */
  linkLayer?: 'infiniband' | 'ethernet';
  /** Whether flow rules can be made; if left out: on Ethernet. */
  flowSteering?: boolean;
  /** What differs from a real adapter. */
  limits?: Partial<Limits>;
  /** Leaves out `disassociateUcontext`, as drivers without hot removal do. */
  withoutDisassociate: boolean;
}

/** A device ready to be registered. */
export interface Mlx4Device {
  device: IbDevice;
  /** By port number less 1. */
  ports: readonly FabricPort[];
  /** Pulls its cables, when it is unplugged. */
  detach: () => void;
  /** A fatal error: from now on the firmware answers nothing but what frees things. */
  fail: () => void;
}

/** Throws an Error that says which of the limits cannot be. */
export function createMlx4Device(options: Mlx4Options, subnet: Subnet): Mlx4Device {
  const { linkLayer = 'infiniband', flowSteering = linkLayer === 'ethernet' } = options;
  const hca = { ...options, linkLayer, flowSteering, limits: completeLimits(options.limits ?? {}) };
  const ports = Array.from({ length: hca.ports }, (_, i) => subnet.attach(portOptions(hca, i + 1)));
  const portCounters = ports.map(() => newPortCounters());
  const hwCounters = newHwCounters();
  const adapter = new Adapter(hca.limits, ports);
  const device = new IbDevice({
    name: hca.name,
    ops: withFirmware(adapter, deviceOps(hca, adapter)),
    pci: {
      address: hca.pciAddress,
      vendorId: caps.PCI_VENDOR_ID,
      deviceId: caps.PCI_DEVICE_ID,
      subsystemVendorId: caps.PCI_VENDOR_ID,
      subsystemDeviceId: caps.PCI_SUBSYSTEM_ID,
      revision: 0,
      classCode: caps.PCI_CLASS,
    },
    nodeDescription: hca.name,
    driverAttributes: {
      hw_rev: caps.HARDWARE_REVISION.toString(16),
      hca_type: `MT${caps.PCI_DEVICE_ID}`,
      board_id: hca.boardId,
    },
    portCounters: (port) => portCounters[port - 1] ?? {},
    hwCounters: () => hwCounters,
  });
  const detach = (): void => {
    for (const port of ports) subnet.detach(port);
  };
  const fail = (): void => {
    adapter.failed = true;
  };
  return { device, ports, detach, fail };
}

type Hca = Mlx4Options & caps.HcaOptions;

/** An Ethernet port shows one P_Key; the adapter's table is the same. */
function portOptions({ nodeGuid, linkLayer, limits }: Hca, port: number): FabricPortOptions {
  return {
    guid: nodeGuid + BigInt(port),
    linkLayer,
    gidTableLength: limits.gidTableLength,
    pkeyTableLength: linkLayer === 'ethernet' ? 1 : limits.pkeyTableLength,
    capabilities: caps.PORT_CAPABILITIES[linkLayer],
  };
}

function deviceOps(hca: Hca, adapter: Adapter): DeviceOps {
  const attributes = caps.deviceAttributes(hca);
  return {
    driverId: caps.DRIVER_ID,
    uverbsAbiVersion: caps.UVERBS_ABI_VERSION,
    numCompVectors: caps.NUM_COMP_VECTORS,

    queryDevice: () => attributes,
    queryDeviceUdata: (udata) => queryDeviceUdata(adapter, udata),
    queryPort: (port) => adapter.port(port).attributes(),
    queryGid: (port, index) => gidEntry(adapter.port(port), index),
    queryPkey: (port, index) => adapter.port(port).pkey(index),

    allocUcontext: (device, owner, pages, udata) => allocUcontext(adapter, device, owner, pages, udata),
    deallocUcontext: () => {},
    // The adapter has nothing to stop yet: the mappings of a context stay, and nobody looks at them any more.
    ...(!hca.withoutDisassociate && { disassociateUcontext: () => {} }),

    allocPd: (context, udata) => allocPd(adapter, context, udata),
    deallocPd,

    regUserMr: (pd, request, udata) => regUserMr(adapter, pd, request, udata),
    reregUserMr,
    deregMr,

    createCq: (context, request, udata) => createCq(adapter, context, request, udata),
    resizeCq: (cq, cqe, udata) => resizeCq(adapter, cq, cqe, udata),
    modifyCq,
    destroyCq,

    createSrq: (pd, request, udata) => createSrq(adapter, pd, request, udata),
    modifySrq,
    querySrq,
    destroySrq,

    createQp: (context, pd, init, udata) => createQp(adapter, context, pd, init, udata),
    modifyQp: (qp, mask, given) => modifyQp(adapter, qp, mask, given),
    queryQp: (qp) => queryQp(adapter, qp),
    destroyQp: (qp) => destroyQp(adapter, qp),

    attachMcast: (qp, membership) => attachMcast(adapter, qp, membership),
    detachMcast: (qp, membership) => detachMcast(adapter, qp, membership),

    memoryWindows: memoryWindowOps(adapter),
    xrc: xrcOps(adapter),
    ...(hca.flowSteering && { flows: flowOps(adapter) }),
    ...(adapter.hasEthernetPort && { rss: rssOps(adapter) }),
  };
}

/** What asks the firmware for something, and fails with EIO once it is dead (mlx4/cmd.c, mlx4_internal_err_ret_value). */
const FIRMWARE_COMMANDS = [
  'regUserMr',
  'reregUserMr',
  'createCq',
  'resizeCq',
  'modifyCq',
  'createSrq',
  'modifySrq',
  'querySrq',
  'createQp',
  'modifyQp',
  'queryQp',
  'attachMcast',
] as const satisfies (keyof DeviceOps)[];

/** The same operations, refusing what a dead firmware cannot do. */
function withFirmware(adapter: Adapter, ops: DeviceOps): DeviceOps {
  const commands = FIRMWARE_COMMANDS.map((name) => {
    const operation = ops[name] as (...args: unknown[]) => unknown;
    const guarded = (...args: unknown[]): unknown => {
      if (adapter.failed) throw new Errno('EIO', 'the adapter had a fatal error');
      return operation(...args);
    };
    return [name, guarded];
  });
  return { ...ops, ...Object.fromEntries(commands) };
}

/** The adapter has RoCE v1 only. */
function gidEntry(port: FabricPort, index: number): ReturnType<DeviceOps['queryGid']> {
  const gid = port.gid(index);
  return gid && { gid, type: port.isEthernet ? GidType.ROCE_V1 : GidType.IB, netdevIfindex: 0 };
}

const memoryWindowOps = (adapter: Adapter): MemoryWindowOps => ({
  allocMw: (pd, type) => allocMw(adapter, pd, type),
  deallocMw,
});

const xrcOps = (adapter: Adapter): XrcOps => ({
  allocXrcd: (device) => allocXrcd(adapter, device),
  deallocXrcd,
});

const flowOps = (adapter: Adapter): FlowOps => ({
  createFlow: (qp, attributes) => createFlow(adapter, qp, attributes),
  destroyFlow: (flow) => destroyFlow(adapter, flow),
});

const rssOps = (adapter: Adapter): RssOps => ({
  createWq: (pd, init, udata) => createWq(adapter, pd, init, udata),
  modifyWq,
  destroyWq,
  createRwqIndTable: (context, logSize, wqs, udata) =>
    createRwqIndTable(adapter, context, logSize, wqs, udata),
  destroyRwqIndTable: () => {},
});
