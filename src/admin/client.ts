/** The operator's side of the admin socket. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { JSONRPCClient, JSONRPCErrorException, type JSONRPCResponse } from 'json-rpc-2.0';
import { splitLines } from './lines.js';
import { NoDaemon } from './no-daemon.js';
import type { Arguments, MethodName, MonitorEntry, Result } from './protocol.js';
import { Refusal } from './refusal.js';
import { MAX_ANSWER, MONITOR_NOTIFICATION, REFUSED } from './wire.js';

function explainFailure(path: string, error: NodeJS.ErrnoException): Error {
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'ECONNREFUSED':
      return new NoDaemon(`no simulator is running at ${path}: start one with "verbsim up"`, {
        cause: error,
      });
    case 'EACCES':
    case 'EPERM':
      return new Refusal(`${path} may not be opened: become root, or join the socket's group`, {
        cause: error,
      });
    default:
      return new Refusal(`${path} cannot be reached (${error.code ?? error.message})`, { cause: error });
  }
}

export class AdminClient {
  readonly #socket: Socket;
  readonly #rpc: JSONRPCClient;
  readonly #ended: Promise<void>;
  #monitor: ((entry: MonitorEntry) => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#rpc = new JSONRPCClient((request) => {
      socket.write(`${JSON.stringify(request)}\n`);
    });
    this.#ended = this.#receive();
  }

  /** Throws NoDaemon, or a Refusal if the socket is not for this user. */
  static async connect(path: string): Promise<AdminClient> {
    const socket = createConnection(path);
    try {
      await once(socket, 'connect');
    } catch (error) {
      throw explainFailure(path, error as NodeJS.ErrnoException);
    }
    return new AdminClient(socket);
  }

  /** Calls back for each thing that happens, until the connection ends. */
  async monitor(listener: (entry: MonitorEntry) => void): Promise<void> {
    this.#monitor = listener;
    await this.call('monitor', {});
  }

  /** Resolves when the connection has ended. */
  ended(): Promise<void> {
    return this.#ended;
  }

  /** Throws a Refusal with the daemon's sentence. */
  async call<M extends MethodName>(method: M, params: Arguments<M>): Promise<Result<M>> {
    if (this.#socket.destroyed) throw new Refusal('the simulator has closed the connection');
    try {
      return (await this.#rpc.request(method, params)) as Result<M>;
    } catch (error) {
      const refused = error instanceof JSONRPCErrorException && error.code === REFUSED;
      throw refused ? new Refusal(error.message) : error;
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #receiveMessage(message: { method?: string; params?: unknown }): void {
    if (message.method === MONITOR_NOTIFICATION) this.#monitor?.(message.params as MonitorEntry);
    else this.#rpc.receive(message as JSONRPCResponse);
  }

  async #receive(): Promise<void> {
    try {
      for await (const line of splitLines(this.#socket, MAX_ANSWER)) this.#receiveMessage(JSON.parse(line));
    } catch {
      // Whatever ended the connection, the requests that wait for an answer are told below.
    }
    this.#socket.destroy();
    this.#rpc.rejectAllPendingRequests('the simulator has closed the connection without an answer');
  }
}
