/**
 * What a C layout looks like from TypeScript.
 *
 * - The members of an anonymous struct are members of the struct that contains it, as in C.
 * - Of an anonymous union the first alternative stands for all: the headers use them to give the same bytes
 *   another name (data and data_s64; a flow specification's hdr and its members; a pointer that only aligns).
 * - A named union is an object with one property for each alternative (see emit.ts).
 */

import type { Field } from '../../src/abi/struct.js';
import type { AggregateType, Declarations, Enumeration, Type } from './dwarf.js';
import { HEADERS } from './selection.js';

export interface NamedMember {
  readonly name: string;
  readonly offset: number;
  readonly type: Type;
}

/** A named struct: where it is used in another one it is referred to, not spelt out. */
export interface NamedStruct extends AggregateType {
  readonly kind: 'struct';
  readonly name: string;
}

export function isNamedStruct(type: Type): type is NamedStruct {
  return type.kind === 'struct' && type.name !== undefined;
}

export function sizeOf(type: Type): number {
  return type.kind === 'array' ? type.length * sizeOf(type.element) : type.size;
}

/** The members of a struct or union with the anonymous ones resolved, at offsets from `at`. */
export function membersOf(aggregate: AggregateType, at = 0): NamedMember[] {
  return aggregate.members.flatMap(({ name, offset, type }) => {
    if (name !== undefined) return [{ name, offset: at + offset, type }];
    if (type.kind === 'struct') return membersOf(type, at + offset);
    if (type.kind === 'union') return membersOf({ ...type, members: [widest(type)] }, at + offset);
    throw new Error(`${aggregate.name}: only structs and unions can be anonymous`);
  });
}

function widest(union: AggregateType) {
  const [first] = union.members;
  if (first === undefined || sizeOf(first.type) !== union.size) {
    throw new Error(`${union.header}: the first alternative of an anonymous union does not cover it`);
  }
  return first;
}

/** The members as plain data; those of a struct or union without a name of its own have dotted names. */
export function fieldsOf(aggregate: AggregateType): Field[] {
  return membersOf(aggregate).flatMap(({ name, offset, type }) => {
    if (type.kind === 'union' || (type.kind === 'struct' && type.name === undefined)) {
      return fieldsOf(type).map((field) => ({
        ...field,
        name: `${name}.${field.name}`,
        offset: offset + field.offset,
      }));
    }
    return [{ name, type: typeName(type), offset, size: sizeOf(type) }];
  });
}

function typeName(type: Type): string {
  switch (type.kind) {
    case 'integer':
      return `${type.bigEndian ? 'be' : type.signed ? 's' : 'u'}${type.size * 8}`;
    case 'array':
      return `${typeName(type.element)}[${type.length === 0 ? '' : type.length}]`;
    default:
      return type.name ?? type.kind;
  }
}

/** The structs to emit: those of the selected headers, each after the ones of other headers it contains. */
export function selectedStructs(declarations: Declarations): NamedStruct[] {
  const selected = new Map<string, NamedStruct>();
  for (const header of HEADERS) {
    for (const struct of declarations.structs.values()) {
      if (struct.header.endsWith(`/${header}`)) select(struct);
    }
  }
  return [...selected.values()];

  function select(type: Type): void {
    if (type.kind === 'array') select(type.element);
    if (type.kind !== 'struct' && type.kind !== 'union') return;
    for (const member of membersOf(type)) select(member.type);
    if (isNamedStruct(type)) selected.set(type.name, type);
  }
}

export function selectedEnums(declarations: Declarations): Enumeration[] {
  return HEADERS.flatMap((header) =>
    declarations.enums.filter((enumeration) => enumeration.header.endsWith(`/${header}`)),
  );
}
