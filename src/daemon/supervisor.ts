/** Tells whoever started the daemon how it gets on. */
import { execFile } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import type { Logger } from 'pino';

/**
 * One line on a descriptor: "ready", or "error: " and a sentence. The reader sees end of file without a line if the
 * daemon dies before that.
 */
export class ReadyLine {
  #fd: number | undefined;

  constructor(fd: number | undefined) {
    this.#fd = fd;
  }

  ready(): void {
    this.#write('ready');
  }

  failed(sentence: string): void {
    this.#write(`error: ${sentence.replaceAll('\n', ' ')}`);
  }

  #write(line: string): void {
    if (this.#fd === undefined) return;
    try {
      writeSync(this.#fd, `${line}\n`);
    } catch {
      // The reader has gone; the daemon goes on without it.
    }
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/**
 * sd_notify(3), if systemd listens. Node cannot send a datagram to a unix socket; systemd-notify(1) can, and is there
 * wherever systemd is. The unit needs NotifyAccess=all for it.
 */
export async function notifySystemd(state: 'READY=1' | 'STOPPING=1', log: Logger): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return;
  await promisify(execFile)('systemd-notify', [state]).catch((err: unknown) =>
    log.warn({ err, state }, 'systemd could not be notified'),
  );
}
