/** Work queues and their indirection tables: receive side scaling. */
import { Errno } from '../../../devfs/index.js';
import { IB_USER_VERBS_MAX_LOG_IND_TBL_SIZE, uverbsDefaultObjects } from '../../abi/index.js';
import type { ProtectionDomain, RwqIndTable, WorkQueue } from '../../core/objects.js';
import { createRwqIndTable, createWq, destroyRwqIndTable, destroyWq } from '../../core/verbs.js';
import { type Bundle, requireZeroFrom } from '../bundle.js';
import type { AsyncEventFile } from '../events/async-event-file.js';
import { ObjectEvents } from '../events/object-events.js';
import type { ObjectType, Uobject } from '../uobject.js';
import type { UserCq } from './cq.js';

export interface UserWq {
  readonly wq: WorkQueue;
  readonly events: ObjectEvents;
}

export const wqType: ObjectType<UserWq> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_WQ,
  name: 'WQ',
  destroy({ wq, events }) {
    destroyWq(wq);
    events.drop();
  },
  core: ({ wq }) => wq,
  describe: ({ wq: { wqNum, state, maxWr, maxSge, users } }) => ({
    wqn: wqNum,
    state: ['RESET', 'RDY', 'ERR'][state] ?? state,
    maxWr,
    maxSge,
    users,
  }),
  refersTo: ({ wq: { pd, cq } }) => [pd, cq],
};

export interface UserIndTable {
  readonly table: RwqIndTable;
}

export const indTableType: ObjectType<UserIndTable> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_RWQ_IND_TBL,
  name: 'RWQ indirection table',
  destroy: ({ table }) => destroyRwqIndTable(table),
  core: ({ table }) => table,
  describe: ({ table: { indTableNum, wqs, users } }) => ({ number: indTableNum, size: wqs.length, users }),
  refersTo: ({ table: { wqs } }) => wqs,
};

export interface WqParameters {
  type: number;
  maxWr: number;
  maxSge: number;
  createFlags: number;
  userHandle: bigint;
}

export function makeWq(
  bundle: Bundle,
  uobject: Uobject<UserWq>,
  { userHandle, ...init }: WqParameters,
  { pd, cq, eventFile }: { pd: ProtectionDomain; cq: UserCq; eventFile: AsyncEventFile | undefined },
): WorkQueue {
  const wq = createWq(pd, { ...init, cq: cq.cq }, bundle.udata);
  const events = new ObjectEvents(eventFile ?? bundle.file.defaultAsyncFile, userHandle);
  wq.onEvent = events.deliver;
  uobject.object = { wq, events };
  return wq;
}

/** enum ib_wq_attr_mask. */
const WqAttr = { STATE: 1, CUR_STATE: 2 } as const;
/** IB_WQS_ERR, the last state. */
const LAST_STATE = 2;

/** A state that is not given stays: the current one is the WQ's, the new one is the current one. */
export function modifyUserWq(
  bundle: Bundle,
  { wq }: UserWq,
  mask: number,
  given: { state: number; currentState: number; flags: number; flagsMask: number },
): void {
  const currentState = (mask & WqAttr.CUR_STATE) !== 0 ? given.currentState : wq.state;
  const state = (mask & WqAttr.STATE) !== 0 ? given.state : currentState;
  if (currentState > LAST_STATE || state > LAST_STATE) throw new Errno('EINVAL', 'there is no such state');
  bundle.device.ops.rss?.modifyWq(wq, mask, { ...given, state, currentState }, bundle.udata);
}

/**
 * `handles`: what follows the request, u32 each; ENOSPC when there are fewer than the table needs, EOPNOTSUPP when
 * more than zeroes follow them.
 */
export function makeIndTable(bundle: Bundle, logSize: number, handles: DataView): Uobject<UserIndTable> {
  if (logSize > IB_USER_VERBS_MAX_LOG_IND_TBL_SIZE) throw new Errno('EINVAL', 'the table is too large');
  const size = 2 ** logSize;
  if (handles.byteLength < size * 4) throw new Errno('ENOSPC', `the table needs ${size} handles`);
  requireZeroFrom(handles, size * 4);
  const wqs = Array.from(
    { length: size },
    (_, i) => bundle.lookup(wqType, handles.getUint32(i * 4, true)).wq,
  );
  const uobject = bundle.create(indTableType);
  uobject.object = { table: createRwqIndTable(bundle.context, logSize, wqs, bundle.udata) };
  return uobject;
}
