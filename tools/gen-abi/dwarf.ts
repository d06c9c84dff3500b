/**
 * Reads C declarations out of `readelf --debug-dump=info,rawline`.
 *
 * The dump lists debugging information entries as
 *
 *      <1><b6>: Abbrev Number: 31 (DW_TAG_structure_type)
 *         <b7>   DW_AT_byte_size   : 128
 *
 * where the first number is the depth in the tree and the second the entry's offset, by which others refer to
 * it. The tags and attributes are those of the DWARF 5 standard, chapter 5.
 */

export interface IntegerType {
  readonly kind: 'integer';
  readonly size: number;
  readonly signed: boolean;
  /** Declared as one of the kernel's __be types. */
  readonly bigEndian: boolean;
}

export interface ArrayType {
  readonly kind: 'array';
  readonly element: Type;
  /** 0 for a flexible array member, in its C99 spelling and in the older [0]. */
  readonly length: number;
}

export interface AggregateType {
  readonly kind: 'struct' | 'union';
  readonly name: string | undefined;
  readonly header: string;
  readonly size: number;
  readonly members: readonly Member[];
}

export type Type = IntegerType | ArrayType | AggregateType;

export interface Member {
  /** Absent for an anonymous struct or union, whose members C counts as its parent's. */
  readonly name: string | undefined;
  readonly offset: number;
  readonly type: Type;
}

export interface Enumerator {
  readonly name: string;
  readonly value: bigint;
}

export interface Enumeration {
  readonly name: string | undefined;
  readonly header: string;
  /** 8 where an enumerator does not fit 32 bits. */
  readonly size: number;
  readonly enumerators: readonly Enumerator[];
}

export interface Declarations {
  /** The named structs, in the order in which they are declared. */
  readonly structs: ReadonlyMap<string, AggregateType>;
  readonly enums: readonly Enumeration[];
}

interface Entry {
  readonly tag: string;
  readonly attributes: Map<string, string>;
  readonly children: Entry[];
}

/** The value of DW_AT_encoding for a signed integer and a signed char (DWARF 5, section 5.1.1). */
const SIGNED_ENCODINGS = ['5', '6'];

export function parseDwarf(dump: string): Declarations {
  const { roots, byOffset } = parseEntries(dump);
  const files = parseFileTable(dump);
  const resolved = new Map<Entry, Type>();

  const structs = new Map<string, AggregateType>();
  const enums: Enumeration[] = [];
  for (const entry of roots.flatMap((root) => root.children)) {
    if (entry.tag === 'enumeration_type') {
      enums.push(enumeration(entry));
    } else if (entry.tag === 'structure_type' && entry.attributes.has('name') && !isIncomplete(entry)) {
      structs.set(text(entry, 'name'), aggregate(entry));
    }
  }
  return { structs, enums };

  function enumeration(entry: Entry): Enumeration {
    return {
      name: entry.attributes.get('name'),
      header: headerOf(entry),
      size: number(entry, 'byte_size'),
      enumerators: entry.children.map((child) => ({
        name: text(child, 'name'),
        value: BigInt(text(child, 'const_value')),
      })),
    };
  }

  function aggregate(entry: Entry): AggregateType {
    const members = entry.children.filter((child) => child.tag === 'member');
    return {
      kind: entry.tag === 'union_type' ? 'union' : 'struct',
      name: entry.attributes.get('name'),
      header: headerOf(entry),
      size: number(entry, 'byte_size'),
      members: members.map(member),
    };
  }

  function member(entry: Entry): Member {
    if (entry.attributes.has('bit_size')) throw new Error(`${text(entry, 'name')}: bit-fields have no ABI`);
    return {
      name: entry.attributes.get('name'),
      // Members of a union carry no location: all are at 0.
      offset: entry.attributes.has('data_member_location') ? number(entry, 'data_member_location') : 0,
      type: typeOf(entry),
    };
  }

  /** The type that an entry's DW_AT_type refers to. */
  function typeOf(entry: Entry): Type {
    const reference = text(entry, 'type');
    const target = byOffset.get(Number(/<(0x[\da-f]+)>/.exec(reference)?.[1]));
    if (target === undefined) throw new Error(`the debug information has no entry ${reference}`);
    const type = resolved.get(target) ?? resolve(target);
    resolved.set(target, type);
    return type;
  }

  function resolve(entry: Entry): Type {
    switch (entry.tag) {
      case 'base_type': {
        const signed = SIGNED_ENCODINGS.includes(text(entry, 'encoding').replace(/\s.*/, ''));
        return { kind: 'integer', size: number(entry, 'byte_size'), signed, bigEndian: false };
      }
      case 'enumeration_type':
        return { kind: 'integer', size: number(entry, 'byte_size'), signed: false, bigEndian: false };
      case 'typedef': {
        const type = typeOf(entry);
        const bigEndian = /^__be\d+$/.test(text(entry, 'name'));
        return bigEndian && type.kind === 'integer' ? { ...type, bigEndian } : type;
      }
      case 'const_type':
      case 'volatile_type':
        return typeOf(entry);
      // What a pointer points to is no part of a layout; not following it also ends recursive types.
      case 'pointer_type':
        return { kind: 'integer', size: number(entry, 'byte_size'), signed: false, bigEndian: false };
      case 'array_type':
        return { kind: 'array', element: typeOf(entry), length: arrayLength(entry) };
      case 'structure_type':
      case 'union_type':
        return aggregate(entry);
      default:
        throw new Error(`DW_TAG_${entry.tag} is not a type of an ABI`);
    }
  }

  function headerOf(entry: Entry): string {
    return files.get(text(entry, 'decl_file').replace(/\s.*/, '')) ?? '';
  }
}

function arrayLength(array: Entry): number {
  const [dimension, ...more] = array.children;
  if (dimension === undefined || more.length > 0) throw new Error('only arrays of one dimension are known');
  if (dimension.attributes.has('count')) return number(dimension, 'count');
  return dimension.attributes.has('upper_bound') ? number(dimension, 'upper_bound') + 1 : 0;
}

function isIncomplete(entry: Entry): boolean {
  return entry.attributes.has('declaration');
}

function text(entry: Entry, attribute: string): string {
  const value = entry.attributes.get(attribute);
  if (value === undefined) throw new Error(`DW_TAG_${entry.tag} lacks DW_AT_${attribute}`);
  return value;
}

function number(entry: Entry, attribute: string): number {
  return Number(text(entry, attribute));
}

function parseEntries(dump: string): { roots: Entry[]; byOffset: Map<number, Entry> } {
  const roots: Entry[] = [];
  const byOffset = new Map<number, Entry>();
  const path: Entry[] = [];
  for (const line of dump.split('\n')) {
    const entryLine = /^ *<([\da-f]+)><([\da-f]+)>: Abbrev Number: \d+ \(DW_TAG_(\w+)\)/.exec(line);
    if (entryLine !== null) {
      const [, depth, offset, tag] = entryLine as unknown as [string, string, string, string];
      const entry: Entry = { tag, attributes: new Map(), children: [] };
      path.length = Number.parseInt(depth, 16);
      (path.at(-1)?.children ?? roots).push(entry);
      path.push(entry);
      byOffset.set(Number.parseInt(offset, 16), entry);
      continue;
    }
    const attributeLine = /^ *<[\da-f]+> +DW_AT_(\w+) *: (.*)$/.exec(line);
    if (attributeLine !== null) {
      const [, name, value] = attributeLine as unknown as [string, string, string];
      path.at(-1)?.attributes.set(name, withoutForm(value));
    }
  }
  return { roots, byOffset };
}

/** Line program header (DWARF 5, section 6.2.4): the file numbers of DW_AT_decl_file, as full paths. */
function parseFileTable(dump: string): Map<string, string> {
  const directories = new Map<string, string>();
  const files = new Map<string, string>();
  let table: 'directories' | 'files' | undefined;
  for (const line of dump.split('\n')) {
    if (/^ *The Directory Table/.test(line)) table = 'directories';
    else if (/^ *The File Name Table/.test(line)) table = 'files';
    const row = table === 'files' ? /^ +(\d+)\t(\d+)\t(.+)$/.exec(line) : /^ +(\d+)\t()(.+)$/.exec(line);
    if (table === undefined || row === null) continue;
    const [, index, directory, name] = row as unknown as [string, string, string, string];
    if (table === 'directories') directories.set(index, withoutForm(name));
    else files.set(index, `${directories.get(directory)}/${withoutForm(name)}`);
  }
  return files;
}

/**
 * readelf says how a value is stored before the value itself, as in "(indirect string, offset: 0x61ab): text",
 * and its versions differ in how much of that they say.
 */
function withoutForm(value: string): string {
  return value.replace(/^(\([^)]*\):? )+/, '').trim();
}
