/** Clients that a simulator keeps from going on. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Daemon } from './daemon.js';

/** The status of each process that a thread of the daemon traces, and of each stopped one that runs against it. */
export function heldClients(daemon: Daemon): string[] {
  const found: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      const state = /^State:\t(.)/m.exec(status)?.[1] ?? '';
      const tracer = /^TracerPid:\t(\d+)/m.exec(status)?.[1] ?? '0';
      const isTraced = tracer !== '0' && existsSync(`/proc/${daemon.pid}/task/${tracer}`);
      const isOurs = readFileSync(`/proc/${pid}/environ`, 'utf8').includes(daemon.runtimeDir);
      if (isTraced || (isOurs && 'Tt'.includes(state))) found.push(status);
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}
