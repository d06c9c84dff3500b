/** The ioctl methods by object (core/uverbs_std_types*.c). */
import type { Method } from '../method.js';
import { cqMethods } from './cq.js';
import { destroyMethods } from './destroy.js';
import { deviceMethods } from './device.js';
import { mrMethods } from './mr.js';
import { qpMethods } from './qp.js';
import { srqMethods } from './srq.js';
import { wqMethods } from './wq.js';

export const methods: readonly Method[] = [
  ...deviceMethods,
  ...cqMethods,
  ...qpMethods,
  ...srqMethods,
  ...wqMethods,
  ...mrMethods,
  ...destroyMethods,
];
