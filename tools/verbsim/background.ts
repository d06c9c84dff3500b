/** Starts a daemon in the background and waits until it serves. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Refusal } from '../../src/admin/refusal.js';
import { runtimePaths } from '../../src/admin/runtime-paths.js';

/** From dist/tools/verbsim. */
const EXECUTABLE = fileURLToPath(new URL('../../../tools/verbsim/bin.mjs', import.meta.url));

async function readLine(stream: Readable): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  return text.split('\n', 1)[0] ?? '';
}

/**
 * `flags` are those of `verbsim daemon`. Throws a Refusal with the daemon's own sentence if it does not get as far as
 * serving.
 */
export async function startInBackground(runtimeDirectory: string, flags: string[]): Promise<void> {
  const { directory, logFile } = runtimePaths(runtimeDirectory);
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  const log = openSync(logFile, 'a', 0o644);
  const daemon = [EXECUTABLE, '--runtime-dir', directory, 'daemon', '--ready-fd', '3', ...flags];
  // The shell forks and goes, so that the daemon is a child of init: `verbsim run` becomes a command that must not
  // find a child it knows nothing of. Detached, it is out of reach of the terminal's signals too.
  const shell = spawn('/bin/sh', ['-c', '"$@" &', 'sh', process.execPath, ...daemon], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
  });
  closeSync(log);
  const line = await readLine(shell.stdio[3] as Readable);
  if (line === 'ready') return;
  throw new Refusal(
    line.startsWith('error: ')
      ? line.slice('error: '.length)
      : `the simulator ended before it was ready: ${logFile} says why`,
  );
}
