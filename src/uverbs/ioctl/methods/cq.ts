/** Methods of completion queues (core/uverbs_std_types_cq.c). */
import * as abi from '../../../abi/index.js';
import { AsyncEventFile } from '../../events/async-event-file.js';
import { CompletionChannel } from '../../events/completion-channel.js';
import { cqType, createCq } from '../../operations/cq.js';
import { attribute, type Method, method } from '../method.js';

const Create = abi.uverbsAttrsCreateCqCmdAttrIds;
const Destroy = abi.uverbsAttrsDestroyCqCmdAttrIds;
const CREATE_FLAGS =
  abi.ibUverbsExCreateCqFlags.IB_UVERBS_CQ_FLAGS_TIMESTAMP_COMPLETION |
  abi.ibUverbsExCreateCqFlags.IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN;

export const cqMethods: readonly Method[] = [
  method(
    cqType.id,
    abi.uverbsMethodsCq.UVERBS_METHOD_CQ_CREATE,
    'CQ create',
    {
      attributes: [
        attribute.handle(Create.UVERBS_ATTR_CREATE_CQ_HANDLE, 'new', cqType),
        attribute.in(Create.UVERBS_ATTR_CREATE_CQ_CQE, 4),
        attribute.in(Create.UVERBS_ATTR_CREATE_CQ_USER_HANDLE, 8),
        attribute.eventFile(Create.UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL, CompletionChannel),
        attribute.in(Create.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR, 4),
        attribute.flags(Create.UVERBS_ATTR_CREATE_CQ_FLAGS, CREATE_FLAGS, false),
        attribute.out(Create.UVERBS_ATTR_CREATE_CQ_RESP_CQE, 4),
        attribute.eventFile(Create.UVERBS_ATTR_CREATE_CQ_EVENT_FD, AsyncEventFile),
      ],
      uhw: true,
    },
    (call) => {
      const { cq } = createCq(
        call,
        {
          compVector: call.u32In(Create.UVERBS_ATTR_CREATE_CQ_COMP_VECTOR),
          cqe: call.u32In(Create.UVERBS_ATTR_CREATE_CQ_CQE),
          userHandle: call.u64In(Create.UVERBS_ATTR_CREATE_CQ_USER_HANDLE),
          flags: call.flags(Create.UVERBS_ATTR_CREATE_CQ_FLAGS),
        },
        () => call.uobject(Create.UVERBS_ATTR_CREATE_CQ_HANDLE, cqType),
        () => call.eventFileOf<CompletionChannel>(Create.UVERBS_ATTR_CREATE_CQ_COMP_CHANNEL),
        call.eventFileOf<AsyncEventFile>(Create.UVERBS_ATTR_CREATE_CQ_EVENT_FD),
      );
      call.u32Out(Create.UVERBS_ATTR_CREATE_CQ_RESP_CQE, cq.cqe);
    },
  ),
  method(
    cqType.id,
    abi.uverbsMethodsCq.UVERBS_METHOD_CQ_DESTROY,
    'CQ destroy',
    {
      attributes: [
        attribute.handle(Destroy.UVERBS_ATTR_DESTROY_CQ_HANDLE, 'destroy', cqType),
        attribute.out(Destroy.UVERBS_ATTR_DESTROY_CQ_RESP, abi.ibUverbsDestroyCqResp.size),
      ],
    },
    (call) => {
      const { completions, events } = call.object(Destroy.UVERBS_ATTR_DESTROY_CQ_HANDLE, cqType);
      call.structOut(Destroy.UVERBS_ATTR_DESTROY_CQ_RESP, abi.ibUverbsDestroyCqResp, {
        compEventsReported: completions.reported,
        asyncEventsReported: events.reported,
      });
    },
  ),
];
