import { copyFromUser, copyToUserLater, Errno } from '../../devfs/index.js';
import type { Udata } from '../core/udata.js';
import type { UserBuffer } from './bundle.js';

/** Where the driver's input is: in bytes that came with the command, or in the client's memory. */
export type UdataInput = Uint8Array | UserBuffer;

/**
 * The driver's private part of one command. An absent part is the kernel's NULL pointer: using it is EFAULT.
 * Both parts are named by functions, because the ioctl door knows them only when all attributes are parsed.
 */
export class ClientUdata implements Udata {
  readonly #pid: () => number;
  readonly #tid: number;
  readonly #input: () => UdataInput | undefined;
  readonly #output: () => UserBuffer | undefined;
  readonly #beyond: () => bigint | undefined;

  /** @param beyond where input that came with the command lies in the client's memory, for what follows it there */
  constructor(
    pid: () => number,
    tid: number,
    input: () => UdataInput | undefined,
    output: () => UserBuffer | undefined,
    beyond: () => bigint | undefined = () => undefined,
  ) {
    this.#pid = pid;
    this.#tid = tid;
    this.#input = input;
    this.#output = output;
    this.#beyond = beyond;
  }

  get pid(): number {
    return this.#pid();
  }

  get inputLength(): number {
    return this.#input()?.length ?? 0;
  }

  get outputLength(): number {
    return this.#output()?.length ?? 0;
  }

  copyIn(length: number): DataView {
    const input = this.#input();
    if (input === undefined || input.length === 0) throw new Errno('EFAULT', 'the driver got no input');
    const bytes = this.#bytesOf(input, length);
    if (bytes.length < length) throw new Errno('EFAULT', `the driver got ${bytes.length} of ${length} bytes`);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  }

  #bytesOf(input: UdataInput, length: number): Uint8Array {
    if (!(input instanceof Uint8Array)) return copyFromUser(this.#tid, input.address, length);
    if (input.length >= length) return input;
    const address = this.#beyond();
    return address === undefined ? input : copyFromUser(this.#tid, address, length);
  }

  copyOut(bytes: Uint8Array): void {
    const output = this.#output();
    if (output === undefined || output.length === 0) throw new Errno('EFAULT', 'no room for the driver');
    copyToUserLater(this.#tid, output.address, bytes);
  }
}
