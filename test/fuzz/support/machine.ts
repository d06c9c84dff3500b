/**
 * A device and its open files without a kernel between them and their client: commands go straight to the handlers of
 * the two doors, and what the client agent would do is done here.
 */
import { constants } from 'node:fs';
import {
  Call,
  type DescriptorReply,
  Errno,
  type FileOperations,
  pinnedPagesOf,
  type Result,
  SharedPages,
} from '../../../devfs/index.js';
import { ibUverbsIoctlHdr, RDMA_VERBS_IOCTL } from '../../../src/abi/index.js';
import type { Mlx4Options } from '../../../src/mlx4/device.js';
import { NumberSpace } from '../../../src/mlx4/number-space.js';
import type { UverbsFile } from '../../../src/uverbs/file.js';
import { type ProfileName, profiles } from '../../../src/uverbs/profile.js';
import { UverbsDevice } from '../../../src/uverbs/uverbs-device.js';
import { makeHca } from '../../mlx4/support/hca.js';
import { type ClientMemory, DESCRIPTORS, nameOfDescriptor } from './client-memory.js';

/** The name of an errno, or the result. */
export type Outcome = string | number;

/** All number spaces that have been used. */
const numberSpaces = new Set<NumberSpace>();
const { allocate } = NumberSpace.prototype;
NumberSpace.prototype.allocate = function (this: NumberSpace, count?: number): number {
  numberSpaces.add(this);
  return allocate.call(this, count);
};

export class Machine {
  readonly client: ClientMemory;
  readonly uverbs: UverbsDevice;
  readonly #call: Call;
  readonly #detach: () => void;
  /** Pages that were pinned before. */
  readonly #pages: bigint;
  /** Installed descriptors by number; `undefined` for those that are free. */
  readonly #descriptors: (FileOperations | undefined)[] = Array.from(
    { length: DESCRIPTORS },
    () => undefined,
  );

  constructor(client: ClientMemory, options: Partial<Mlx4Options> = {}, kernel: ProfileName = '6.12') {
    this.client = client;
    this.#pages = pinnedPagesOf(client.pid);
    this.#call = new Call(client.pid, 0, 0, constants.O_RDWR);
    const { device, detach } = makeHca(options);
    numberSpaces.clear();
    device.registered = true;
    this.#detach = detach;
    this.uverbs = new UverbsDevice(device, 0, profiles[kernel]);
  }

  open(): UverbsFile {
    return this.uverbs.open({ call: this.#call, pages: SharedPages.none });
  }

  /** Throws what a handler throws beside an Errno, and an Error if the command waits. */
  write(file: UverbsFile, bytes: Buffer): Outcome {
    return atOnce(this.#begin(() => file.write(this.#call, bytes)));
  }

  /** An ioctl whose argument is at `address`; the kernel copies the header, if it can. */
  ioctl(file: UverbsFile, address: bigint, command = RDMA_VERBS_IOCTL): Outcome {
    return atOnce(this.beginIoctl(file, address, command));
  }

  /** The same for a command that may wait for the end of a removal. */
  beginWrite(file: UverbsFile, bytes: Buffer): Result<Outcome> {
    return this.#begin(() => file.write(this.#call, bytes));
  }

  beginIoctl(file: UverbsFile, address: bigint, command = RDMA_VERBS_IOCTL): Result<Outcome> {
    return this.#begin(() => {
      const header = this.client.read(address, ibUverbsIoctlHdr.size);
      return file.ioctl(this.#call, command, address, header);
    });
  }

  /** Reads from a descriptor that was installed: bytes, or the name of an errno. */
  async read(descriptor: number, count: number, flags = 0): Promise<Uint8Array | string> {
    const call = new Call(this.client.pid, 0, 0, flags);
    try {
      return (await this.#operations(descriptor)?.read?.(call, count)) ?? 'EBADF';
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** The poll(2) bits of a descriptor that was installed. */
  poll(descriptor: number): number | undefined {
    return this.#operations(descriptor)?.poll?.(this.#call, { add: () => {} });
  }

  /** Closes a descriptor that was installed. */
  close(descriptor: number): void {
    this.#operations(descriptor)?.release?.();
    this.#descriptors[descriptor - this.client.firstDescriptor] = undefined;
  }

  #operations(descriptor: number): FileOperations | undefined {
    return this.#descriptors[descriptor - this.client.firstDescriptor];
  }

  get hasFreeDescriptor(): boolean {
    return this.#descriptors.includes(undefined);
  }

  /** Descriptors of open event files. */
  get descriptors(): number[] {
    return [...this.#descriptors.keys()]
      .filter((index) => this.#descriptors[index] !== undefined)
      .map((index) => this.client.firstDescriptor + index);
  }

  /** Removes the device. */
  async unplug(): Promise<void> {
    await this.uverbs.remove({ contexts: [] });
    this.#detach();
  }

  /** What is left although every file is closed; '' when nothing is. */
  leaks(): string {
    const numbers = [...numberSpaces].reduce((sum, space) => sum + space.inUse, 0);
    const pages = pinnedPagesOf(this.client.pid) - this.#pages;
    const resources = this.uverbs.resources().length;
    if (numbers === 0 && pages === 0n && resources === 0) return '';
    return `${numbers} numbers, ${pages} pinned pages and ${resources} resources are still in use`;
  }

  #begin(call: () => Result<number | DescriptorReply>): Result<Outcome> {
    try {
      const result = call();
      return result instanceof Promise
        ? result.then((late) => this.#settle(late), errnoOf)
        : this.#settle(result);
    } catch (error) {
      return errnoOf(error);
    }
  }

  #settle(result: number | DescriptorReply): Outcome {
    return typeof result === 'number' ? result : this.#install(result);
  }

  /** What the client agent does, and how it fails. */
  #install({ file, result, writes, finished }: DescriptorReply): Outcome {
    const index = this.#descriptors.indexOf(undefined);
    if (index < 0) return this.#refuse('EMFILE', finished);
    const descriptor = this.client.firstDescriptor + index;
    for (const { address, width } of writes) {
      const number = Buffer.alloc(width);
      number.writeUInt32LE(descriptor);
      if (!this.client.write(address, number)) return this.#refuse('EFAULT', finished);
    }
    this.#descriptors[index] = file;
    finished(descriptor, nameOfDescriptor(index));
    return result;
  }

  #refuse(code: 'EMFILE' | 'EFAULT', finished: DescriptorReply['finished']): Outcome {
    finished(-new Errno(code).errno, '');
    return code;
  }
}

/** The name of an Errno. Throws what is something else. */
function errnoOf(error: unknown): string {
  if (error instanceof Errno) return error.code;
  throw error;
}

function atOnce(outcome: Result<Outcome>): Outcome {
  if (outcome instanceof Promise) throw new Error('a command waits although no removal is under way');
  return outcome;
}
