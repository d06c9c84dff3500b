/**
 * Memory keys (drivers/net/ethernet/mellanox/mlx4/mr.c, hw_index_to_key): the index of the table of regions and windows
 * (MPT), rotated by 8 bits. The low byte is the tag of a window, which its owner changes with every bind.
 */
export function keyOfIndex(index: number): number {
  return ((index << 8) | (index >>> 24)) >>> 0;
}

export function indexOfKey(key: number): number {
  return ((key >>> 8) | (key << 24)) >>> 0;
}
