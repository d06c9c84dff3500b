/** door (test/clients/door.c) as a client of uverbs: typed calls, one client process for each instance. */
import type { Test } from 'tap';
import { type Answer, Door } from '../../devfs/support/clients.js';
import { clientProgram } from '../../support/client-programs.js';
import { byIoctl, byWrite, type Command, type Ioctl, type Message, roomOf } from './messages.js';

export type { Answer } from '../../devfs/support/clients.js';

/** What a call came to, in one word: its errno, the signal that ended it, or its result. */
export function outcome(answer: Answer): number | string {
  return answer.errno ?? answer.signal ?? answer.result ?? answer.fd ?? answer.map ?? JSON.stringify(answer);
}

/** The answer of a call that must succeed. Throws an Error that says what it came to. */
export function succeeded(what: string, answer: Answer): Answer {
  if (answer.errno !== undefined || answer.error !== undefined || answer.dead) {
    throw new Error(`${what}: ${JSON.stringify(answer)}`);
  }
  return answer;
}

export class UverbsDoor extends Door {
  /** A client that is killed when the test ends. */
  static start(t: Test): UverbsDoor {
    const door = new UverbsDoor(clientProgram('door'));
    t.teardown(() => door.kill());
    return door;
  }

  write(fd: number, message: Message, room = 0): Promise<Answer> {
    return this.ask('write', fd, message || '-', room);
  }

  async ioctl(fd: number, { message, fills }: Ioctl, room = 0): Promise<Answer> {
    for (const [offset, bytes] of fills) await this.ask('scratch-fill', bytes, offset);
    return this.ask('ioctl', fd, 'verbs', message, room);
  }

  /** Sends a command through write(2). */
  command(fd: number, command: Command): Promise<Answer> {
    return this.write(fd, byWrite(command), roomOf(command));
  }

  /** Sends a command through the ioctl INVOKE_WRITE. */
  invoke(fd: number, command: Command): Promise<Answer> {
    return this.ioctl(fd, byIoctl(command), roomOf(command));
  }

  read(fd: number, count: number, ...how: 'nonblock'[]): Promise<Answer> {
    return this.ask('read', fd, count, ...how);
  }

  /** The poll(2) bits, after at most `timeoutMs`. */
  async poll(fd: number, timeoutMs = 0): Promise<number | undefined> {
    return (await this.ask('poll', fd, timeoutMs)).revents;
  }

  close(fd: number): Promise<Answer> {
    return this.ask('close', fd);
  }

  /** Maps one page of a device file, shared and writable; the mapping's number. */
  async map(fd: number, page = 0): Promise<number> {
    const answer = succeeded('mmap', await this.ask('mmap', fd, page, 4096, 'rw', 'shared'));
    return answer.map as number;
  }

  async address(place: Message): Promise<bigint> {
    return BigInt(succeeded('address', await this.ask('address', place)).address as string);
  }
}
