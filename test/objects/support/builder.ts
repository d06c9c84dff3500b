/** Write commands from what a good request says and what a test says differently. */
import type { Struct } from '../../../src/abi/index.js';
import type { Command, extended, legacy, Message } from '../../uverbs/support/messages.js';
import type { Scene } from './scene.js';

/** What a test may say of a request beside its fields. */
interface Rest {
  /** What follows the structure: the array of a request that has one. */
  tail?: Message;
  driverIn?: Message;
  driverOut?: number;
  coreOut?: number;
}

export type Change<F> = Partial<F> & Rest;
export type Build<F> = (scene: Scene, change?: Change<F>) => Command;

/** Any builder, for tests that change nothing but the frame. */
export type AnyBuild = (scene: Scene) => Command;

interface Form<V> {
  make: typeof legacy | typeof extended;
  request: Struct<unknown, V>;
  good: (scene: Scene) => Omit<V, 'response'>;
  response?: Struct<unknown, never>;
  tail?: Message | ((scene: Scene) => Message);
  driverIn?: Message;
  driverOut?: number;
}

export function builder<V>(number: number, form: Form<V>): Build<Omit<V, 'response'>> {
  return (scene, change = {}) => {
    const { tail: given, driverIn = form.driverIn, driverOut = form.driverOut, coreOut, ...fields } = change;
    const tail = given ?? (typeof form.tail === 'function' ? form.tail(scene) : form.tail);
    const value = { ...form.good(scene), ...fields } as Omit<V, 'response'>;
    const command = form.make(number, form.request, value, {
      ...(form.response && { response: form.response }),
      ...(driverIn !== undefined && { driverIn }),
      ...(driverOut !== undefined && { driverOut }),
    });
    return {
      ...command,
      request: command.request + (tail ?? ''),
      ...(coreOut !== undefined && { coreOut }),
    };
  };
}
