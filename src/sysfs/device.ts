/** What every device has in sysfs, of whatever class or bus (the kernel's device_add(), drivers/base/core.c). */
import { posix } from 'node:path';
import { Errno } from '../../devfs/errno.js';
import { Attribute, type Directory, Symlink } from '../../devfs/nodes.js';
import { Kobject, linkTarget } from './kobject.js';

/** Lines of a uevent file: key and value. */
export type UeventVariables = readonly (readonly [key: string, value: string | number])[];

/** The character device that belongs to a device. */
export interface DeviceNumber {
  major: number;
  minor: number;
  /** Path below /dev. */
  path: string;
  /** Permission bits that udev is asked for; without, it decides. */
  mode?: number;
}

export interface SysfsDeviceOptions {
  name: string;
  /** The directory that the device's own directory goes into. It comes into being with its first entry. */
  location: string;
  /** The directory of the class or bus, `class/infiniband` or `bus/pci`. */
  subsystem: string;
  /** The directory in which the subsystem links to its devices. */
  listing: string;
  /** Name of the driver that the device is bound to. */
  driver?: string;
  number?: DeviceNumber;
  uevent: () => UeventVariables;
  /** Adds what the device has beside that. */
  populate: (kobject: Kobject) => void;
}

/** A device in the tree. */
export class SysfsDevice {
  readonly name: string;
  readonly path: string;
  readonly #root: Directory;
  readonly #location: string;
  /** Where links lead to the device from, in the order in which they are made. */
  readonly #links: { directory: string; name: string }[] = [];

  /**
   * Puts the device into the tree under `root`. Its directory is built to the end before anybody can see it; the
   * link by which clients find it comes last. Throws an Error, with the tree as it was, if there is a device of that
   * name or number already.
   */
  constructor(root: Directory, options: SysfsDeviceOptions) {
    const { name, location, subsystem, listing, driver, number, populate } = options;
    this.name = name;
    this.path = posix.join(location, name);
    this.#root = root;
    this.#location = location;
    if (number !== undefined) this.#links.push({ directory: 'dev/char', name: numberText(number) });
    if (driver !== undefined) this.#links.push({ directory: driverPath(subsystem, driver), name });
    this.#links.push({ directory: listing, name });
    for (const { directory, name } of this.#links) {
      if (root.path(directory).entries.has(name))
        throw new Error(`${directory} has a device ${name} already`);
    }

    const kobject = new Kobject(this.path);
    kobject.directory.add('uevent', new Attribute(() => ueventText(options), acceptUevent));
    kobject.link('subsystem', subsystem);
    kobject.child('power', populatePower);
    if (number !== undefined) kobject.attribute('dev', () => numberText(number));
    if (driver !== undefined) kobject.link('driver', driverPath(subsystem, driver));
    populate(kobject);

    root.path(location).add(name, kobject.directory);
    for (const { directory, name } of this.#links) {
      root.path(directory).add(name, new Symlink(linkTarget(directory, this.path)));
    }
  }

  /** Takes the device away in reverse: who finds a link can follow it. */
  remove(): void {
    for (const { directory, name } of this.#links.toReversed()) this.#root.path(directory).remove(name);
    const siblings = this.#root.path(this.#location);
    siblings.remove(this.name);
    if (siblings.entries.size > 0) return;
    this.#root.path(posix.dirname(this.#location)).remove(posix.basename(this.#location));
  }
}

function numberText({ major, minor }: DeviceNumber): string {
  return `${major}:${minor}`;
}

function driverPath(subsystem: string, driver: string): string {
  return posix.join(subsystem, 'drivers', driver);
}

/** dev_uevent(): the character device first, then the driver, then what the subsystem adds. */
function ueventText({ number, driver, uevent }: SysfsDeviceOptions): string {
  const variables: [string, string | number][] = [];
  if (number !== undefined) {
    variables.push(['MAJOR', number.major], ['MINOR', number.minor], ['DEVNAME', number.path]);
    if (number.mode !== undefined) variables.push(['DEVMODE', `0${number.mode.toString(8)}`]);
  }
  if (driver !== undefined) variables.push(['DRIVER', driver]);
  return [...variables, ...uevent()].map(([key, value]) => `${key}=${value}\n`).join('');
}

const UEVENT_ACTIONS = new Set(['add', 'remove', 'change', 'move', 'online', 'offline', 'bind', 'unbind']);

/**
 * What `udevadm trigger` writes: an action, perhaps with a UUID and variables (kobject_synth_uevent()). Nobody
 * listens for events of simulated devices, so there is nothing to do for a good one.
 */
export function acceptUevent(text: string): void {
  const action = text.split(/[ \n]/, 1)[0] ?? '';
  if (!UEVENT_ACTIONS.has(action)) throw new Errno('EINVAL', `there is no uevent action ${action}`);
}

/** drivers/base/power/sysfs.c, for a device that does not take part in runtime power management. */
export function populatePower(power: Kobject): void {
  power.attribute('control', () => 'auto');
  power.attribute('runtime_status', () => 'unsupported');
  power.attribute('runtime_active_time', () => 0);
  power.attribute('runtime_suspended_time', () => 0);
}
