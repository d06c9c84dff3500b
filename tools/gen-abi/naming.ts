/** The TypeScript names of C names. */

import type { Enumeration } from './dwarf.js';
import { ENUM_NAMES } from './selection.js';

/** ib_uverbs_create_cq -> ibUverbsCreateCq */
export function camelCase(name: string): string {
  return name.replace(/^_+/, '').replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** ib_uverbs_create_cq -> IbUverbsCreateCq */
export function pascalCase(name: string): string {
  const camel = camelCase(name);
  return camel.charAt(0).toUpperCase() + camel.slice(1);
}

/**
 * An anonymous enum is named by the words that its enumerators begin with in common; one with a single
 * enumerator has no name, since it only declares a constant.
 */
export function enumName({ name, enumerators }: Enumeration): string | undefined {
  const [first, ...others] = enumerators.map((enumerator) => enumerator.name);
  const given = name ?? ENUM_NAMES[first ?? ''];
  if (given !== undefined) return camelCase(given);
  if (first === undefined || others.length === 0) return undefined;
  const words = first.split('_');
  const common = words.filter((_, i) => {
    const prefix = `${words.slice(0, i + 1).join('_')}_`;
    return others.every((other) => `${other}_`.startsWith(prefix));
  });
  if (common.length === 0) throw new Error(`the enum of ${first} needs a name in ENUM_NAMES`);
  return camelCase(common.join('_').toLowerCase());
}
