/** Questions about the device and its ports. */
import { Errno } from '../../../devfs/index.js';
import type { DeviceAttributes, GidEntry, PortAttributes } from '../../core/attributes.js';
import type { Bundle } from '../bundle.js';

export function queryDevice(bundle: Bundle): DeviceAttributes {
  return bundle.context.device.ops.queryDevice();
}

/** Throws EINVAL for a port that the device has not. */
export function queryPort(bundle: Bundle, port: number): PortAttributes {
  const { device } = bundle.context;
  if (!device.isValidPort(port)) throw new Errno('EINVAL', `${device.name} has no port ${port}`);
  return device.ops.queryPort(port);
}

/** Throws EINVAL for a bad port or index, ENODATA for an empty entry. */
export function queryGidEntry(bundle: Bundle, port: number, index: number): GidEntry {
  const { device } = bundle.context;
  const { gidTblLen } = queryPort(bundle, port);
  if (index >= gidTblLen) throw new Errno('EINVAL', `port ${port} has ${gidTblLen} GIDs`);
  const entry = device.ops.queryGid(port, index);
  if (entry === undefined) throw new Errno('ENODATA', `GID ${index} of port ${port} is empty`);
  return entry;
}

/** All GIDs of all ports that are set. */
export function queryGidTable(bundle: Bundle): { port: number; index: number; entry: GidEntry }[] {
  const { device } = bundle.context;
  return device.ports.flatMap((port) =>
    Array.from({ length: device.ops.queryPort(port).gidTblLen }, (_, index) => ({
      port,
      index,
      entry: device.ops.queryGid(port, index),
    })).filter((row): row is { port: number; index: number; entry: GidEntry } => row.entry !== undefined),
  );
}
