/**
 * A character device that does, on command, whatever a driver may do. The first byte of a write is the command:
 *
 *   echo  65 BYTES...                            BYTES can be read from this open file
 *   wait  77                                     does not return before a `go` on any open file
 *   go    67
 *   peek  70 00*3 u32 LENGTH, u64 ADDRESS        bytes of the caller's memory can be read from this open file
 *   make  6d u8 WIDTH, 00*6, u64 ADDRESS...      a new event descriptor, its number put at the addresses
 *   used  75                                     EBADF unless the device knows that the last `make` is finished
 *   fail  66 u8 ERRNO                            fails with that error
 *   bug   62                                     throws something that is no Errno
 *
 * A read gives one queued message, waiting for it. An ioctl: see `ioctl`.
 */
import {
  type Call,
  CharacterDevice,
  copyFromUser,
  copyToUser,
  DescriptorReply,
  Errno,
  type ErrnoName,
  errno,
  type FileOperations,
  type OpenRequest,
  POLLERR,
  POLLIN,
  POLLOUT,
  POLLRDNORM,
  type PollTable,
  type Result,
  type SharedPages,
  WaitQueue,
} from '../../../devfs/index.js';

export const MAJOR = 240;
export const MINOR = 7;
export const PAGES = 2;

/** ioctl numbers, as text for the door: _IOWR('t', n, 24 bytes). */
export const IOCTL = {
  /** Returns the number of bytes that came with the call. */
  HEADER: '0xc0187401',
  /** Puts `ioctl!!!` where the u64 at byte 8 of the header says; returns 5. */
  POINTER: '0xc0187402',
  /** Puts 24 bytes 0x11 to the argument itself. */
  ARGUMENT: '0xc0187403',
  /** Fails with the errno of byte 0 of the header. */
  FAIL: '0xc0187404',
  /** As the write `make`, its message of 24 bytes being the header. */
  MAKE: '0xc0187405',
} as const;

const NAMES = Object.fromEntries(Object.entries(errno).map(([name, number]) => [number, name]));

function fail(number: number): never {
  throw new Errno(NAMES[number] as ErrnoName, 'as the client wished');
}

/** Messages to be read by one at a time; also what is behind an event descriptor. */
export class Mailbox implements FileOperations {
  readonly #messages: Uint8Array[] = [];
  readonly #changed = new WaitQueue();
  released = 0;
  /** Behind an event descriptor: its number in the client, or the negative errno, once the device knows it. */
  descriptor: number | undefined;
  /** Reported by poll and by a read of the empty mailbox. */
  broken = false;

  put(message: string | Uint8Array): void {
    this.#messages.push(Buffer.from(message));
    this.#changed.wake();
  }

  break(): void {
    this.broken = true;
    this.#changed.wake();
  }

  get sleepers(): number {
    return this.#changed.sleepers;
  }

  read(call: Call, _count: number): Result<Uint8Array> {
    const message = this.#messages.shift();
    if (message !== undefined) return message;
    if (this.broken) throw new Errno('EIO');
    if ((call.flags & 0o4000) !== 0) throw new Errno('EAGAIN');
    return this.#changed.sleep(call).then(() => this.read(call, _count));
  }

  poll(_call: Call, table: PollTable): number {
    table.add(this.#changed);
    if (this.#messages.length > 0) return POLLIN | POLLRDNORM;
    return this.broken ? POLLERR : 0;
  }

  release(): void {
    this.released++;
  }
}

/** One open of the device. */
export class ToyFile extends Mailbox {
  readonly pages: SharedPages;
  readonly #device: ToyDevice;

  constructor(device: ToyDevice, pages: SharedPages) {
    super();
    this.#device = device;
    this.pages = pages;
  }

  write(call: Call, data: Buffer): Result<number | DescriptorReply> {
    this.#device.writes++;
    switch (String.fromCharCode(data[0] ?? 0)) {
      case 'e':
        this.put(data.subarray(1));
        return data.length;
      case 'w': {
        const { length } = data;
        return this.#device.gate.sleep(call).then(() => length);
      }
      case 'g':
        this.#device.gate.wake();
        return data.length;
      case 'p':
        this.put(copyFromUser(call.tid, data.readBigUInt64LE(8), data.readUInt32LE(4)));
        return data.length;
      case 'm':
        return this.#make(data, data.length);
      case 'u':
        if (!this.#device.lastMadeIsFinished) throw new Errno('EBADF');
        return data.length;
      case 'f':
        return fail(data[1] ?? 0);
      case 'b':
        throw new TypeError('a bug of the toy');
      default:
        return data.length;
    }
  }

  ioctl(call: Call, command: number, arg: bigint, header: Buffer): Result<number | DescriptorReply> {
    switch (`0x${command.toString(16)}`) {
      case IOCTL.HEADER:
        return header.length;
      case IOCTL.POINTER:
        copyToUser(call.tid, header.readBigUInt64LE(8), Buffer.from('ioctl!!!'));
        return 5;
      case IOCTL.ARGUMENT:
        copyToUser(call.tid, arg, Buffer.alloc(24, 0x11));
        return 0;
      case IOCTL.FAIL:
        return fail(header[0] ?? 0);
      case IOCTL.MAKE:
        return this.#make(header, 0);
      default:
        throw new Errno('ENOTTY');
    }
  }

  override poll(call: Call, table: PollTable): number {
    return super.poll(call, table) | POLLOUT;
  }

  override release(): void {
    super.release();
    this.#device.files.delete(this);
  }

  #make(message: Buffer, result: number): DescriptorReply {
    const mailbox = new Mailbox();
    const width = message[1] === 8 ? 8 : 4;
    const writes: { address: bigint; width: 4 | 8 }[] = [];
    for (let at = 8; at < message.length; at += 8)
      writes.push({ address: message.readBigUInt64LE(at), width });
    this.#device.mailboxes.push(mailbox);
    this.#device.lastMadeIsFinished = false;
    return new DescriptorReply(mailbox, result, writes, (descriptor) => {
      this.#device.lastMadeIsFinished = true;
      mailbox.descriptor = descriptor;
      this.#device.onFinished();
    });
  }
}

export class ToyDevice {
  readonly node: CharacterDevice;
  /** The open files, oldest first. */
  readonly files = new Set<ToyFile>();
  /** What is behind the event descriptors made so far. */
  readonly mailboxes: Mailbox[] = [];
  onFinished = (): void => {};
  lastMadeIsFinished = true;
  writes = 0;
  /** Where the writes `wait` wait. */
  readonly gate = new WaitQueue();
  /** Set by a test to delay or refuse opens. */
  beforeOpen: (call: Call) => Result<void> = () => undefined;

  /** `mappable`: whether it has pages; a device without them may keep some of a client's threads waiting. */
  constructor({ mappable = true } = {}) {
    this.node = new CharacterDevice({
      major: MAJOR,
      minor: mappable ? MINOR : MINOR + 1,
      mode: 0o666,
      mappableBytes: mappable ? PAGES * 4096 : 0,
      open: (request) => this.#open(request),
    });
  }

  /** The open file at `index`, oldest first. */
  file(index = 0): ToyFile {
    const file = [...this.files][index];
    if (file === undefined) throw new Error(`the toy has no open file ${index}`);
    return file;
  }

  #open({ call, pages }: OpenRequest): Result<FileOperations> {
    const ready = this.beforeOpen(call);
    const make = (): FileOperations => {
      const file = new ToyFile(this, pages);
      this.files.add(file);
      return file;
    };
    return ready instanceof Promise ? ready.then(make) : make();
  }
}
