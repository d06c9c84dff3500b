/** The kernel's roundup_pow_of_two; 1 for 0. Exact up to 2^52. */
export function powerOfTwoCeil(value: number): number {
  let power = 1;
  while (power < value) power *= 2;
  return power;
}

/** The kernel's ilog2 of a positive number: rounded down. */
export function log2(value: number): number {
  return 31 - Math.clz32(value);
}
