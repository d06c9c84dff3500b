/** What is left of this process's memory when its garbage is collected. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
export const collectGarbage = runInNewContext('gc') as () => void;

export function heapInUse(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
