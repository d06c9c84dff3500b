/** ports/<N> of a device (drivers/infiniband/core/sysfs.c, port attributes and tables). */
import { Errno } from '../../devfs/errno.js';
import { ibUverbsQueryPortCapFlags } from '../abi/index.js';
import { GidType } from '../core/attributes.js';
import type { IbDevice } from '../core/device.js';
import { gidText, hex, linkLayerText, physStateText, portStateText, rateText } from './formats.js';
import type { Kobject } from './kobject.js';

export function populatePort(kobject: Kobject, device: IbDevice, port: number): void {
  const attributes = () => device.ops.queryPort(port);
  const { gidTblLen, pkeyTblLen } = attributes();

  kobject.attribute('state', () => portStateText(attributes().state));
  kobject.attribute('phys_state', () => physStateText(attributes().physState));
  kobject.attribute('lid', () => `0x${hex(attributes().lid)}`);
  kobject.attribute('lid_mask_count', () => attributes().lmc);
  kobject.attribute('sm_lid', () => `0x${hex(attributes().smLid)}`);
  kobject.attribute('sm_sl', () => attributes().smSl);
  kobject.attribute('cap_mask', () => `0x${hex(capabilityMask(attributes().portCapFlags), 8)}`);
  kobject.attribute('rate', () => rateText(attributes().activeWidth, attributes().activeSpeed));
  kobject.attribute('link_layer', () => linkLayerText(attributes().linkLayer));

  kobject.child('gids', (gids) => {
    forEachIndex(gidTblLen, (index) => gids.attribute(`${index}`, () => gidAt(device, port, index)));
  });
  kobject.child('gid_attrs', (gidAttributes) => {
    gidAttributes.child('types', (types) => {
      forEachIndex(gidTblLen, (index) => types.attribute(`${index}`, () => gidTypeAt(device, port, index)));
    });
    gidAttributes.child('ndevs', (ndevs) => {
      forEachIndex(gidTblLen, (index) => ndevs.attribute(`${index}`, noNetdev));
    });
  });
  kobject.child('pkeys', (pkeys) => {
    forEachIndex(pkeyTblLen, (index) =>
      pkeys.attribute(`${index}`, () => `0x${hex(device.ops.queryPkey(port, index), 4)}`),
    );
  });
  kobject.child('counters', (counters) => {
    for (const name of Object.keys(device.portCounters(port))) {
      counters.attribute(name, () => device.portCounters(port)[name] ?? 0n);
    }
  });
}

function forEachIndex(length: number, callback: (index: number) => void): void {
  for (let index = 0; index < length; index++) callback(index);
}

/**
 * The port's own CapabilityMask. In what clients query, one bit of it is taken for something else
 * (make_port_cap_flags(), drivers/infiniband/core/uverbs_std_types_device.c).
 */
function capabilityMask(portCapFlags: number): number {
  return (portCapFlags & ~ibUverbsQueryPortCapFlags.IB_UVERBS_PCF_IP_BASED_GIDS) >>> 0;
}

const ZERO_GID = new Uint8Array(16);

/** An empty entry is no error: readers walk the whole table. */
function gidAt(device: IbDevice, port: number, index: number): string {
  return gidText(device.ops.queryGid(port, index)?.gid ?? ZERO_GID);
}

function gidTypeAt(device: IbDevice, port: number, index: number): string {
  const entry = device.ops.queryGid(port, index);
  if (entry === undefined) throw new Errno('EINVAL', `GID ${index} of port ${port} is empty`);
  return entry.type === GidType.ROCE_V2 ? 'RoCE v2' : 'IB/RoCE v1';
}

/** What the kernel answers for every entry of an InfiniBand port: its GIDs belong to no network interface. */
function noNetdev(): never {
  throw new Errno('EINVAL', 'the GID belongs to no network interface');
}
