/** The daemon's side of the admin socket. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import {
  createInvalidRequestResponse,
  createJSONRPCErrorResponse,
  JSONRPCErrorCode,
  JSONRPCErrorException,
  JSONRPCServer,
} from 'json-rpc-2.0';
import type { Logger } from 'pino';
import { z } from 'zod';
import { splitLines } from './lines.js';
import {
  type DaemonStatus,
  type DeviceStatus,
  type MethodName,
  type MonitorEntry,
  methods,
  type Params,
  type ResourceStatus,
  type Result,
  type UnplugReport,
} from './protocol.js';
import { Refusal } from './refusal.js';
import { MAX_REQUEST, MONITOR_NOTIFICATION, REFUSED } from './wire.js';

/** Far more than there are operators; the socket's clients must not use up the descriptors that devices need. */
const MAX_CONNECTIONS = 128;

/** sun_path (unix(7)) less its NUL; a longer path would be cut off silently. */
const MAX_PATH = 107;

/** What the server gives access to. Whatever cannot be done is a Refusal. */
export interface AdminBackend {
  devices(): DeviceStatus[];
  addDevice(device: Params<'device.add'>): Promise<string>;
  deleteDevice(device: string): Promise<void>;
  fatal(device: string, realisticTiming: boolean): Promise<UnplugReport>;
  reset(device: string, realisticTiming: boolean): Promise<UnplugReport>;
  setLink(device: string, port: number, up: boolean): void;
  raisePortEvent(device: string, port: number, event: Params<'port.raise'>['event']): void;
  /** Returns what ends the watch. */
  watch(listener: (entry: MonitorEntry) => void): () => void;
  plug(device: string): Promise<void>;
  unplug(device: string): Promise<UnplugReport>;
  resources(): ResourceStatus[];
  status(): DaemonStatus;
  /** Begins to end the daemon; called after the answer has been written. */
  shutdown(): void;
}

export interface AdminServerOptions {
  path: string;
  /** Group that may use the socket; without one, only root may. */
  socketGroup: string | undefined;
  backend: AdminBackend;
  log: Logger;
}

/** What a method can do with the connection it was called on. */
interface Connection {
  /** Sends a notification; a peer that does not read them is cut off. */
  notify(method: string, params: unknown): void;
  /** Runs when the connection ends. */
  onEnd(callback: () => void): void;
}

type Handler<M extends MethodName> = (
  backend: AdminBackend,
  params: Params<M>,
  connection: Connection,
) => Result<M> | Promise<Result<M>>;

const handlers: { [M in MethodName]: Handler<M> } = {
  'device.add': (backend, device) => backend.addDevice(device),
  'device.delete': (backend, { device }) => backend.deleteDevice(device).then(() => null),
  'device.fatal': (backend, { device, realisticTiming }) => backend.fatal(device, realisticTiming),
  'device.reset': (backend, { device, realisticTiming }) => backend.reset(device, realisticTiming),
  'port.set': (backend, { device, port, state }) => {
    backend.setLink(device, port, state === 'active');
    return null;
  },
  'port.raise': (backend, { device, port, event }) => {
    backend.raisePortEvent(device, port, event);
    return null;
  },
  monitor: (backend, _params, connection) => {
    connection.onEnd(backend.watch((entry) => connection.notify(MONITOR_NOTIFICATION, entry)));
    return null;
  },
  'device.list': (backend) => backend.devices(),
  'device.plug': (backend, { device }) => backend.plug(device).then(() => null),
  'device.unplug': (backend, { device }) => backend.unplug(device),
  'resource.list': (backend) => backend.resources(),
  status: (backend) => backend.status(),
  shutdown: (backend) => {
    // By then this call's answer has been written, which takes no more than microtasks.
    setImmediate(() => backend.shutdown());
    return null;
  },
};

/** Validates, calls the handler, and turns what it throws into the wire error. */
function addMethod<M extends MethodName>(
  rpc: JSONRPCServer<Connection>,
  name: M,
  backend: AdminBackend,
): void {
  rpc.addMethod(name, (params: unknown, connection: Connection) => {
    const parsed = methods[name].params.safeParse(params ?? {});
    if (!parsed.success) {
      const why = z.prettifyError(parsed.error).replaceAll('\n', ' ');
      throw new JSONRPCErrorException(`params of ${name}: ${why}`, JSONRPCErrorCode.InvalidParams);
    }
    return handlers[name](backend, parsed.data as Params<M>, connection);
  });
}

function createRpc(backend: AdminBackend, log: Logger): JSONRPCServer<Connection> {
  // The library's own listener would print what clients do wrong on the daemon's standard error.
  const rpc = new JSONRPCServer<Connection>({ errorListener: () => {} });
  rpc.mapErrorToJSONRPCErrorResponse = (id, error: unknown) => {
    if (error instanceof Refusal) return createJSONRPCErrorResponse(id, REFUSED, error.message);
    if (error instanceof JSONRPCErrorException)
      return createJSONRPCErrorResponse(id, error.code, error.message);
    log.error({ err: error }, 'an admin request failed');
    const message = 'the daemon failed to do it; its log says why';
    return createJSONRPCErrorResponse(id, JSONRPCErrorCode.InternalError, message);
  };
  for (const name of Object.keys(methods) as MethodName[]) addMethod(rpc, name, backend);
  return rpc;
}

/** The answer to one line, if it asks for one. */
async function answer(
  rpc: JSONRPCServer<Connection>,
  line: string,
  connection: Connection,
): Promise<string | undefined> {
  // JSON that is not even an object makes the library throw.
  const response = await Promise.resolve(rpc.receiveJSON(line, connection)).catch(() =>
    createInvalidRequestResponse({}),
  );
  return response === null ? undefined : `${JSON.stringify(response)}\n`;
}

async function findGroup(name: string): Promise<number> {
  // getent also knows the groups that are not in /etc/group.
  const found = await promisify(execFile)('getent', ['group', name]).catch(() => undefined);
  const gid = found?.stdout.split(':')[2];
  if (gid === undefined)
    throw new Refusal(`there is no group ${name} for the admin socket: create it, or name another`);
  return Number(gid);
}

async function listen(server: Server, path: string, group: number | undefined): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH) {
    throw new Refusal(`${path} is too long for a socket: choose a shorter --runtime-dir`);
  }
  // The socket must not be open to others between its creation and the change of its mode; bind happens in listen().
  const umask = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(umask);
  }
  await once(server, 'listening');
  if (group === undefined) return;
  chownSync(path, process.getuid?.() ?? 0, group);
  chmodSync(path, 0o660);
}

/** Bytes that a peer may leave unread before it is cut off. */
const MAX_UNREAD = 4 * 1024 * 1024;

function connectionOf(socket: Socket): Connection {
  return {
    notify(method, params) {
      if (socket.destroyed) return;
      socket.write(`${JSON.stringify({ jsonrpc: '2.0', method, params })}\n`);
      if (socket.writableLength > MAX_UNREAD) socket.destroy();
    },
    onEnd: (callback) => socket.once('close', callback),
  };
}

export class AdminServer {
  readonly #server: Server;
  readonly #rpc: JSONRPCServer<Connection>;
  readonly #log: Logger;
  readonly #connections = new Set<Socket>();

  private constructor({ backend, log }: AdminServerOptions) {
    this.#log = log;
    this.#rpc = createRpc(backend, log);
    // A client may send its requests, close its sending side, and wait for the answers.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => void this.#serve(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens. Throws a Refusal if there is no such group, or the path is too long. */
  static async start(options: AdminServerOptions): Promise<AdminServer> {
    const group = options.socketGroup === undefined ? undefined : await findGroup(options.socketGroup);
    const server = new AdminServer(options);
    await listen(server.#server, options.path, group);
    server.#server.on('error', (err) => options.log.error({ err }, 'the admin socket failed'));
    return server;
  }

  /** Removes the socket and ends the connections, once they have sent the answers they have. */
  close(): void {
    this.#server.close();
    for (const socket of this.#connections) socket.destroySoon();
  }

  /** Answers one request at a time: a client that does not read its answers stops being read. */
  async #serve(socket: Socket): Promise<void> {
    this.#connections.add(socket);
    const rpc = this.#rpc;
    const connection = connectionOf(socket);
    const answers = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const line of splitLines(chunks, MAX_REQUEST)) {
        const text = await answer(rpc, line, connection);
        if (text !== undefined) yield text;
      }
    };
    try {
      await pipeline(socket, answers, socket);
    } catch (error) {
      this.#log.debug({ err: error }, 'an admin connection ended early');
    } finally {
      socket.destroy();
      this.#connections.delete(socket);
    }
  }
}
