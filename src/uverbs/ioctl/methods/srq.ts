/** Methods of shared receive queues (core/uverbs_std_types_srq.c). */
import * as abi from '../../../abi/index.js';
import { SrqType } from '../../../core/objects.js';
import { AsyncEventFile } from '../../events/async-event-file.js';
import { cqType } from '../../operations/cq.js';
import { pdType } from '../../operations/pd.js';
import { checkSrqType, makeSrq, srqType } from '../../operations/srq.js';
import { xrcdType } from '../../operations/xrcd.js';
import { attribute, type Method, method } from '../method.js';
import type { MethodCall } from '../method-call.js';

const Create = abi.uverbsAttrsCreateSrqCmdAttrIds;
const Destroy = abi.uverbsAttrsDestroySrqCmdAttrIds;

function createSrq(call: MethodCall): void {
  const parameters = {
    type: call.number(Create.UVERBS_ATTR_CREATE_SRQ_TYPE),
    maxWr: call.u32In(Create.UVERBS_ATTR_CREATE_SRQ_MAX_WR),
    maxSge: call.u32In(Create.UVERBS_ATTR_CREATE_SRQ_MAX_SGE),
    srqLimit: call.u32In(Create.UVERBS_ATTR_CREATE_SRQ_LIMIT),
    userHandle: call.u64In(Create.UVERBS_ATTR_CREATE_SRQ_USER_HANDLE),
  };
  const { type } = parameters;
  checkSrqType(type);
  const isXrc = type === SrqType.XRC;
  const xrcd = isXrc ? call.object(Create.UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE, xrcdType) : undefined;
  const cq =
    type === SrqType.BASIC ? undefined : call.object(Create.UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE, cqType);
  const srq = makeSrq(call, call.uobject(Create.UVERBS_ATTR_CREATE_SRQ_HANDLE, srqType), parameters, {
    pd: call.object(Create.UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, pdType),
    xrcd,
    cq,
    eventFile: call.eventFileOf<AsyncEventFile>(Create.UVERBS_ATTR_CREATE_SRQ_EVENT_FD),
  });
  call.u32Out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, srq.maxWr);
  call.u32Out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, srq.maxSge);
  if (isXrc) call.u32Out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_SRQ_NUM, srq.srqn);
}

export const srqMethods: readonly Method[] = [
  method(
    srqType.id,
    abi.uverbsMethodsSrq.UVERBS_METHOD_SRQ_CREATE,
    'SRQ create',
    {
      attributes: [
        attribute.handle(Create.UVERBS_ATTR_CREATE_SRQ_HANDLE, 'new', srqType),
        attribute.handle(Create.UVERBS_ATTR_CREATE_SRQ_PD_HANDLE, 'use', pdType),
        attribute.handle(Create.UVERBS_ATTR_CREATE_SRQ_XRCD_HANDLE, 'use', xrcdType, false),
        attribute.handle(Create.UVERBS_ATTR_CREATE_SRQ_CQ_HANDLE, 'use', cqType, false),
        attribute.in(Create.UVERBS_ATTR_CREATE_SRQ_USER_HANDLE, 8),
        attribute.in(Create.UVERBS_ATTR_CREATE_SRQ_MAX_WR, 4),
        attribute.in(Create.UVERBS_ATTR_CREATE_SRQ_MAX_SGE, 4),
        attribute.in(Create.UVERBS_ATTR_CREATE_SRQ_LIMIT, 4),
        attribute.in(Create.UVERBS_ATTR_CREATE_SRQ_MAX_NUM_TAGS, 4, false),
        attribute.u32(Create.UVERBS_ATTR_CREATE_SRQ_TYPE),
        attribute.eventFile(Create.UVERBS_ATTR_CREATE_SRQ_EVENT_FD, AsyncEventFile),
        attribute.out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_WR, 4),
        attribute.out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_MAX_SGE, 4),
        attribute.out(Create.UVERBS_ATTR_CREATE_SRQ_RESP_SRQ_NUM, 4, false),
      ],
      uhw: true,
    },
    createSrq,
  ),
  method(
    srqType.id,
    abi.uverbsMethodsSrq.UVERBS_METHOD_SRQ_DESTROY,
    'SRQ destroy',
    {
      attributes: [
        attribute.handle(Destroy.UVERBS_ATTR_DESTROY_SRQ_HANDLE, 'destroy', srqType),
        attribute.out(Destroy.UVERBS_ATTR_DESTROY_SRQ_RESP, abi.ibUverbsDestroySrqResp.size),
      ],
    },
    (call) => {
      const { events } = call.object(Destroy.UVERBS_ATTR_DESTROY_SRQ_HANDLE, srqType);
      call.u32Out(Destroy.UVERBS_ATTR_DESTROY_SRQ_RESP, events.reported);
    },
  ),
];
