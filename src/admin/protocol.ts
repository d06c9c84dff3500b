/**
 * The admin protocol: JSON-RPC 2.0 over a unix stream socket, one message per line. A method is a row: its name, the
 * schema of its params (an object), and the type of its result. The client's side takes only types from here, which
 * keeps the validator out of what the command has to load.
 */
import { z } from 'zod';

export interface PortStatus {
  port: number;
  /** As sysfs has it: "ACTIVE". */
  state: string;
  physState: string;
  lid: number;
  /** The first entry of the GID table. */
  gid: string;
  linkLayer: string;
  rate: string;
}

/** One open file of a device. `objects` counts everything that was made through it. */
export interface ContextStatus {
  pid: number;
  comm: string;
  objects: number;
}

export interface DeviceStatus {
  name: string;
  plugged: boolean;
  pci: string;
  nodeGuid: string;
  firmware: string;
  /** "uverbs0"; only while the device is plugged in. */
  uverbs?: string;
  contexts: ContextStatus[];
  ports: PortStatus[];
}

/** What an unplug cut off, and how long it took. */
export interface UnplugReport {
  device: string;
  contexts: ContextStatus[];
  milliseconds: number;
}

/** One object that a client made. */
export interface ResourceStatus {
  device: string;
  /** "context", "PD", "MR", … */
  type: string;
  /** The client's number; -1 for what has none. */
  handle: number;
  pid: number;
  comm: string;
  attributes: Record<string, string | number>;
  /** What it refers to, as "PD 0". */
  refersTo: string[];
}

export interface DaemonStatus {
  pid: number;
  version: string;
  uptimeSeconds: number;
  mountpoint: string;
  /** Names of the devices that are plugged in. */
  devices: string[];
  openFiles: number;
  residentBytes: number;
}

const nothing = z.strictObject({});
const oneDevice = z.strictObject({ device: z.string() });

export const methods = {
  'device.list': { params: nothing, result: z.custom<DeviceStatus[]>() },
  'device.plug': { params: oneDevice, result: z.custom<null>() },
  'device.unplug': { params: oneDevice, result: z.custom<UnplugReport>() },
  'resource.list': { params: nothing, result: z.custom<ResourceStatus[]>() },
  status: { params: nothing, result: z.custom<DaemonStatus>() },
  /** Answers, and then ends the daemon. */
  shutdown: { params: nothing, result: z.custom<null>() },
} as const;

export type MethodName = keyof typeof methods;
export type Params<M extends MethodName> = z.output<(typeof methods)[M]['params']>;
export type Result<M extends MethodName> = z.output<(typeof methods)[M]['result']>;
