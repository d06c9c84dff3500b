/** The write commands (core/uverbs_cmd.c, uverbs_def_write_intf) by object, each a row. */
import type { WriteCommand } from '../command.js';
import { cqCommands } from './cq.js';
import { deviceCommands } from './device.js';
import { memoryCommands } from './memory.js';
import { qpCommands } from './qp.js';
import { srqCommands } from './srq.js';
import { steeringCommands } from './steering.js';

export const commands: readonly WriteCommand[] = [
  ...deviceCommands,
  ...memoryCommands,
  ...cqCommands,
  ...qpCommands,
  ...srqCommands,
  ...steeringCommands,
];
