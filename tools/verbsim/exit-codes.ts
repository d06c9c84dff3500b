/** What the command's exit code tells. `verbsim run` has those of the command it runs. */
export const ExitCode = {
  DONE: 0,
  /** The command line is wrong. */
  USAGE: 1,
  /** The simulator, or the machine, does not do it. */
  REFUSED: 2,
  NO_DAEMON: 3,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
