import { readFileSync } from 'node:fs';

/** Bit numbers (include/uapi/linux/capability.h). */
const CAPABILITIES = { CAP_NET_RAW: 13, CAP_IPC_LOCK: 14 } as const;
export type Capability = keyof typeof CAPABILITIES;

/** Whether the thread has the capability in effect. */
export function hasCapability(tid: number, capability: Capability): boolean {
  const status = readFileSync(`/proc/${tid}/status`, 'latin1');
  const effective = BigInt(`0x${/^CapEff:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return ((effective >> BigInt(CAPABILITIES[capability])) & 1n) === 1n;
}
