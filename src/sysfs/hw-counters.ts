/** hw_counters of a device: the counters of its ops, kept for `lifespan` (drivers/infiniband/core/sysfs.c). */
import { Errno } from '../../devfs/errno.js';
import type { IbDevice } from '../core/device.js';
import type { Kobject } from './kobject.js';

/** Milliseconds. */
const DEFAULT_LIFESPAN = 10;
const MAX_LIFESPAN = 10_000;

export function populateHwCounters(kobject: Kobject, device: IbDevice): void {
  let lifespan = DEFAULT_LIFESPAN;
  let counters = device.hwCounters();
  let readAt = performance.now();

  /** All counters of one moment: who reads them one by one gets numbers that belong together. */
  const current = () => {
    if (performance.now() - readAt >= lifespan) {
      counters = device.hwCounters();
      readAt = performance.now();
    }
    return counters;
  };

  for (const name of Object.keys(counters)) kobject.attribute(name, () => current()[name] ?? 0n);
  kobject.attribute(
    'lifespan',
    () => lifespan,
    (text) => {
      lifespan = parseLifespan(text);
    },
  );
}

/** set_stats_lifespan(). */
function parseLifespan(text: string): number {
  const value = /^[+-]?\d+\n?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 0 && value <= MAX_LIFESPAN)) {
    throw new Errno('EINVAL', `lifespan is a number of milliseconds up to ${MAX_LIFESPAN}`);
  }
  return value;
}
