/** Methods of memory regions (core/uverbs_std_types_mr.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import { mrType } from '../../operations/mr.js';
import { pdType } from '../../operations/pd.js';
import { attribute, type Method, method } from '../method.js';

const Advise = abi.uverbsAttrsAdviseMrCmdAttrIds;
const Query = abi.uverbsAttrsQueryMrCmdAttrIds;
const Dmabuf = abi.uverbsAttrsRegDmabufMrCmdAttrIds;

/** IB_ACCESS_SUPPORTED: every flag from LOCAL_WRITE to FLUSH_PERSISTENT, and the optional range. */
const DMABUF_ACCESS = abi.ibUverbsAccessFlags.IB_UVERBS_ACCESS_OPTIONAL_RANGE | 0x3ff;
const ADVISE_FLUSH = 1;

function unsupported(what: string): () => never {
  return () => {
    throw new Errno('EOPNOTSUPP', `the driver cannot ${what}`);
  };
}

export const mrMethods: readonly Method[] = [
  method(
    mrType.id,
    abi.uverbsMethodsMr.UVERBS_METHOD_ADVISE_MR,
    'MR advise',
    {
      attributes: [
        attribute.handle(Advise.UVERBS_ATTR_ADVISE_MR_PD_HANDLE, 'use', pdType),
        attribute.u32(Advise.UVERBS_ATTR_ADVISE_MR_ADVICE),
        attribute.flags(Advise.UVERBS_ATTR_ADVISE_MR_FLAGS, ADVISE_FLUSH, true),
        attribute.inArray(Advise.UVERBS_ATTR_ADVISE_MR_SGE_LIST, abi.ibUverbsSge.size),
      ],
    },
    unsupported('advise on memory regions'),
  ),
  method(
    mrType.id,
    abi.uverbsMethodsMr.UVERBS_METHOD_QUERY_MR,
    'MR query',
    {
      attributes: [
        attribute.handle(Query.UVERBS_ATTR_QUERY_MR_HANDLE, 'use', mrType),
        attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LKEY, 4),
        attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_RKEY, 4),
        attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_LENGTH, 8),
        attribute.out(Query.UVERBS_ATTR_QUERY_MR_RESP_IOVA, 8, false),
      ],
    },
    (call) => {
      const { lkey, rkey, length, iova } = call.object(Query.UVERBS_ATTR_QUERY_MR_HANDLE, mrType);
      call.u32Out(Query.UVERBS_ATTR_QUERY_MR_RESP_LKEY, lkey);
      call.u32Out(Query.UVERBS_ATTR_QUERY_MR_RESP_RKEY, rkey);
      call.u64Out(Query.UVERBS_ATTR_QUERY_MR_RESP_LENGTH, length);
      call.u64Out(Query.UVERBS_ATTR_QUERY_MR_RESP_IOVA, iova);
    },
  ),
  method(
    mrType.id,
    abi.uverbsMethodsMr.UVERBS_METHOD_REG_DMABUF_MR,
    'MR from a DMA buffer',
    {
      attributes: [
        attribute.handle(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_HANDLE, 'new', mrType),
        attribute.handle(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_PD_HANDLE, 'use', pdType),
        attribute.in(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_OFFSET, 8),
        attribute.in(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_LENGTH, 8),
        attribute.in(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_IOVA, 8),
        attribute.in(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_FD, 4),
        attribute.flags(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_ACCESS_FLAGS, DMABUF_ACCESS, true),
        attribute.out(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_RESP_LKEY, 4),
        attribute.out(Dmabuf.UVERBS_ATTR_REG_DMABUF_MR_RESP_RKEY, 4),
      ],
    },
    unsupported('map DMA buffers'),
  ),
];
