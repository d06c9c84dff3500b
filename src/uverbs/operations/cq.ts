/** Completion queues. */
import { Errno } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { CompletionQueue } from '../../core/objects.js';
import { destroyCq } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { AsyncEventFile } from '../events/async-event-file.js';
import type { CompletionChannel } from '../events/completion-channel.js';
import type { EventCounter } from '../events/event-queue.js';
import { ObjectEvents } from '../events/object-events.js';
import type { ObjectType, Uobject } from '../uobject.js';

export interface UserCq {
  readonly cq: CompletionQueue;
  readonly channel: CompletionChannel | undefined;
  readonly completions: EventCounter;
  readonly events: ObjectEvents;
}

export const cqType: ObjectType<UserCq> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_CQ,
  name: 'CQ',
  destroy({ cq, channel, completions, events }) {
    destroyCq(cq);
    channel?.dropOf(completions);
    events.drop();
  },
  core: ({ cq }) => cq,
  describe: ({ cq: { cqe, users, compVector } }) => ({ cqe, users, compVector }),
  refersTo: ({ channel }) => [channel],
};

export interface CqRequest {
  cqe: number;
  userHandle: bigint;
  compVector: number;
  flags: number;
}

/** `lookups` finds the event files that the door names; it runs where the kernel looks them up. */
export function createCq(
  bundle: Bundle,
  { cqe, userHandle, compVector, flags }: CqRequest,
  uobject: () => Uobject<UserCq>,
  channelOf: () => CompletionChannel | undefined,
  eventFile: AsyncEventFile | undefined,
): UserCq {
  const { numCompVectors } = bundle.file.uapi;
  if (compVector >= numCompVectors)
    throw new Errno('EINVAL', `there are ${numCompVectors} completion vectors`);
  const target = uobject();
  const channel = channelOf();
  const cq = bundle.device.ops.createCq(bundle.context, { cqe, compVector, flags }, bundle.udata);
  const completions: EventCounter = { reported: 0 };
  const events = new ObjectEvents(eventFile ?? bundle.file.defaultAsyncFile, userHandle);
  cq.onCompletion = () => channel?.push(userHandle, completions);
  cq.onEvent = events.deliver;
  target.object = { cq, channel, completions, events };
  return target.object;
}
