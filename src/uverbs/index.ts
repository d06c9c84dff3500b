/** ib_uverbs: a character device for each IB device (core/uverbs_main.c). */
import {
  type Call,
  CharacterDevice,
  type Directory,
  Errno,
  type FileOperations,
  type OpenRequest,
} from '../../devfs/index.js';
import type { CutOff, IbClient } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import type { DeviceEvent } from '../core/events.js';
import type { Journal } from '../core/journal.js';
import type { Sysfs } from '../sysfs/index.js';
import type { KernelProfile } from './profile.js';
import { UverbsDevice } from './uverbs-device.js';

/** IB_UVERBS_MAJOR and IB_UVERBS_BASE_MINOR. */
const MAJOR = 231;
const BASE_MINOR = 192;

/** The pages of the mlx4 mmap ABI: UAR, BlueFlame, nothing, clock. */
const MAPPABLE_BYTES = 4 * 4096;

export class UverbsClient implements IbClient {
  readonly #directory: Directory;
  readonly #sysfs: Sysfs;
  readonly #forgotten: () => Promise<void>;
  readonly #journal: Journal;
  readonly #profileOf: (device: IbDevice) => KernelProfile;
  readonly #devices = new Map<IbDevice, UverbsDevice>();
  /** In use by a node. */
  readonly #numbers = new Set<number>();

  /**
   * @param directory what clients see as /dev/infiniband
   * @param profileOf which kernel a device behaves as
   * @param forgotten resolves when the kernel has dropped the entries that were removed so far
   */
  constructor(
    directory: Directory,
    sysfs: Sysfs,
    forgotten: () => Promise<void>,
    profileOf: (device: IbDevice) => KernelProfile,
    journal: Journal,
  ) {
    this.#journal = journal;
    this.#profileOf = profileOf;
    this.#directory = directory;
    this.#sysfs = sysfs;
    this.#forgotten = forgotten;
  }

  /** Also while its removal waits for its users. */
  device(device: IbDevice): UverbsDevice | undefined {
    return this.#devices.get(device);
  }

  /** Takes the lowest free number, also one that an old descriptor still had. */
  addOne(device: IbDevice): void {
    let number = 0;
    while (this.#numbers.has(number)) number++;
    this.#numbers.add(number);
    const uverbs = new UverbsDevice(device, number, this.#profileOf(device), this.#journal);
    this.#devices.set(device, uverbs);
    this.#sysfs.addVerbsDevice(device, nodeOf(uverbs));
    this.#directory.add(
      uverbs.name,
      new CharacterDevice({
        major: MAJOR,
        minor: BASE_MINOR + number,
        mode: 0o666,
        mappableBytes: MAPPABLE_BYTES,
        revocablePages: uverbs.profile.mappings === 'sigbus',
        open: (request) => this.#open(uverbs, request),
      }),
    );
  }

  #open(uverbs: UverbsDevice, request: OpenRequest): FileOperations {
    try {
      return uverbs.open(request);
    } catch (error) {
      if (error instanceof Errno) {
        const { code, message: why } = error;
        const device = uverbs.deviceName;
        this.#journal.record(() => ({
          event: 'refused',
          device,
          ...callerOf(request.call),
          details: { door: 'open', code, why },
        }));
      }
      throw error;
    }
  }

  /** The node goes first and its number with it, then the files are cut off. */
  async removeOne(device: IbDevice, cutOff: CutOff): Promise<void> {
    const uverbs = this.#devices.get(device);
    if (uverbs === undefined) return;
    this.#directory.remove(uverbs.name);
    this.#sysfs.removeVerbsDevice(device, nodeOf(uverbs));
    this.#numbers.delete(uverbs.number);
    await this.#forgotten();
    await uverbs.remove(cutOff);
    this.#devices.delete(device);
  }

  event(event: DeviceEvent): void {
    this.#devices.get(event.device)?.event(event);
  }
}

/** Nobody, if the daemon cannot see who calls. */
function callerOf(call: Call): { pid?: number; comm?: string } {
  try {
    const process = call.process();
    process.close();
    return { pid: process.pid, comm: process.comm };
  } catch {
    return {};
  }
}

function nodeOf({ name, number }: UverbsDevice): { name: string; major: number; minor: number } {
  return { name, major: MAJOR, minor: BASE_MINOR + number };
}
