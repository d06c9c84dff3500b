/** What a command is: a row that says how it is called, and a module that does it. */
import type { ExitCode } from './exit-codes.js';

/** All options of all commands; each command has those of its row. */
export interface Options {
  config?: string;
  system?: boolean;
  driverWithoutDisassociate?: boolean;
  withoutDisassociate?: boolean;
  profile?: '6.12' | '4.3';
  linkLayer?: 'infiniband' | 'ethernet';
  ports?: 1 | 2;
  realisticTiming?: boolean;
  timeout?: number;
  readyFd?: number;
  whilePid?: number;
  json?: boolean;
  pretty?: boolean;
}

export interface Invocation {
  runtimeDirectory: string;
  /** The command's own arguments, optional ones that were left out missing. */
  arguments: string[];
  options: Options;
}

/** Does the command; throws an Error whose message is a sentence for the user. Without a code, it is done. */
export type Action = (invocation: Invocation) => Promise<ExitCode | undefined>;

export interface OptionRow {
  /** As commander takes them: "-j, --json" or "--config <file>". */
  flags: string;
  summary: string;
  /** Reads the option's argument; throws commander's InvalidArgumentError. */
  parse?: (text: string) => unknown;
  choices?: readonly string[];
}

export interface ArgumentRow {
  /** "<device>", "[type]", "<command...>". */
  name: string;
  summary: string;
  choices?: readonly string[];
}

export interface CommandRow {
  /** The words that call it ("dev show"), then its arguments as commander takes them. */
  words: string;
  arguments?: ArgumentRow[];
  summary: string;
  options?: OptionRow[];
  /** Everything from the first argument on belongs to the command that the argument names. */
  passThrough?: boolean;
  /** Loaded when it is called: starting up must not cost what other commands need. */
  load(): Promise<{ default: Action }>;
}
