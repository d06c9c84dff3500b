/** The verbsim command: builds the command line from the table, and turns what goes wrong into one sentence. */
import { writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { Argument, Command, CommanderError, Option } from 'commander';
import { NoDaemon } from '../../src/admin/no-daemon.js';
import { DEFAULT_RUNTIME_DIRECTORY } from '../../src/admin/runtime-paths.js';
import { version } from '../../src/admin/version.js';
import type { ArgumentRow, CommandRow, OptionRow, Options } from './command.js';
import { commands, groups } from './commands.js';
import { ExitCode } from './exit-codes.js';

function option({ flags, summary, parse, choices }: OptionRow): Option {
  const made = new Option(flags, summary);
  if (choices !== undefined) made.choices(choices);
  return parse === undefined ? made : made.argParser(parse);
}

function argument({ name, summary, choices }: ArgumentRow): Argument {
  const made = new Argument(name, summary);
  return choices === undefined ? made : made.choices(choices);
}

/** The command that the rows of a group ("dev show") hang from. */
function parentOf(row: CommandRow, program: Command): { parent: Command; name: string } {
  const [first = '', second] = row.words.split(' ');
  if (second === undefined) return { parent: program, name: first };
  const group = program.commands.find((command) => command.name() === first);
  return { parent: group ?? program.command(first).description(groups[first] ?? ''), name: second };
}

function addCommand(row: CommandRow, program: Command, done: (code: ExitCode) => void): void {
  const { parent, name } = parentOf(row, program);
  const command = parent.command(name).description(row.summary).allowExcessArguments(false);
  for (const each of row.arguments ?? []) command.addArgument(argument(each));
  for (const each of row.options ?? []) command.addOption(option(each));
  if (row.passThrough === true) command.passThroughOptions();
  command.action(async () => {
    const { default: action } = await row.load();
    const code = await action({
      runtimeDirectory: resolve(program.opts<{ runtimeDir: string }>().runtimeDir),
      arguments: command.processedArgs.flat().filter((argument) => argument !== undefined),
      options: command.opts<Options>(),
    });
    done(code ?? ExitCode.DONE);
  });
}

function createProgram(done: (code: ExitCode) => void): Command {
  const program = new Command('verbsim')
    .description('A simulated ConnectX-3 HCA that unmodified RDMA programs can open, use and lose')
    .version(version)
    .addOption(
      new Option('--runtime-dir <dir>', 'where the simulator has its socket and its mount point')
        .env('VERBSIM_RUNTIME_DIR')
        .default(DEFAULT_RUNTIME_DIRECTORY),
    )
    .enablePositionalOptions()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, 'verbsim:')) })
    .exitOverride();
  // Commands take over these settings when they are made.
  for (const row of commands) addCommand(row, program, done);
  return program;
}

/** The exit code for what was thrown. Commander has already written its own errors to standard error. */
function explain(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.DONE : ExitCode.USAGE;
  const sentence = error instanceof Error ? error.message : String(error);
  // Not process.stderr, which may be asynchronous and lose its last line at exit.
  writeSync(2, `verbsim: ${sentence}\n`);
  return error instanceof NoDaemon ? ExitCode.NO_DAEMON : ExitCode.REFUSED;
}

/** `argv` begins after the program's name. Returns the exit code. */
export async function main(argv: string[]): Promise<ExitCode> {
  let code: ExitCode = ExitCode.DONE;
  const program = createProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    return explain(error);
  }
}
