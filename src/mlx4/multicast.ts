/** Which QPs get the packets of a multicast group (drivers/net/ethernet/mellanox/mlx4/mcg.c). */
import { Errno } from '../../devfs/errno.js';
import type { MulticastMembership, QueuePair } from '../core/objects.js';
import type { Adapter } from './adapter.js';
import type { Mlx4Qp } from './qp.js';

export interface MulticastGroup {
  readonly qps: Set<Mlx4Qp>;
}

const keyOf = (gid: Uint8Array): string => Buffer.from(gid).toString('hex');

/** Throws ENOMEM when the tables are full. A QP that is in the group already stays in it. */
export function attachMcast(adapter: Adapter, queuePair: QueuePair, { gid }: MulticastMembership): void {
  const { multicastGroups, limits } = adapter;
  const key = keyOf(gid);
  const group = multicastGroups.get(key) ?? { qps: new Set<Mlx4Qp>() };
  const qp = queuePair as Mlx4Qp;
  if (group.qps.has(qp)) return;
  if (group.qps.size >= limits.maxMcastQpAttach) {
    throw new Errno('ENOMEM', `${group.qps.size} QPs are in the group already`);
  }
  if (group.qps.size === 0 && multicastGroups.size >= limits.maxMcastGrp) {
    throw new Errno('ENOMEM', `there are ${multicastGroups.size} multicast groups already`);
  }
  group.qps.add(qp);
  multicastGroups.set(key, group);
}

export function detachMcast(adapter: Adapter, qp: QueuePair, { gid }: MulticastMembership): void {
  if (!leave(adapter, keyOf(gid), qp as Mlx4Qp)) throw new Errno('EINVAL', 'the QP is not in that group');
}

/** For a QP that is going. */
export function leaveAllGroups(adapter: Adapter, qp: Mlx4Qp): void {
  for (const key of adapter.multicastGroups.keys()) leave(adapter, key, qp);
}

function leave({ multicastGroups }: Adapter, key: string, qp: Mlx4Qp): boolean {
  const group = multicastGroups.get(key);
  if (!group?.qps.delete(qp)) return false;
  if (group.qps.size === 0) multicastGroups.delete(key);
  return true;
}
