/** How long a test file may take. */
import type { Test } from 'tap';

/** What `npm test` gives each file, and what one that is run by hand gets: on any machine, only a hang takes longer. */
const SECONDS = Number(process.env['TAP_TIMEOUT'] ?? 900);

/** For files that take longer than tap's half minute by hand; `times` as much if more than usual is asked of them. */
export function limit(t: Test, times = 1): void {
  t.setTimeout(SECONDS * 1000 * Math.max(1, times));
}
