/** class/infiniband/<name>: a device of the core (drivers/infiniband/core/sysfs.c, device attributes). */
import type { Directory } from '../../devfs/nodes.js';
import type { IbDevice } from '../core/device.js';
import { addClassDevice } from './class-device.js';
import type { SysfsDevice } from './device.js';
import { firmwareVersionText, guidText } from './formats.js';
import { populateHwCounters } from './hw-counters.js';
import type { Kobject } from './kobject.js';
import { populatePort } from './port.js';

/** IB_DEVICE_NODE_DESC_MAX, in bytes. */
const NODE_DESC_MAX = 64;

/**
 * The directory's mtime tells libibverbs (init.c) a device from another that had its name before. Nothing is added
 * to the directory afterwards, so it is the time of this call for as long as the device is there.
 */
export function addInfinibandDevice(root: Directory, parent: SysfsDevice, device: IbDevice): SysfsDevice {
  return addClassDevice(root, {
    class: 'infiniband',
    name: device.name,
    parent,
    uevent: () => [['NAME', device.name]],
    populate: (kobject) => populate(kobject, device),
  });
}

function populate(kobject: Kobject, device: IbDevice): void {
  const base = () => device.ops.queryDevice().base;
  kobject.attribute('node_type', () => '1: CA');
  kobject.attribute('node_guid', () => guidText(base().nodeGuid));
  kobject.attribute('sys_image_guid', () => guidText(base().sysImageGuid));
  kobject.attribute('fw_ver', () => firmwareVersionText(base().fwVer));
  kobject.attribute(
    'node_desc',
    () => nodeDescription(device.nodeDescription),
    // node_desc_store() keeps a newline that is written, and so does this: writers leave it out.
    (text) => {
      device.nodeDescription = nodeDescription(text);
    },
  );
  for (const name of Object.keys(device.driverAttributes)) {
    kobject.attribute(name, () => device.driverAttributes[name] ?? '');
  }
  if (Object.keys(device.hwCounters()).length > 0) {
    kobject.child('hw_counters', (child) => populateHwCounters(child, device));
  }
  kobject.child('ports', (ports) => {
    for (const port of device.ports) ports.child(`${port}`, (child) => populatePort(child, device, port));
  });
}

/** What of a text fits a node description: NODE_DESC_MAX bytes up to a NUL, without a character cut in half. */
function nodeDescription(text: string): string {
  const bytes = Buffer.from(text).subarray(0, NODE_DESC_MAX);
  const [description = ''] = new TextDecoder().decode(bytes, { stream: true }).split('\0', 1);
  return description;
}
