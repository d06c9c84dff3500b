/** A client for tests that play the kernel's part (test/clients/fuzz-arena.c): its memory and its descriptors. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';
import { native } from '../../../devfs/native.js';
import { clientProgram } from '../../support/client-programs.js';
import type { Message } from '../../uverbs/support/messages.js';

const PLACE = /@([A-Z])(?:\+(\d+);)?/g;

/** Descriptors that a client can be given. */
export const DESCRIPTORS = 24;

/** Addresses by the letters of messages (test/clients/fuzz-places.h). */
export class Places {
  readonly #addresses: Readonly<Record<string, string>>;

  constructor(addresses: Readonly<Record<string, string>>) {
    this.#addresses = addresses;
  }

  address(letter: string, offset: number | bigint = 0): bigint {
    const address = this.#addresses[letter];
    if (address === undefined) throw new Error(`there is no place @${letter}`);
    return BigInt(address) + BigInt(offset);
  }

  /** The bytes that a message stands for. */
  bytes(message: Message): Buffer {
    const hex = message.replaceAll(PLACE, (_, letter: string, offset = '0') => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(this.address(letter, BigInt(offset)));
      return bytes.toString('hex');
    });
    return Buffer.from(hex.replaceAll(/[_-]/g, ''), 'hex');
  }
}

export class ClientMemory {
  readonly pid: number;
  readonly places: Places;
  /** Number of its first descriptor. */
  readonly firstDescriptor: number;

  private constructor(pid: number, line: string) {
    this.pid = pid;
    const { firstDescriptor, ...addresses } = JSON.parse(line) as Record<string, string | number>;
    this.places = new Places(addresses as Record<string, string>);
    this.firstDescriptor = Number(firstDescriptor);
  }

  /** A client that ends with the test. Throws an Error if it does not start, or may not do what the tests do. */
  static async start(t: Test): Promise<ClientMemory> {
    if (process.getuid?.() !== 0)
      throw new Error('this test needs a client with every capability: run it as root');
    const directory = mkdtempSync(join(tmpdir(), 'fuzz-arena-'));
    t.teardown(() => rmdirSync(directory));
    const child = spawn(clientProgram('fuzz-arena'), [directory, `${DESCRIPTORS}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.teardown(async () => {
      const exited = once(child, 'exit');
      if (child.kill('SIGKILL')) await exited;
    });
    const [line] = (await Promise.race([
      once(createInterface(child.stdout), 'line'),
      once(child, 'exit').then(() => ['']),
    ])) as [string];
    if (child.pid === undefined || line === '') throw new Error('fuzz-arena did not start');
    return new ClientMemory(child.pid, line);
  }

  read(address: bigint, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const result = native.readMemory(this.pid, address, bytes, 0, length);
    if (result !== length) throw new Error(`${result} of ${length} bytes read at 0x${address.toString(16)}`);
    return bytes;
  }

  /** Whether all of it could be written. */
  write(address: bigint, bytes: Uint8Array): boolean {
    return native.writeMemory(this.pid, address, bytes, 0, bytes.length) === bytes.length;
  }
}

/** The name under which the client agent would have installed descriptor number `firstDescriptor + index`. */
export function nameOfDescriptor(index: number): string {
  return `.descriptor-${index.toString(16).padStart(16, '0')}`;
}
