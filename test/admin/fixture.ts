/** An admin server in front of a backend that only pretends. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { MonitorEntry } from '../../src/admin/protocol.js';
import { Refusal } from '../../src/admin/refusal.js';
import { type AdminBackend, AdminServer } from '../../src/admin/server.js';

export const status = {
  pid: 1,
  version: '1.2.3',
  uptimeSeconds: 4,
  mountpoint: '/nowhere',
  devices: ['mlx4_0'],
  openFiles: 0,
  residentBytes: 1024,
};

export const report = {
  device: 'mlx4_0',
  contexts: [{ pid: 7, comm: 'rping', objects: 12, descriptors: 2 }],
  milliseconds: 1.5,
};

export class FakeBackend implements AdminBackend {
  readonly plugged: string[] = [];
  shutdowns = 0;

  devices() {
    return [];
  }

  async plug(device: string) {
    this.plugged.push(device);
  }

  async unplug(device: string) {
    if (device === 'broken') throw new TypeError('a bug');
    if (device !== 'mlx4_0') throw new Refusal(`there is no device ${device}: plug one in`);
    return report;
  }

  resources() {
    return [];
  }

  async addDevice({ name = 'mlx4_1' }: { name?: string | undefined }) {
    return name;
  }

  async deleteDevice(device: string) {
    await this.unplug(device);
  }

  fatal(device: string) {
    return this.unplug(device);
  }

  reset(device: string) {
    return this.unplug(device);
  }

  setLink() {}

  raisePortEvent() {}

  readonly watchers = new Set<(entry: MonitorEntry) => void>();

  watch(listener: (entry: MonitorEntry) => void) {
    this.watchers.add(listener);
    return () => this.watchers.delete(listener);
  }

  status() {
    return status;
  }

  shutdown() {
    this.shutdowns++;
  }
}

/** For sockets, whose paths are short: t.testdir() is too deep. */
export function socketDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'verbsim-test-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** The server listens until the test ends. */
export async function startServer(
  t: Test,
  socketGroup?: string,
): Promise<{ path: string; backend: FakeBackend }> {
  const path = join(socketDirectory(t), 'admin.sock');
  const backend = new FakeBackend();
  const server = await AdminServer.start({ path, socketGroup, backend, log: pino({ enabled: false }) });
  t.teardown(() => server.close());
  return { path, backend };
}

/** A connection on which anything can be sent. */
export async function connectRaw(t: Test, path: string): Promise<Socket> {
  const socket = createConnection({ path, allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  // The server may cut a bad client off in the middle of what it sends.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket.setEncoding('utf8');
}

/** Everything that the server sends from now on until it closes. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  // once() would reject if the server cuts the connection off.
  await new Promise((resolve) => socket.on('close', resolve));
  return text;
}
