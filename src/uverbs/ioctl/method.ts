/** An ioctl method as a row of a table: its object, its attributes, and what it does (core/uverbs_ioctl.c). */
import type { DeviceOps } from '../../core/device-ops.js';
import type { AsyncEventFile } from '../events/async-event-file.js';
import type { CompletionChannel } from '../events/completion-channel.js';
import type { ObjectType } from '../uobject.js';
import type { MethodCall } from './method-call.js';

interface AttributeBase {
  readonly id: number;
  readonly mandatory: boolean;
}

/** Bytes in. Up to 8 travel inline. `max` undefined: any length. */
export interface PointerIn extends AttributeBase {
  readonly type: 'ptr-in';
  readonly min: number;
  readonly max: number;
  /** Longer input is accepted when the tail is zero; else it is EINVAL. */
  readonly zeroTrailing: boolean;
  /** Read when the attributes are parsed (UA_ALLOC_AND_COPY), not when the handler uses it. */
  readonly copied?: true;
}

/** Bytes out, always by pointer. */
export interface PointerOut extends AttributeBase {
  readonly type: 'ptr-out';
  readonly min: number;
  readonly max: number;
}

/** A number in 8 inline bytes that must fit its kernel type. */
export interface ConstIn extends AttributeBase {
  readonly type: 'const';
  readonly max: bigint;
}

export interface FlagsIn extends AttributeBase {
  readonly type: 'flags';
  readonly mask: bigint;
}

/** A handle: made, used or destroyed. */
export interface HandleAttribute extends AttributeBase {
  readonly type: 'handle';
  readonly access: 'new' | 'use' | 'destroy';
  readonly objectType: ObjectType<never>;
}

/** A descriptor of an event file of this context. */
export interface EventFileAttribute extends AttributeBase {
  readonly type: 'event-fd';
  readonly kind: typeof AsyncEventFile | typeof CompletionChannel;
}

/** A descriptor of a new event file; its number is written when the agent knows it. */
export interface NewDescriptorAttribute extends AttributeBase {
  readonly type: 'new-fd';
}

export type AttributeSpec =
  | PointerIn
  | PointerOut
  | ConstIn
  | FlagsIn
  | HandleAttribute
  | EventFileAttribute
  | NewDescriptorAttribute;

const UNLIMITED = 0xffff;

/** Attribute rows. */
export const attribute = {
  /** Exactly `size` bytes in. */
  in: (id: number, size: number, mandatory = true): PointerIn => ({
    type: 'ptr-in',
    id,
    mandatory,
    min: size,
    max: size,
    zeroTrailing: false,
  }),
  /** A structure that newer clients may know more of: what this kernel does not know must be zero. */
  inStruct: (id: number, size: number): PointerIn => ({
    type: 'ptr-in',
    id,
    mandatory: true,
    min: size,
    max: size,
    zeroTrailing: true,
  }),
  /** At least `min` bytes in. */
  inMin: (id: number, min: number, mandatory: boolean): PointerIn => ({
    type: 'ptr-in',
    id,
    mandatory,
    min,
    max: UNLIMITED,
    zeroTrailing: false,
  }),
  /** An array of at least `min` bytes, copied before the handler runs. */
  inArray: (id: number, min: number): PointerIn => ({ ...attribute.inMin(id, min, true), copied: true }),
  /** Exactly `size` bytes out. */
  out: (id: number, size: number, mandatory = true): PointerOut => ({
    type: 'ptr-out',
    id,
    mandatory,
    min: size,
    max: size,
  }),
  /** At least `min` bytes of room. */
  outMin: (id: number, min: number, mandatory: boolean): PointerOut => ({
    type: 'ptr-out',
    id,
    mandatory,
    min,
    max: UNLIMITED,
  }),
  u8: (id: number): ConstIn => ({ type: 'const', id, mandatory: true, max: 0xffn }),
  u32: (id: number): ConstIn => ({ type: 'const', id, mandatory: true, max: 0xffff_ffffn }),
  u64: (id: number): ConstIn => ({ type: 'const', id, mandatory: true, max: 0xffff_ffff_ffff_ffffn }),
  flags: (id: number, mask: number, mandatory: boolean): FlagsIn => ({
    type: 'flags',
    id,
    mandatory,
    mask: BigInt(mask),
  }),
  handle: <T>(
    id: number,
    access: HandleAttribute['access'],
    objectType: ObjectType<T>,
    mandatory = true,
  ): HandleAttribute => ({
    type: 'handle',
    id,
    mandatory,
    access,
    objectType: objectType as ObjectType<never>,
  }),
  eventFile: (id: number, kind: EventFileAttribute['kind']): EventFileAttribute => ({
    type: 'event-fd',
    id,
    mandatory: false,
    kind,
  }),
  newDescriptor: (id: number): NewDescriptorAttribute => ({ type: 'new-fd', id, mandatory: true }),
};

export interface Method {
  readonly objectId: number;
  readonly methodId: number;
  readonly name: string;
  readonly attributes: ReadonlyMap<number, AttributeSpec>;
  /** Ids of the attributes that must be there. */
  readonly mandatory: readonly number[];
  /** Ids of the handles that it destroys. */
  readonly destroyed: readonly number[];
  /** Whether the driver's own attributes (UHW) are known to it. */
  readonly uhw: boolean;
  readonly supported: (ops: DeviceOps) => boolean;
  readonly run: (call: MethodCall) => void;
}

export function method(
  objectId: number,
  methodId: number,
  name: string,
  layout: { attributes: AttributeSpec[]; uhw?: boolean; supported?: (ops: DeviceOps) => boolean },
  run: (call: MethodCall) => void,
): Method {
  return {
    objectId,
    methodId,
    name,
    attributes: new Map(layout.attributes.map((spec) => [spec.id, spec])),
    mandatory: layout.attributes.filter((spec) => spec.mandatory).map((spec) => spec.id),
    destroyed: layout.attributes
      .filter((spec) => spec.type === 'handle' && spec.access === 'destroy')
      .map((spec) => spec.id),
    uhw: layout.uhw ?? false,
    supported: layout.supported ?? (() => true),
    run,
  };
}
