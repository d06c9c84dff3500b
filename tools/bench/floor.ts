/** The floor: a C server that answers at once and knows nothing of RDMA. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { native } from '../../devfs/native.js';
import { Child } from './child.js';
import type { Workbench } from './workbench.js';

export interface Floor {
  readonly pid: number;
  /** The file to open. */
  readonly device: string;
}

/** Lives until the measurement ends. `responseBytes` are put into the memory of whoever writes before the write is answered. */
export async function startFloor(bench: Workbench, responseBytes = 0): Promise<Floor> {
  const mountpoint = join(bench.folder, `floor-${responseBytes}`);
  mkdirSync(mountpoint, { recursive: true });
  bench.cleanup.add(() => {
    // There is nothing to detach if the floor could end by itself.
    native.umount(mountpoint, native.MNT_DETACH);
  });
  const memory = responseBytes > 0 ? ['--memory', String(responseBytes)] : [];
  // It serves until its input ends, so it cannot outlive the bench.
  const child = Child.start(
    bench.cleanup,
    bench.programs['fuse-floor'],
    [...memory, mountpoint],
    ['pipe', 'pipe', 'pipe'],
  );
  await child.firstLine(child.process.stdout as Readable);
  return { pid: child.pid, device: join(mountpoint, 'device') };
}
