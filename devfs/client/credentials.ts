import { native } from '../native.js';

/** Numbers of capabilities (include/uapi/linux/capability.h). */
const CAPABILITIES = { CAP_NET_RAW: 13, CAP_IPC_LOCK: 14 } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Whether the thread has the capability in effect. */
export function hasCapability(tid: number, capability: Capability): boolean {
  return native.hasCapability(tid, CAPABILITIES[capability]);
}
