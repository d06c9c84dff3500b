/** Methods of work queues (core/uverbs_std_types_wq.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { AsyncEventFile } from '../../events/async-event-file.js';
import { cqType } from '../../operations/cq.js';
import { pdType } from '../../operations/pd.js';
import { makeWq, wqType } from '../../operations/wq.js';
import { attribute, type Method, method } from '../method.js';
import type { MethodCall } from '../method-call.js';

const Create = abi.uverbsAttrsCreateWqCmdAttrIds;
const Destroy = abi.uverbsAttrsDestroyWqCmdAttrIds;

/** IB_WQT_RQ. */
const RECEIVE = 0;
/** IB_UVERBS_WQ_FLAGS_*. */
const CREATE_FLAGS = 0xf;

const supported = (ops: DeviceOps): boolean => ops.rss !== undefined;

function createWq(call: MethodCall): void {
  const type = call.number(Create.UVERBS_ATTR_CREATE_WQ_TYPE);
  if (type !== RECEIVE) throw new Errno('EINVAL', `there is no WQ of type ${type}`);
  const wq = makeWq(
    call,
    call.uobject(Create.UVERBS_ATTR_CREATE_WQ_HANDLE, wqType),
    {
      type,
      maxWr: call.u32In(Create.UVERBS_ATTR_CREATE_WQ_MAX_WR),
      maxSge: call.u32In(Create.UVERBS_ATTR_CREATE_WQ_MAX_SGE),
      createFlags: call.flags(Create.UVERBS_ATTR_CREATE_WQ_FLAGS),
      userHandle: call.u64In(Create.UVERBS_ATTR_CREATE_WQ_USER_HANDLE),
    },
    {
      pd: call.object(Create.UVERBS_ATTR_CREATE_WQ_PD_HANDLE, pdType),
      cq: call.object(Create.UVERBS_ATTR_CREATE_WQ_CQ_HANDLE, cqType),
      eventFile: call.eventFileOf<AsyncEventFile>(Create.UVERBS_ATTR_CREATE_WQ_EVENT_FD),
    },
  );
  call.u32Out(Create.UVERBS_ATTR_CREATE_WQ_RESP_MAX_WR, wq.maxWr);
  call.u32Out(Create.UVERBS_ATTR_CREATE_WQ_RESP_MAX_SGE, wq.maxSge);
  call.u32Out(Create.UVERBS_ATTR_CREATE_WQ_RESP_WQ_NUM, wq.wqNum);
}

export const wqMethods: readonly Method[] = [
  method(
    wqType.id,
    abi.uverbsMethodsWq.UVERBS_METHOD_WQ_CREATE,
    'WQ create',
    {
      attributes: [
        attribute.handle(Create.UVERBS_ATTR_CREATE_WQ_HANDLE, 'new', wqType),
        attribute.handle(Create.UVERBS_ATTR_CREATE_WQ_PD_HANDLE, 'use', pdType),
        attribute.handle(Create.UVERBS_ATTR_CREATE_WQ_CQ_HANDLE, 'use', cqType, false),
        attribute.in(Create.UVERBS_ATTR_CREATE_WQ_USER_HANDLE, 8),
        attribute.u32(Create.UVERBS_ATTR_CREATE_WQ_TYPE),
        attribute.eventFile(Create.UVERBS_ATTR_CREATE_WQ_EVENT_FD, AsyncEventFile),
        attribute.in(Create.UVERBS_ATTR_CREATE_WQ_MAX_WR, 4),
        attribute.in(Create.UVERBS_ATTR_CREATE_WQ_MAX_SGE, 4),
        attribute.flags(Create.UVERBS_ATTR_CREATE_WQ_FLAGS, CREATE_FLAGS, true),
        attribute.out(Create.UVERBS_ATTR_CREATE_WQ_RESP_MAX_WR, 4),
        attribute.out(Create.UVERBS_ATTR_CREATE_WQ_RESP_MAX_SGE, 4),
        attribute.out(Create.UVERBS_ATTR_CREATE_WQ_RESP_WQ_NUM, 4, false),
      ],
      uhw: true,
      supported,
    },
    createWq,
  ),
  method(
    wqType.id,
    abi.uverbsMethodsWq.UVERBS_METHOD_WQ_DESTROY,
    'WQ destroy',
    {
      attributes: [
        attribute.handle(Destroy.UVERBS_ATTR_DESTROY_WQ_HANDLE, 'destroy', wqType),
        attribute.out(Destroy.UVERBS_ATTR_DESTROY_WQ_RESP, 4),
      ],
      supported,
    },
    (call) => {
      const { events } = call.object(Destroy.UVERBS_ATTR_DESTROY_WQ_HANDLE, wqType);
      call.u32Out(Destroy.UVERBS_ATTR_DESTROY_WQ_RESP, events.reported);
    },
  ),
];
