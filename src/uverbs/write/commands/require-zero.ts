import { Errno } from '../../../../devfs/index.js';

/** Fields that a request must leave alone. */
export function requireZero(code: 'EINVAL' | 'EOPNOTSUPP', ...fields: number[]): void {
  if (fields.some((field) => field !== 0)) throw new Errno(code, 'comp_mask or a reserved field is set');
}
