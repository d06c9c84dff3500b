/**
 * The core: which devices there are, and who wants to know (the kernel's drivers/infiniband/core/device.c).
 */
import { Mutex } from 'async-mutex';
import type { IbDevice } from './device.js';
import type { DeviceEvent } from './events.js';

/** An open file of a device. */
export interface Usage {
  pid: number;
  comm: string;
  /** All that was made through it. */
  objects: number;
  /** The device file, unless it was closed, and its event files. */
  descriptors: number;
}

/** What a removal cut off, for the operator. */
export interface CutOff {
  /** One for each context. */
  contexts: Usage[];
}

/** A part of the program that follows devices: sysfs, uverbs, the connection manager. */
export interface IbClient {
  addOne(device: IbDevice): void;
  /** Cuts the device's users off. Resolves when the device is gone for them. */
  removeOne(device: IbDevice, cutOff: CutOff): Promise<void>;
  /** An event of the device or one of its ports. */
  event?(event: DeviceEvent): void;
}

export class IbCore {
  readonly #clients: IbClient[];
  readonly #devices = new Map<string, IbDevice>();
  /**
   * Registration and removal of a device never interleave: a client sees it whole or not at all. By name, because the
   * removal of one device may wait for its users while others come and go.
   */
  readonly #mutexes = new Map<string, Mutex>();

  /** Clients in the order in which they are told of a new device; of a removal they are told in reverse. */
  constructor(clients: IbClient[]) {
    this.#clients = clients;
  }

  get devices(): ReadonlyMap<string, IbDevice> {
    return this.#devices;
  }

  /** Makes a device known. Throws an Error, with nothing changed, if the name is taken or a client cannot add it. */
  registerDevice(device: IbDevice): Promise<void> {
    return this.#mutexOf(device).runExclusive(async () => {
      if (this.#devices.has(device.name)) throw new Error(`there is a device ${device.name} already`);
      const added: IbClient[] = [];
      try {
        device.registered = true;
        for (const client of this.#clients) {
          client.addOne(device);
          added.push(client);
        }
        this.#devices.set(device.name, device);
      } catch (error) {
        device.registered = false;
        for (const client of added.reverse()) await client.removeOne(device, { contexts: [] });
        throw error;
      }
    });
  }

  /** Removes a device from under its users and says whom that hit. */
  unregisterDevice(device: IbDevice): Promise<CutOff> {
    return this.#mutexOf(device).runExclusive(async () => {
      const cutOff: CutOff = { contexts: [] };
      device.registered = false;
      for (const client of this.#clients.toReversed()) await client.removeOne(device, cutOff);
      this.#devices.delete(device.name);
      return cutOff;
    });
  }

  #mutexOf({ name }: IbDevice): Mutex {
    let mutex = this.#mutexes.get(name);
    if (mutex === undefined) {
      mutex = new Mutex();
      this.#mutexes.set(name, mutex);
    }
    return mutex;
  }

  dispatchEvent(event: DeviceEvent): void {
    for (const client of this.#clients) client.event?.(event);
  }
}
