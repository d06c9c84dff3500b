/**
 * The client agent: the two things that FUSE cannot do for a device file, done by ptrace on the calling thread on
 * its way out of the system call. The mechanics are in native/agent.cc.
 */
import { errno } from '../errno.js';
import { type AgentResult, type InstallDescriptorJob, native, type PatchStatJob } from '../native.js';

/** A client that makes no system call for this long is let go. A busy machine may not run one for seconds. */
const TIMEOUT_MS = 10_000;

/** Answers an open and makes the client's next fstat on the descriptor show a character device. */
export function presentAsDevice(job: Omit<PatchStatJob, 'timeoutMs'>): Promise<AgentResult> {
  return new Promise((resolve) => native.agentPatchStat({ ...job, timeoutMs: TIMEOUT_MS }, resolve));
}

/**
 * Answers a write or ioctl and installs a new descriptor in the client before it returns from that call. The client
 * does not go on before `done` has returned.
 */
export function installDescriptor(
  job: Omit<InstallDescriptorJob, 'timeoutMs'>,
  done: (result: AgentResult) => void,
): void {
  native.agentInstallDescriptor({ ...job, timeoutMs: TIMEOUT_MS }, done);
}

/** What to tell the operator about a failed job. */
export function explain({ step, error }: AgentResult): string {
  if (step !== 'seize') return `the client agent failed at: ${step}`;
  return error === -errno.EPERM
    ? 'the client is traced already: run it without strace or gdb, or attach them after the device is open'
    : 'the client went away, or is just executing another program';
}
