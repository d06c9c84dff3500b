/** A client of a device with no kernel between them: its commands go straight to the handlers. */
import type { Test } from 'tap';
import type { Result } from '../../../devfs/index.js';
import type { Mlx4Options } from '../../../src/mlx4/device.js';
import type { UverbsFile } from '../../../src/uverbs/file.js';
import type { ProfileName } from '../../../src/uverbs/profile.js';
import type { ObjectType } from '../../../src/uverbs/uobject.js';
import { ClientMemory } from '../../fuzz/support/client-memory.js';
import { Machine, type Outcome } from '../../fuzz/support/machine.js';
import { GET_CONTEXT } from './context.js';
import { byWrite, type Command, type Ioctl } from './messages.js';

/** As many ioctls can wait side by side. */
const IOCTLS = 8;
const IOCTL_BYTES = 256;

export class DirectClient {
  readonly machine: Machine;
  readonly file: UverbsFile;
  /** Of the asynchronous events. */
  readonly asyncFd: number;
  readonly #memory: ClientMemory;
  #ioctls = 0;

  private constructor(memory: ClientMemory, machine: Machine) {
    this.#memory = memory;
    this.machine = machine;
    this.file = machine.open();
    this.asyncFd = this.make(GET_CONTEXT);
  }

  /** With a context. It ends with the test. */
  static async start(
    t: Test,
    kernel: ProfileName,
    options: Partial<Mlx4Options> = {},
  ): Promise<DirectClient> {
    const memory = await ClientMemory.start(t);
    return new DirectClient(memory, new Machine(memory, options, kernel));
  }

  /** Opens the same device once more. */
  another(): DirectClient {
    return new DirectClient(this.#memory, this.machine);
  }

  /** Sends a command that must not wait. */
  send(command: Command): Outcome {
    return this.machine.write(this.file, this.#memory.places.bytes(byWrite(command)));
  }

  /** Sends a command that may wait. */
  begin(command: Command): Result<Outcome> {
    return this.machine.beginWrite(this.file, this.#memory.places.bytes(byWrite(command)));
  }

  beginIoctl({ message }: Ioctl): Result<Outcome> {
    // One that waits reads it again.
    const address = this.#memory.places.address('A', (this.#ioctls++ % IOCTLS) * IOCTL_BYTES);
    this.#memory.write(address, this.#memory.places.bytes(message));
    return this.machine.beginIoctl(this.file, address);
  }

  /** The handle, or descriptor, of what must be made. */
  make(command: Command): number {
    const outcome = this.send(command);
    if (typeof outcome === 'string') throw new Error(`write command ${command.number}: ${outcome}`);
    return this.response().readInt32LE(0);
  }

  /** An address of memory that it can register. */
  get scratch(): bigint {
    return this.#memory.places.address('B');
  }

  /** What the last response begins with. */
  response(): Buffer {
    return this.#memory.read(this.#memory.places.address('R'), 64);
  }

  /** The newest object of a type. */
  object<T>(type: ObjectType<T>): T {
    for (const uobject of this.file.uobjects.newestFirst()) {
      if (uobject.type.id === type.id) return uobject.object as T;
    }
    throw new Error(`there is no ${type.name}`);
  }
}
