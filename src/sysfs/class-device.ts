/** Devices of a class: infiniband, infiniband_verbs and the like. */
import { posix } from 'node:path';
import type { Directory } from '../../devfs/nodes.js';
import { type DeviceNumber, SysfsDevice, type UeventVariables } from './device.js';
import type { Kobject } from './kobject.js';

export interface ClassDeviceOptions {
  class: string;
  name: string;
  /** The hardware that the device belongs to; without, it is a virtual device. */
  parent?: SysfsDevice;
  number?: DeviceNumber;
  /** Lines of uevent beside those of the character device. */
  uevent?: () => UeventVariables;
  populate: (kobject: Kobject) => void;
}

/**
 * Devices of one class and parent stand in a directory of the class's name below the parent, which goes with the
 * last of them; those without a parent below devices/virtual (get_device_parent(), drivers/base/core.c).
 */
export function addClassDevice(root: Directory, options: ClassDeviceOptions): SysfsDevice {
  const { name, parent, number, uevent = () => [], populate } = options;
  const subsystem = posix.join('class', options.class);
  return new SysfsDevice(root, {
    name,
    location: posix.join(parent?.path ?? 'devices/virtual', options.class),
    subsystem,
    listing: subsystem,
    ...(number && { number }),
    uevent,
    populate: (kobject) => {
      if (parent !== undefined) kobject.link('device', parent.path);
      populate(kobject);
    },
  });
}
