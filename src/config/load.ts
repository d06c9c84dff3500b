/** Reads a configuration file. */
import { readFile } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { parse, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { type Config, configSchema } from './config.js';

/** The message is one sentence that names the file, the key and what is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** `device[0].ports`, as the sentence names it. */
function keyName(path: PropertyKey[]): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`;
    return name === '' ? String(part) : `${name}.${String(part)}`;
  }, '');
}

function explain(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const names = issue.keys.map((key) => keyName([...issue.path, key]));
    return `${names.join(' and ')} is not a key that verbsim knows`;
  }
  if (issue.code === 'invalid_type') return `${keyName(issue.path)} must be of type ${issue.expected}`;
  return `${keyName(issue.path)} ${issue.message}`;
}

function parseToml(text: string, file: string): unknown {
  try {
    // A GUID may need all 64 bits.
    return parse(text, { integersAsBigInt: 'asNeeded' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // What follows the first line of the message is a drawing of the place.
    const [why = ''] = error.message.split('\n');
    throw new ConfigError(`${file}: line ${error.line}, column ${error.column}: ${why}`, { cause: error });
  }
}

/** Throws a ConfigError. `file` is for the message. */
export function parseConfig(text: string, file: string): Config {
  const result = configSchema.safeParse(parseToml(text, file));
  if (result.success) return result.data;
  throw new ConfigError(`${file}: ${result.error.issues.map(explain).join('; ')}`);
}

/** Throws a ConfigError. */
export async function loadConfig(file: string): Promise<Config> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = getSystemErrorMap().get(error.errno ?? 0)?.[1] ?? error.message;
    throw new ConfigError(`${file} cannot be read: ${why}`, { cause: error });
  });
  return parseConfig(text, file);
}
