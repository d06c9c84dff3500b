/** A model and the program side by side: each action is foretold by one and done by the other. */
import type { UverbsFile } from '../../src/uverbs/file.js';
import type { ClientMemory } from '../fuzz/support/client-memory.js';
import { Machine, type Outcome } from '../fuzz/support/machine.js';
import { byIoctl, byWrite, type Command, type Ioctl } from '../uverbs/support/messages.js';
import { type Kind, Model, ModelFile, Refused, type Thing } from './model.js';

export const DOORS = ['write', 'invoke', 'method'] as const;
/** write(2), the ioctl INVOKE_WRITE, the object's own ioctl method. */
export type Door = (typeof DOORS)[number];

/** Names an object: one that lives, or a number that may be anything. */
export interface Ref {
  live: boolean;
  n: number;
}

/** One command: how it is sent, and what it must come to. */
export interface Step {
  /** For the eye. */
  text: string;
  /** Through write(2) and INVOKE_WRITE. */
  command?: Command;
  /** Through its own method; in place of `command`. */
  method?: Ioctl;
  /** Throws Refused. What it returns is called with the response if the command succeeds. */
  foretell: (door: Door) => (answer: Answer) => void;
  /** What a response that cannot be written leaves: nothing, or all that was done. Left out: that is not tried. */
  badResponse?: 'undone' | 'done';
}

export interface Answer {
  /** The core response, or the room that a method's outputs share. */
  response: Buffer;
  /** The attributes of an ioctl as they are after it. */
  attributes: Buffer;
}

/** A difference between the model and the program, and how it came to it. */
export class Divergence extends Error {}

interface OpenFile {
  model: ModelFile;
  open: UverbsFile;
  /** Which of all opens it was. */
  age: number;
}

const RESPONSE_BYTES = 512;
const FILES = 4;

/** Resources without a number of their own, which the model does not count. */
const UNNUMBERED = ['context', 'async event file', 'completion channel'];

export class World {
  readonly machine: Machine;
  readonly isEthernet: boolean;
  readonly files: (OpenFile | undefined)[];
  readonly model = new Model();
  readonly #log: string[] = [];
  #commands = 0;
  #opens = 0;

  constructor(client: ClientMemory, isEthernet: boolean) {
    this.isEthernet = isEthernet;
    this.machine = new Machine(client, {
      linkLayer: isEthernet ? 'ethernet' : 'infiniband',
      limits: { maxMcastGrp: GROUPS },
    });
    this.files = Array.from({ length: FILES }, () => this.#newFile());
  }

  /** Commands that were sent. */
  get commands(): number {
    return this.#commands;
  }

  #newFile(): OpenFile {
    return { model: new ModelFile(this.model), open: this.machine.open(), age: this.#opens++ };
  }

  /** The handle that a reference stands for. */
  handle(file: ModelFile, kind: Kind, { live, n }: Ref): number {
    const known = file.ofKind(kind);
    const thing: Thing | undefined = live ? known[n % Math.max(known.length, 1)] : undefined;
    return thing?.handle ?? n % 16;
  }

  run(index: number, wantedDoor: Door, badResponse: boolean, plan: (file: ModelFile) => Step): void {
    const file = this.files[index];
    if (file === undefined) return;
    const { model, open } = file;
    const step = plan(model);
    const door = doorOf(step, wantedDoor);
    const spoilt = badResponse && step.badResponse !== undefined && !this.model.removed;
    const { expected, commit } = foretell(step, door, spoilt);
    const outcome = this.#send(open, step, door, spoilt);
    const got = typeof outcome === 'number' ? '' : outcome;
    this.#note(`file ${index}: ${step.text} by ${door}${spoilt ? ', no room to answer' : ''}`, got);
    if (got !== expected && !(this.model.removed && expected !== '' && got !== '')) {
      this.diverge(`expected ${expected || 'success'}, got ${got || 'success'}`);
    }
    if (expected === '' || (spoilt && got === 'EFAULT' && step.badResponse === 'done')) {
      commit?.(this.#answer(step, door));
    }
  }

  /** Closes a device file and opens another, as long as there is a device. */
  reopen(index: number): void {
    this.#close(index);
    if (!this.model.removed) this.files[index] = this.#newFile();
  }

  #close(index: number): void {
    const file = this.files[index];
    if (file === undefined) return;
    this.#note(`file ${index}: close`, '');
    this.model.close(file.model);
    for (const descriptor of file.model.eventFiles.keys()) this.machine.close(descriptor);
    file.open.release();
    this.files[index] = undefined;
  }

  closeDescriptor(index: number, n: number): void {
    const eventFiles = this.files[index]?.model.eventFiles;
    const descriptor = eventFiles && [...eventFiles.keys()][n % Math.max(eventFiles.size, 1)];
    if (descriptor === undefined) return;
    this.#note(`file ${index}: close descriptor ${descriptor}`, '');
    eventFiles?.delete(descriptor);
    this.machine.close(descriptor);
  }

  async unplug(): Promise<void> {
    this.#note('the device is unplugged', '');
    await this.machine.unplug();
    this.model.removed = true;
    for (const file of this.files) if (file !== undefined) file.model.hasContext = false;
  }

  /** Everything is closed, and nothing may be left. */
  end(): void {
    this.compareResources();
    for (const index of this.files.keys()) this.#close(index);
    const leaks = this.machine.leaks();
    if (leaks !== '') this.diverge(`all files are closed, but ${leaks}`);
  }

  compareResources(): void {
    const oldestFirst = this.files.filter((file) => file !== undefined).sort((a, b) => a.age - b.age);
    const expected = oldestFirst.flatMap(({ model }) => [...model.resources()]);
    const got = this.machine.uverbs
      .resources()
      .filter(({ type }) => !UNNUMBERED.includes(type))
      .map(({ type, handle, attributes: { users, state, cqe } }) =>
        [
          `${type} ${handle}`,
          ...(users === undefined ? [] : [`users=${users}`]),
          ...(state === undefined ? [] : [state]),
          ...(cqe === undefined ? [] : [`cqe=${cqe}`]),
        ].join(' '),
      );
    if (expected.join() === got.join()) return;
    this.diverge(`expected the resources\n  ${expected.join('\n  ')}\ngot\n  ${got.join('\n  ')}`);
  }

  diverge(what: string): never {
    const steps = this.#log.map((line, i) => `${String(i + 1).padStart(4)}  ${line}`);
    throw new Divergence(`${steps.join('\n')}\n${what}`);
  }

  #note(what: string, got: string): void {
    this.#log.push(got === '' ? what : `${what}: ${got}`);
  }

  #send(file: UverbsFile, step: Step, door: Door, spoilt: boolean): Outcome {
    const { client } = this.machine;
    const { places } = client;
    const finish = (message: string): Buffer =>
      places.bytes(spoilt ? message.replaceAll('@R', '@U') : message);
    this.#commands++;
    client.write(places.address('R'), Buffer.alloc(RESPONSE_BYTES));
    const ioctl = ioctlOf(step, door);
    try {
      if (ioctl === undefined) return this.machine.write(file, finish(byWrite(step.command as Command)));
      const at = places.address('A');
      client.write(at, finish(ioctl.message));
      for (const [offset, fill] of ioctl.fills) client.write(places.address('B', offset), finish(fill));
      return this.machine.ioctl(file, at);
    } catch (error) {
      this.#note(`file: ${step.text} by ${door}`, 'an exception');
      return this.diverge((error as Error).stack ?? String(error));
    }
  }

  #answer(step: Step, door: Door): Answer {
    const { client } = this.machine;
    const { places } = client;
    const attributes =
      ioctlOf(step, door) === undefined ? Buffer.alloc(0) : client.read(places.address('A'), 512);
    return { response: client.read(places.address('R'), RESPONSE_BYTES), attributes };
  }
}

/** Multicast groups that there are room for: as many as the actions use. */
export const GROUPS = 4;

/** Not every command goes through every door. */
function doorOf({ command, method }: Step, wanted: Door): Door {
  if (command === undefined) return 'method';
  return wanted === 'method' && method === undefined ? 'invoke' : wanted;
}

function ioctlOf({ command, method }: Step, door: Door): Ioctl | undefined {
  if (door === 'method') return method;
  return door === 'invoke' ? byIoctl(command as Command) : undefined;
}

function foretell(
  step: Step,
  door: Door,
  spoilt: boolean,
): { expected: string; commit: ((answer: Answer) => void) | undefined } {
  try {
    const commit = step.foretell(door);
    return { expected: spoilt ? 'EFAULT' : '', commit };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { expected: error.code, commit: undefined };
  }
}
