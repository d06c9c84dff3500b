/** Queue pairs. */
import { Errno } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { IbDevice } from '../../core/device.js';
import {
  type ProtectionDomain,
  QpAttr,
  type QpAttributes,
  type QpCapabilities,
  QpState,
  QpType,
  type QueuePair,
} from '../../core/objects.js';
import { createQp, destroyQp, detachAllMcast, modifyQp } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { AsyncEventFile } from '../events/async-event-file.js';
import { ObjectEvents } from '../events/object-events.js';
import { type ObjectType, RemoveReason, type Uobject } from '../uobject.js';
import type { UserCq } from './cq.js';
import type { UserSrq } from './srq.js';
import type { UserIndTable } from './wq.js';
import { type UserXrcd, xrcdType } from './xrcd.js';

export interface UserQp {
  readonly device: IbDevice;
  readonly qp: QueuePair;
  readonly events: ObjectEvents;
  readonly xrcd: UserXrcd | undefined;
}

const STATE_NAMES = ['RESET', 'INIT', 'RTR', 'RTS', 'SQD', 'SQE', 'ERR'] as const;
const TYPE_NAMES = new Map<number, string>(Object.entries(QpType).map(([name, type]) => [type, name]));

export const qpType: ObjectType<UserQp> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_QP,
  name: 'QP',
  destroy({ device, qp, events, xrcd }, reason) {
    if (reason !== RemoveReason.DESTROY) detachAllMcast(device, qp);
    // An XRC target exists as often as it was opened; the last one takes it away.
    if (qp.type === QpType.XRC_TGT) qp.users--;
    if (qp.type !== QpType.XRC_TGT || qp.users === 0) destroyQp(device, qp);
    events.drop();
    if (xrcd !== undefined) xrcd.references--;
  },
  core: ({ qp }) => qp,
  describe: ({ qp: { qpNum, type, state, users } }) => ({
    lqpn: qpNum,
    type: TYPE_NAMES.get(type) ?? type,
    state: STATE_NAMES[state],
    users,
  }),
  refersTo: ({ qp: { pd, init } }) => [pd, init.sendCq, init.recvCq, init.srq, init.xrcd, init.indTable],
};

export interface QpParents {
  pd: ProtectionDomain | undefined;
  xrcd: UserXrcd | undefined;
  sendCq: UserCq | undefined;
  recvCq: UserCq | undefined;
  srq: UserSrq | undefined;
  indTable: UserIndTable | undefined;
  eventFile: AsyncEventFile | undefined;
}

export interface QpParameters {
  type: number;
  cap: QpCapabilities;
  sqSigAll: boolean;
  createFlags: number;
  userHandle: bigint;
}

export function makeQp(
  bundle: Bundle,
  uobject: Uobject<UserQp>,
  { type, cap, sqSigAll, createFlags, userHandle }: QpParameters,
  { pd, xrcd, sendCq, recvCq, srq, indTable, eventFile }: QpParents,
): QueuePair {
  const qp = createQp(
    bundle.context,
    pd,
    {
      type,
      sendCq: sendCq?.cq,
      recvCq: recvCq?.cq,
      srq: srq?.srq,
      xrcd: xrcd?.xrcd,
      indTable: indTable?.table,
      cap,
      sqSigAll,
      createFlags,
    },
    bundle.udata,
  );
  if (type === QpType.XRC_TGT) qp.users = 1;
  const events = new ObjectEvents(eventFile ?? bundle.file.defaultAsyncFile, userHandle);
  qp.onEvent = events.deliver;
  if (xrcd !== undefined) xrcd.references++;
  uobject.object = { device: bundle.device, qp, events, xrcd };
  return qp;
}

/** A second handle on another process's XRC target; it reports no events. */
export function openQp(
  bundle: Bundle,
  { xrcdHandle, qpn, type }: { xrcdHandle: number; qpn: number; type: number },
): Uobject<UserQp> {
  const uobject = bundle.create(qpType);
  const xrcd = invalidUnlessFound(() => bundle.lookup(xrcdType, xrcdHandle));
  const qp = xrcd.xrcd.targetQps.get(qpn);
  if (qp === undefined || type !== QpType.XRC_TGT)
    throw new Errno('EINVAL', `no XRC target ${qpn} in the domain`);
  qp.users++;
  xrcd.references++;
  uobject.object = { device: bundle.device, qp, events: new ObjectEvents(undefined, 0n), xrcd };
  return uobject;
}

/** An XRC domain that cannot be looked up is EINVAL, whatever the reason. */
export function invalidUnlessFound<T>(lookup: () => T): T {
  try {
    return lookup();
  } catch (error) {
    throw error instanceof Errno ? new Errno('EINVAL', error.message) : error;
  }
}

/** Above it a Q_Key is privileged. */
const PRIVILEGED_QKEY = 0x8000_0000;

/** The checks of modify_qp in core/uverbs_cmd.c, in its order, then those of the core and the driver. */
export function modifyUserQp(bundle: Bundle, { qp }: UserQp, mask: number, given: QpAttributes): void {
  const { device } = bundle;
  const has = (bit: number): boolean => (mask & bit) !== 0;
  const invalid = (why: string): Errno => new Errno('EINVAL', why);
  if (has(QpAttr.PORT) && !device.isValidPort(given.portNum)) throw invalid(`no port ${given.portNum}`);
  let effective = mask;
  if (has(QpAttr.AV)) {
    const { portNum } = given.dest;
    if (!device.isValidPort(portNum)) throw invalid(`no port ${portNum}`);
    if (has(QpAttr.STATE) && given.qpState === QpState.RTR) {
      if (portNum !== qp.port) throw invalid('the path leaves through another port than the QP');
    } else if (has(QpAttr.PORT) && portNum !== given.portNum) {
      throw invalid('the path leaves through another port than the one to be set');
    } else if (!has(QpAttr.PORT)) {
      // A path alone sets the port, too.
      given.portNum = portNum;
      effective |= QpAttr.PORT;
    }
  }
  if (has(QpAttr.ALT_PATH)) {
    if (!device.isValidPort(given.altPortNum) || !device.isValidPort(given.altDest.portNum)) {
      throw invalid('the alternate path has no valid port');
    }
    if (given.altPortNum !== given.altDest.portNum) throw invalid('the ports of the alternate path differ');
  }
  if (has(QpAttr.CUR_STATE) && given.curQpState > QpState.ERR) throw invalid('there is no such state');
  if (has(QpAttr.STATE) && given.qpState > QpState.ERR) throw invalid('there is no such state');
  if (has(QpAttr.QKEY) && given.qkey >= PRIVILEGED_QKEY && !bundle.hasCapability('CAP_NET_RAW')) {
    throw new Errno('EPERM', 'a privileged Q_Key needs CAP_NET_RAW');
  }
  modifyQp(device, qp, effective, given);
}
