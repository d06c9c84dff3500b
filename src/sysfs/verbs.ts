/** class/infiniband_verbs/uverbs<N>: the character device of a device (drivers/infiniband/core/uverbs_main.c). */
import type { Directory } from '../../devfs/nodes.js';
import type { IbDevice } from '../core/device.js';
import { addClassDevice } from './class-device.js';
import type { SysfsDevice } from './device.js';

/** Where the character device is to be found: `name` below /dev/infiniband. */
export interface VerbsNode {
  name: string;
  major: number;
  minor: number;
}

export function addVerbsClassDevice(
  root: Directory,
  parent: SysfsDevice,
  device: IbDevice,
  { name, major, minor }: VerbsNode,
): SysfsDevice {
  return addClassDevice(root, {
    class: 'infiniband_verbs',
    name,
    parent,
    // The mode is that of uverbs_devnode(): everybody may use the device.
    number: { major, minor, path: `infiniband/${name}`, mode: 0o666 },
    populate: (kobject) => {
      kobject.attribute('ibdev', () => device.name);
      kobject.attribute('abi_version', () => device.ops.uverbsAbiVersion);
    },
  });
}
