/** Shared receive queues. */
import { Errno } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { ProtectionDomain } from '../../core/objects.js';
import { type SharedReceiveQueue, SrqType } from '../../core/objects.js';
import { createSrq, destroySrq } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { AsyncEventFile } from '../events/async-event-file.js';
import { ObjectEvents } from '../events/object-events.js';
import type { ObjectType, Uobject } from '../uobject.js';
import type { UserCq } from './cq.js';
import type { UserXrcd } from './xrcd.js';

export interface UserSrq {
  readonly srq: SharedReceiveQueue;
  readonly events: ObjectEvents;
  readonly xrcd: UserXrcd | undefined;
}

export const srqType: ObjectType<UserSrq> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_SRQ,
  name: 'SRQ',
  destroy({ srq, events, xrcd }) {
    destroySrq(srq);
    events.drop();
    if (xrcd !== undefined) xrcd.references--;
  },
  core: ({ srq }) => srq,
  describe: ({ srq: { srqn, type, maxWr, maxSge, users } }) => ({ srqn, type, maxWr, maxSge, users }),
  refersTo: ({ srq: { pd, xrcd, cq } }) => [pd, xrcd, cq],
};

export interface SrqParameters {
  type: number;
  maxWr: number;
  maxSge: number;
  srqLimit: number;
  userHandle: bigint;
}

/** What an SRQ is made of; XRC ones need a domain and a CQ. */
export interface SrqParents {
  pd: ProtectionDomain;
  xrcd: UserXrcd | undefined;
  cq: UserCq | undefined;
  eventFile: AsyncEventFile | undefined;
}

export function makeSrq(
  bundle: Bundle,
  uobject: Uobject<UserSrq>,
  { type, maxWr, maxSge, srqLimit, userHandle }: SrqParameters,
  { pd, xrcd, cq, eventFile }: SrqParents,
): SharedReceiveQueue {
  const srq = createSrq(pd, { type, maxWr, maxSge, srqLimit, xrcd: xrcd?.xrcd, cq: cq?.cq }, bundle.udata);
  const events = new ObjectEvents(eventFile ?? bundle.file.defaultAsyncFile, userHandle);
  srq.onEvent = events.deliver;
  if (xrcd !== undefined) xrcd.references++;
  uobject.object = { srq, events, xrcd };
  return srq;
}

/** Throws EINVAL for a type that no device has. */
export function checkSrqType(type: number): void {
  if (type !== SrqType.BASIC && type !== SrqType.XRC && type !== SrqType.TM) {
    throw new Errno('EINVAL', `there is no SRQ of type ${type}`);
  }
}
