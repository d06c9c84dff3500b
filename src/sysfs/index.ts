/** The sysfs tree around the devices. */

export { addClassDevice, type ClassDeviceOptions } from './class-device.js';
export { SysfsClient } from './client.js';
export { SysfsDevice } from './device.js';
export { Sysfs } from './sysfs.js';
export type { VerbsNode } from './verbs.js';
