/**
 * The admin protocol: JSON-RPC 2.0 over a unix stream socket, one message per line. A method is a row: its name, the
 * schema of its params (an object), and the type of its result. The client's side takes only types from here, which
 * keeps the validator out of what the command has to load.
 */
import { z } from 'zod';
import { deviceSchema } from '../config/config.js';
import { RAISABLE_EVENTS } from './wire.js';

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

/** One open file of a device. `objects` counts everything that was made through it, `descriptors` what keeps it. */
export interface ContextStatus {
  pid: number;
  comm: string;
  objects: number;
  descriptors: number;
}

export interface DeviceStatus {
  name: string;
  plugged: boolean;
  pci: string;
  nodeGuid: string;
  firmware: string;
  /** "uverbs0"; only while the device is plugged in. */
  uverbs?: string;
  /** The kernel whose uverbs it shows. */
  kernelProfile: string;
  /** Its driver has no disassociate_ucontext: removing it waits for its users. */
  driverWithoutDisassociate: boolean;
  /** Every open file, also those without a context. */
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
const onePort = oneDevice.extend({ port: z.int() });
/** With `realisticTiming` it takes the seconds that hardware does. */
const restart = oneDevice.extend({ realisticTiming: z.boolean().default(false) });

/** Something that happened; see `monitor`. */
export interface MonitorEntry {
  /** ISO 8601. */
  time: string;
  event: string;
  device?: string;
  pid?: number;
  comm?: string;
  details?: Record<string, string | number>;
}

export const methods = {
  /** The name of the device that was made. */
  'device.add': { params: deviceSchema, result: z.custom<string>() },
  'device.delete': { params: oneDevice, result: z.custom<null>() },
  'device.fatal': { params: restart, result: z.custom<UnplugReport>() },
  'device.reset': { params: restart, result: z.custom<UnplugReport>() },
  'port.set': { params: onePort.extend({ state: z.enum(['down', 'active']) }), result: z.custom<null>() },
  'port.raise': { params: onePort.extend({ event: z.enum(RAISABLE_EVENTS) }), result: z.custom<null>() },
  /** From now on this connection gets a notification for everything that happens. */
  monitor: { params: nothing, result: z.custom<null>() },
  'device.list': { params: nothing, result: z.custom<DeviceStatus[]>() },
  'device.plug': { params: oneDevice, result: z.custom<null>() },
  'device.unplug': { params: oneDevice, result: z.custom<UnplugReport>() },
  'resource.list': { params: nothing, result: z.custom<ResourceStatus[]>() },
  status: { params: nothing, result: z.custom<DaemonStatus>() },
  /** Answers, and then ends the daemon. */
  shutdown: { params: nothing, result: z.custom<null>() },
} as const;

export type MethodName = keyof typeof methods;
/** As a handler gets them. */
export type Params<M extends MethodName> = z.output<(typeof methods)[M]['params']>;
/** As a caller gives them. */
export type Arguments<M extends MethodName> = z.input<(typeof methods)[M]['params']>;
export type Result<M extends MethodName> = z.output<(typeof methods)[M]['result']>;
