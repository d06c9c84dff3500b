/** A device for the tests: two InfiniBand ports with the values of a ConnectX-3, all of which a test can change. */
import type { DeviceAttributes, GidEntry, PortAttributes } from '../../src/core/attributes.js';
import { IbDevice, type PciFunction } from '../../src/core/device.js';
import type { DeviceOps } from '../../src/core/device-ops.js';

export interface FakeDevice {
  device: IbDevice;
  attributes: DeviceAttributes;
  /** By port number. */
  ports: Record<number, PortAttributes>;
  gids: Map<string, GidEntry>;
  pkeys: Map<string, number>;
  portCounters: Record<string, bigint>;
  hwCounters: Record<string, bigint>;
}

/** Key of a table entry in `gids` and `pkeys`. */
export const at = (port: number, index: number) => `${port}/${index}`;

const PORT: PortAttributes = {
  portCapFlags: 0x0251486a,
  portCapFlags2: 0,
  maxMsgSz: 0x40000000,
  badPkeyCntr: 0,
  qkeyViolCntr: 0,
  gidTblLen: 128,
  pkeyTblLen: 128,
  lid: 1,
  smLid: 1,
  state: 4,
  maxMtu: 5,
  activeMtu: 5,
  lmc: 0,
  maxVlNum: 4,
  smSl: 0,
  subnetTimeout: 18,
  initTypeReply: 0,
  activeWidth: 2,
  activeSpeed: 16,
  physState: 5,
  linkLayer: 1,
  flags: 0,
};

const PCI = {
  address: '1000:03:00.0',
  vendorId: 0x15b3,
  deviceId: 0x1003,
  subsystemVendorId: 0x15b3,
  subsystemDeviceId: 0x0055,
  revision: 0,
  classCode: 0x020700,
};

export function fakeDevice(options: { name?: string; pci?: Partial<PciFunction> } = {}): FakeDevice {
  const base = {
    fwVer: (2n << 32n) | (42n << 16n) | 5000n,
    nodeGuid: 0x0002c90300a1b2c0n,
    sysImageGuid: 0x0002c90300a1b2c3n,
    physPortCnt: 2,
  };
  const prefix = Buffer.from('fe800000000000000002c90300a1b2', 'hex');
  // What sysfs does not look at is left out.
  const attributes = { base } as DeviceAttributes;
  const fake = {
    attributes,
    ports: { 1: { ...PORT }, 2: { ...PORT } } as Record<number, PortAttributes>,
    gids: new Map<string, GidEntry>(
      [1, 2].map((port) => [
        at(port, 0),
        { gid: Buffer.concat([prefix, Buffer.of(0xc0 + port)]), type: 0, netdevIfindex: 0 },
      ]),
    ),
    pkeys: new Map([
      [at(1, 0), 0xffff],
      [at(2, 0), 0xffff],
    ]),
    portCounters: { symbol_error: 0n, port_xmit_data: 1n << 40n } as Record<string, bigint>,
    hwCounters: { rq_num_lle: 0n, sq_num_rnr: 7n } as Record<string, bigint>,
  };
  const ops = {
    driverId: 1,
    uverbsAbiVersion: 4,
    numCompVectors: 1,
    queryDevice: () => fake.attributes,
    queryPort: (port: number) => fake.ports[port]!,
    queryGid: (port: number, index: number) => fake.gids.get(at(port, index)),
    queryPkey: (port: number, index: number) => fake.pkeys.get(at(port, index)) ?? 0,
  } as unknown as DeviceOps;
  const device = new IbDevice({
    name: options.name ?? 'mlx4_0',
    ops,
    pci: { ...PCI, ...options.pci },
    nodeDescription: 'host1 HCA-1',
    driverAttributes: { hw_rev: '0', hca_type: 'MT4099', board_id: 'MT_1090120019' },
    portCounters: () => fake.portCounters,
    hwCounters: () => fake.hwCounters,
  });
  return Object.assign(fake, { device });
}
