/**
 * A uverbs device (core/uverbs_main.c, struct ib_uverbs_device). It outlives the IB device behind it while old
 * descriptors are open.
 */
import { Errno, type OpenRequest } from '../../devfs/index.js';
import type { CutOff, Usage } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import type { DeviceEvent } from '../core/events.js';
import { Journal } from '../core/journal.js';
import { UverbsFile } from './file.js';
import type { KernelProfile } from './profile.js';
import { type Resource, resourcesOf } from './resources.js';
import { TimeSlice } from './time-slice.js';
import { Uapi } from './uapi.js';
import { XrcdTable } from './xrcd-table.js';

export class UverbsDevice {
  readonly name: string;
  readonly number: number;
  readonly profile: KernelProfile;
  readonly journal: Journal;
  /** Name of the IB device, also when that is gone. */
  readonly deviceName: string;
  readonly xrcds = new XrcdTable();
  /** What it answers; the same after removal. */
  readonly uapi: Uapi;
  #ibDevice: IbDevice | undefined;
  /** Oldest open first. */
  readonly #files = new Set<UverbsFile>();
  #running = 0;
  #idle: (() => void) | undefined;
  #unused: (() => void) | undefined;

  constructor(device: IbDevice, number: number, profile: KernelProfile, journal = new Journal()) {
    this.journal = journal;
    this.deviceName = device.name;
    this.profile = profile;
    this.#ibDevice = device;
    this.number = number;
    this.uapi = new Uapi(device.ops);
    this.name = `uverbs${number}`;
  }

  /** `undefined` from the moment of removal on. */
  get ibDevice(): IbDevice | undefined {
    return this.#ibDevice;
  }

  /** Who has it open, oldest first. */
  users(): Usage[] {
    return [...this.#files].map((file) => file.usage());
  }

  resources(): Resource[] {
    return resourcesOf(this.#files);
  }

  /** Throws ENXIO or, while old descriptors keep the device alive, EIO when the IB device is gone. */
  open({ call, pages }: OpenRequest): UverbsFile {
    if (this.#ibDevice === undefined)
      throw new Errno(this.#files.size > 0 ? 'EIO' : 'ENXIO', 'the device was removed');
    const file = new UverbsFile(this, call, pages);
    this.#files.add(file);
    file.record('opened');
    return file;
  }

  fileReleased(file: UverbsFile): void {
    this.#files.delete(file);
    file.record('closed');
    if (this.#files.size === 0) this.#unused?.();
  }

  /** Counts a running command until the returned function is called. */
  hold(): () => void {
    this.#running++;
    return () => {
      if (--this.#running === 0) this.#idle?.();
    };
  }

  event({ type, port }: DeviceEvent): void {
    for (const file of this.#files) if (file.hasContext) file.deviceEvent(type, port);
  }

  /**
   * Removal, after the node is gone. With disassociation: commands that are inside finish normally, then the files
   * are cut off one by one. Without: sleeps until the last file is closed; clients notice nothing.
   */
  async remove(cutOff: CutOff): Promise<void> {
    const device = this.#ibDevice;
    if (device === undefined) return;
    if (device.ops.disassociateUcontext === undefined) {
      if (this.#files.size > 0) await new Promise<void>((resolve) => (this.#unused = resolve));
      this.#ibDevice = undefined;
      return;
    }
    this.#ibDevice = undefined;
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    const slice = new TimeSlice();
    for (const file of this.#files) {
      if (file.hasContext) cutOff.contexts.push(file.usage());
      await file.disassociate(slice);
    }
    for (const file of this.#files) file.removalDone();
  }
}
