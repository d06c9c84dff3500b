/** `verbsim run`: a command that sees the simulated devices in place of the machine's own. */
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { native } from '../../devfs/native.js';
import { describeError, enterNamespace } from './namespace.js';

/** The exit codes of env(1), nohup(1) and the shell for a command that could not be started. */
const EXIT_NOT_FOUND = 127;
const EXIT_CANNOT_EXECUTE = 126;

/** "NAME=value" strings, as exec(3) takes them. */
function environmentStrings(env: NodeJS.ProcessEnv): string[] {
  return Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
}

/** Ends the process the way a shell does after a failed exec: `error` is the negative errno. */
function reportFailedExec(file: string, error: number): never {
  const notFound = error === -constants.errno.ENOENT;
  const advice = notFound
    ? 'check the spelling, and that it is installed and in PATH'
    : 'check that it is a program and that its mode lets you execute it';
  // Not process.stderr, which may be asynchronous and lose its last line at exit.
  writeSync(2, `verbsim: cannot run ${file}: ${describeError(error)}; ${advice}\n`);
  process.exit(notFound ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE);
}

/**
 * Replaces this process by `command` (looked up in this process's PATH) with environment `env`, in a namespace
 * that shows the FUSE tree at `mountpoint`. Where the kernel has an RDMA netlink family, libibverbs would take
 * its empty answer as final and never look at sysfs, so the family is made to look absent.
 *
 * Exits with 127 if there is no such command and with 126 if it cannot be executed, and says so on standard
 * error. Throws an Error with a sentence for the user when the namespace cannot be made.
 */
export function execInNamespace(
  mountpoint: string,
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): never {
  const [file] = command;
  if (file === undefined) throw new Error('there is no command to run: name it after "verbsim run"');
  enterNamespace({ mountpoint, native });
  const denied = native.denyNetlinkRdma();
  if (denied < 0) {
    throw new Error(
      `the RDMA netlink family cannot be hidden from the command: ${describeError(denied)}; ` +
        'use a kernel with CONFIG_SECCOMP_FILTER, and let verbsim use seccomp(2)',
    );
  }
  reportFailedExec(file, native.exec(file, [...command], environmentStrings(env)));
}
