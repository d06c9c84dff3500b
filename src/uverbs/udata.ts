import { type Call, copyFromUser, copyToUserLater, Errno } from '../../devfs/index.js';
import type { Udata } from '../core/udata.js';
import type { UserBuffer } from './bundle.js';
import type { UverbsFile } from './file.js';

/** Where the driver's input is: in bytes that came with the command, or in the client's memory. */
export type UdataInput = Uint8Array | UserBuffer;

/** The driver's private part of one command. An absent part is the kernel's NULL pointer: using it is EFAULT. */
export abstract class ClientUdata implements Udata {
  readonly #file: UverbsFile;
  protected readonly call: Call;

  constructor(file: UverbsFile, call: Call) {
    this.#file = file;
    this.call = call;
  }

  protected abstract readonly input: UdataInput | undefined;
  protected abstract readonly output: UserBuffer | undefined;

  /** Where input that came with the command lies in the client's memory, for what follows it there. */
  protected inputAddress(): bigint | undefined {
    return undefined;
  }

  get pid(): number {
    return this.#file.pidOf(this.call);
  }

  get inputLength(): number {
    return this.input?.length ?? 0;
  }

  get outputLength(): number {
    return this.output?.length ?? 0;
  }

  copyIn(length: number): DataView {
    const { input } = this;
    if (input === undefined || input.length === 0) throw new Errno('EFAULT', 'the driver got no input');
    const bytes = this.#bytesOf(input, length);
    if (bytes.length < length) throw new Errno('EFAULT', `the driver got ${bytes.length} of ${length} bytes`);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  #bytesOf(input: UdataInput, length: number): Uint8Array {
    if (!(input instanceof Uint8Array)) return copyFromUser(this.call.tid, input.address, length);
    if (input.length >= length) return input;
    const address = this.inputAddress();
    return address === undefined ? input : copyFromUser(this.call.tid, address, length);
  }

  copyOut(bytes: Uint8Array): void {
    const { output } = this;
    if (output === undefined || output.length === 0) throw new Errno('EFAULT', 'no room for the driver');
    copyToUserLater(this.call.tid, output.address, bytes);
  }
}
