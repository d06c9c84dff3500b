/**
 * What one device answers, over both doors: the command and method tables cut to what its driver supports
 * (core/uverbs_uapi.c). Made once for each device, so a request only indexes.
 */
import { Errno } from '../../devfs/index.js';
import {
  IB_USER_VERBS_CMD_COMMAND_MASK,
  IB_USER_VERBS_CMD_FLAG_EXTENDED,
  uverbsDefaultObjects,
} from '../abi/index.js';
import type { DeviceOps } from '../core/device-ops.js';
import type { Method } from './ioctl/method.js';
import { methods } from './ioctl/methods/index.js';
import type { WriteCommand } from './write/command.js';
import { commands } from './write/commands/index.js';

export class Uapi {
  readonly driverId: number;
  readonly numCompVectors: number;
  readonly #legacy: (WriteCommand | undefined)[] = [];
  readonly #extended: (WriteCommand | undefined)[] = [];
  readonly #methods = new Map<number, Method>();
  readonly #objects = new Set<number>();

  constructor(ops: DeviceOps) {
    // Known by their descriptors alone, so no method names them.
    this.#objects.add(uverbsDefaultObjects.UVERBS_OBJECT_COMP_CHANNEL);
    this.driverId = ops.driverId;
    this.numCompVectors = ops.numCompVectors;
    for (const command of commands) {
      const table = command.extended ? this.#extended : this.#legacy;
      table[command.number] = command.supported(ops) ? command : undefined;
    }
    for (const method of methods) {
      if (!method.supported(ops)) continue;
      this.#methods.set(methodKey(method.objectId, method.methodId), method);
      this.#objects.add(method.objectId);
    }
  }

  /**
   * The command behind the first word of a header. Throws EINVAL for unknown bits and EOPNOTSUPP for a number beyond
   * the table; `undefined` for a gap in it.
   */
  writeCommand(word: number): WriteCommand | undefined {
    const number = word & IB_USER_VERBS_CMD_COMMAND_MASK;
    const isExtended = word >= IB_USER_VERBS_CMD_FLAG_EXTENDED;
    if (word !== number + (isExtended ? IB_USER_VERBS_CMD_FLAG_EXTENDED : 0)) {
      throw new Errno('EINVAL', `command 0x${word.toString(16)} has unknown bits`);
    }
    const table = isExtended ? this.#extended : this.#legacy;
    if (number >= table.length) throw new Errno('EOPNOTSUPP', `command ${number} is beyond the table`);
    return table[number];
  }

  hasObject(objectId: number): boolean {
    return this.#objects.has(objectId);
  }

  method(objectId: number, methodId: number): Method | undefined {
    return this.#methods.get(methodKey(objectId, methodId));
  }
}

/** Both ids are u16. */
function methodKey(objectId: number, methodId: number): number {
  return objectId * 0x1_0000 + methodId;
}
