/**
 * One open uverbs file (core/uverbs_main.c, struct ib_uverbs_file): its context, its objects, its event files,
 * and what removal of the device does to them.
 */
import {
  type Call,
  type ClientProcess,
  type DescriptorReply,
  Errno,
  type FileOperations,
  type Result,
  threadGroupOf,
} from '../../devfs/index.js';
import type { Usage } from '../core/core.js';
import type { IbDevice } from '../core/device.js';
import { EventType } from '../core/events.js';
import type { Ucontext, UserPages } from '../core/objects.js';
import { AsyncEventFile } from './events/async-event-file.js';
import type { EventFile } from './events/event-file.js';
import { runIoctl } from './ioctl/framing.js';
import type { KernelProfile } from './profile.js';
import type { TimeSlice } from './time-slice.js';
import type { Uapi } from './uapi.js';
import { RemovalInProgress, RemoveReason, type Uobject, UobjectTable } from './uobject.js';
import type { UverbsDevice } from './uverbs-device.js';
import { runWrite } from './write/framing.js';
import type { XrcdTable } from './xrcd-table.js';

export class UverbsFile implements FileOperations {
  readonly process: ClientProcess;
  readonly pages: UserPages;
  readonly uobjects: UobjectTable;
  readonly #uverbsDevice: UverbsDevice;
  readonly #uid: number;
  readonly #gid: number;
  /** By the name of their descriptor, oldest first. */
  readonly #eventFiles = new Map<string, EventFile>();
  #defaultAsyncFile: AsyncEventFile | undefined;
  #context: Ucontext | undefined;
  #closed = false;

  constructor(uverbsDevice: UverbsDevice, call: Call, pages: UserPages) {
    this.#uverbsDevice = uverbsDevice;
    const { handleSpaces, unknownHandle } = uverbsDevice.profile;
    this.uobjects = new UobjectTable(handleSpaces(), unknownHandle);
    this.process = call.process();
    this.pages = pages;
    this.#uid = call.uid;
    this.#gid = call.gid;
  }

  write(call: Call, data: Buffer): Result<number | DescriptorReply> {
    return this.#run('write', data, (data) => runWrite(this, call, data));
  }

  ioctl(call: Call, command: number, argument: bigint, header: Buffer): Result<number | DescriptorReply> {
    return this.#run('ioctl', header, (header) => runIoctl(this, call, command, argument, header));
  }

  /** Runs a command whose bytes, valid only now, are `data`; once more after a removal that it met. */
  #run<T>(door: string, data: Buffer, run: (data: Buffer) => T): Result<T> {
    try {
      return run(data);
    } catch (error) {
      if (error instanceof RemovalInProgress) {
        const kept = Buffer.from(data);
        return error.removal.then(() => this.#run(door, kept, run));
      }
      if (error instanceof Errno)
        this.record('refused', () => ({ door, code: error.code, why: error.message }));
      throw error;
    }
  }

  /** Tells whoever watches what happens to this client. */
  record(event: string, details?: () => Record<string, string | number>): void {
    const { journal, deviceName } = this.#uverbsDevice;
    const { pid, comm } = this.process;
    journal.record(() => ({ event, device: deviceName, pid, comm, ...(details && { details: details() }) }));
  }

  usage(): Usage {
    return {
      pid: this.process.pid,
      comm: this.process.comm,
      objects: this.uobjects.count,
      descriptors: this.#eventFiles.size + (this.#closed ? 0 : 1),
    };
  }

  /**
   * Whether the caller still has the credentials of the opener (ib_safe_file_access compares them by identity, so
   * another process never has them).
   */
  hasCredentialsOf(call: Call): boolean {
    return call.uid === this.#uid && call.gid === this.#gid && this.process.hasThread(call.tid);
  }

  get profile(): KernelProfile {
    return this.#uverbsDevice.profile;
  }

  get isRemoved(): boolean {
    return this.#uverbsDevice.ibDevice === undefined;
  }

  /** XRC domains that files share. */
  get xrcds(): XrcdTable {
    return this.#uverbsDevice.xrcds;
  }

  get uapi(): Uapi {
    return this.#uverbsDevice.uapi;
  }

  /** Process of a caller: the one that opened the file, or one that shares it. */
  pidOf({ tid }: Call): number {
    return this.process.hasThread(tid) ? this.process.pid : threadGroupOf(tid);
  }

  /** The device. Throws EIO when it was removed. */
  get device(): IbDevice {
    const device = this.#uverbsDevice.ibDevice;
    if (device === undefined) throw new Errno('EIO', 'the device was removed');
    return device;
  }

  /** The context. Throws EIO when the device was removed, EINVAL when none was made. */
  get context(): Ucontext {
    const { device } = this;
    if (this.#context === undefined) throw new Errno('EINVAL', `no context on ${device.name} yet`);
    return this.#context;
  }

  get hasContext(): boolean {
    return this.#context !== undefined;
  }

  setContext(context: Ucontext): void {
    this.#context = context;
  }

  /** Undoes `setContext` for a client that could not be answered. */
  dropContext(): void {
    const context = this.#context;
    this.#context = undefined;
    if (context !== undefined) context.device.ops.deallocUcontext(context);
  }

  /** Counts a command that goes on after its handler returned; removal waits for it. */
  hold(): () => void {
    return this.#uverbsDevice.hold();
  }

  // Event files

  /** The file that events of this context go to: the first one made, even if it was closed and takes none. */
  get defaultAsyncFile(): AsyncEventFile | undefined {
    return this.#defaultAsyncFile;
  }

  addEventFile(name: string, file: EventFile): void {
    this.#eventFiles.set(name, file);
    if (file instanceof AsyncEventFile) this.#defaultAsyncFile ??= file;
  }

  eventFile(name: string | undefined): EventFile | undefined {
    return name === undefined ? undefined : this.#eventFiles.get(name);
  }

  eventFileReleased(file: EventFile, uobject: Uobject): void {
    for (const [name, known] of this.#eventFiles) if (known === file) this.#eventFiles.delete(name);
    if (uobject.live) this.uobjects.drop(uobject as Uobject);
    this.#releaseIfUnused();
  }

  /** Delivers an event of the device (element 0) or of a port. */
  deviceEvent(type: EventType, port: number): void {
    for (const file of this.#eventFiles.values())
      if (file instanceof AsyncEventFile) file.push(BigInt(port), type);
  }

  // The end

  /**
   * Cuts the file off from its removed device: objects go, newest first, then the context. Meanwhile making an object
   * fails and destroying one waits.
   */
  disassociate(slice: TimeSlice): Promise<void> {
    const done = this.#disassociate(slice).finally(() => (this.uobjects.removal = undefined));
    this.uobjects.removal = done;
    return done;
  }

  async #disassociate(slice: TimeSlice): Promise<void> {
    const context = this.#context;
    if (context !== undefined) this.record('cut off', () => ({ objects: this.uobjects.count }));
    const { fatalFirst } = this.profile;
    if (fatalFirst) {
      if (context !== undefined) this.deviceEvent(EventType.DEVICE_FATAL, 0);
      this.#loseMappings();
    }
    for (const _ of this.uobjects.destroyAll(RemoveReason.DRIVER_REMOVE)) {
      if (slice.isOver) await slice.next();
    }
    if (!fatalFirst) this.#loseMappings();
    this.#context = undefined;
    if (context === undefined) return;
    context.device.ops.disassociateUcontext?.(context);
    context.device.ops.deallocUcontext(context);
  }

  /** What the client has mapped are no registers any more. */
  #loseMappings(): void {
    if (this.profile.mappings === 'sigbus') this.pages.revoke();
    else new Uint8Array(this.pages.buffer).fill(0);
  }

  /** The removal has cut off every file of the device. */
  removalDone(): void {
    if (this.profile.fatalFirst) for (const file of this.#eventFiles.values()) file.close();
  }

  /** The client closed the device file; event files may live on. */
  release(): void {
    if (this.uobjects.removal !== undefined) {
      void this.uobjects.removal.then(() => this.release());
      return;
    }
    this.#closed = true;
    this.uobjects.close();
    this.dropContext();
    this.#releaseIfUnused();
  }

  /** The last of the device file and its event files is gone. */
  #releaseIfUnused(): void {
    const { descriptors } = this.usage();
    if (descriptors > 0) {
      this.record('descriptor closed', () => ({ left: descriptors }));
      return;
    }
    this.process.close();
    this.#uverbsDevice.fileReleased(this);
  }
}
