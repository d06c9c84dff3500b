import type { CutOff, IbClient } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import type { Sysfs } from './sysfs.js';

/** Shows each device before any other client knows it, and hides it after the last one forgot it. */
export class SysfsClient implements IbClient {
  readonly #sysfs: Sysfs;
  readonly #forgotten: () => Promise<void>;

  /** @param forgotten resolves when the kernel has dropped the entries that were removed so far */
  constructor(sysfs: Sysfs, forgotten: () => Promise<void>) {
    this.#sysfs = sysfs;
    this.#forgotten = forgotten;
  }

  addOne(device: IbDevice): void {
    this.#sysfs.addDevice(device);
  }

  removeOne(device: IbDevice, _cutOff: CutOff): Promise<void> {
    this.#sysfs.removeDevice(device);
    return this.#forgotten();
  }
}
