/** Memory regions. */
import { Errno } from '../../../devfs/index.js';
import { ibUverbsAccessFlags, uverbsDefaultObjects } from '../../abi/index.js';
import type { MrRequest } from '../../core/device-ops.js';
import type { MemoryRegion } from '../../core/objects.js';
import { deregMr, regUserMr, reregUserMr } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { ObjectType, Uobject } from '../uobject.js';
import { pdType } from './pd.js';

export const mrType: ObjectType<MemoryRegion> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_MR,
  name: 'MR',
  destroy: deregMr,
  describe: ({ lkey, rkey, length }) => ({ lkey, rkey, mrlen: Number(length) }),
  refersTo: ({ pd }) => [pd],
};

const PAGE_MASK = 4095n;
const A = ibUverbsAccessFlags;
/** IB_ACCESS_FLUSH_GLOBAL and _PERSISTENT, newer than some installed headers. */
const FLUSH = (1 << 8) | (1 << 9);
const KNOWN =
  A.IB_UVERBS_ACCESS_LOCAL_WRITE |
  A.IB_UVERBS_ACCESS_REMOTE_WRITE |
  A.IB_UVERBS_ACCESS_REMOTE_READ |
  A.IB_UVERBS_ACCESS_REMOTE_ATOMIC |
  A.IB_UVERBS_ACCESS_MW_BIND |
  A.IB_UVERBS_ACCESS_ZERO_BASED |
  A.IB_UVERBS_ACCESS_ON_DEMAND |
  A.IB_UVERBS_ACCESS_HUGETLB |
  A.IB_UVERBS_ACCESS_OPTIONAL_RANGE |
  FLUSH;
const NEEDS_LOCAL_WRITE = A.IB_UVERBS_ACCESS_REMOTE_WRITE | A.IB_UVERBS_ACCESS_REMOTE_ATOMIC;

/** ib_check_mr_access: who writes remotely must let the adapter write; what the device has not is EOPNOTSUPP. */
function checkAccess(access: number): void {
  if ((access & NEEDS_LOCAL_WRITE) !== 0 && (access & A.IB_UVERBS_ACCESS_LOCAL_WRITE) === 0) {
    throw new Errno('EINVAL', 'remote write and atomic access need local write access');
  }
  if ((access & ~KNOWN) !== 0) throw new Errno('EINVAL', `unknown access flags in 0x${access.toString(16)}`);
  if ((access & (A.IB_UVERBS_ACCESS_ON_DEMAND | FLUSH)) !== 0) {
    throw new Errno('EOPNOTSUPP', 'the device has no on-demand paging and no flush');
  }
}

function checkOffset({ start, iova }: { start: bigint; iova: bigint }): void {
  if (((start ^ iova) & PAGE_MASK) !== 0n)
    throw new Errno('EINVAL', 'start and hca_va differ within their pages');
}

export function regMr(bundle: Bundle, pdHandle: number, request: MrRequest): Uobject<MemoryRegion> {
  checkOffset(request);
  const uobject = bundle.create(mrType);
  checkAccess(request.access);
  uobject.object = regUserMr(bundle.lookup(pdType, pdHandle), request, bundle.udata);
  return uobject;
}

/** enum ib_mr_rereg_flags. */
const REREG_TRANS = 1;
const REREG_PD = 2;
const REREG_ACCESS = 4;

export function reregMr(
  bundle: Bundle,
  request: MrRequest & { mrHandle: number; pdHandle: number; flags: number },
): MemoryRegion {
  const { flags, access, ...translation } = request;
  if (flags === 0) throw new Errno('EINVAL', 'nothing is to change');
  if ((flags & ~(REREG_TRANS | REREG_PD | REREG_ACCESS)) !== 0)
    throw new Errno('EOPNOTSUPP', 'unknown flags');
  if ((flags & REREG_TRANS) !== 0) checkOffset(translation);
  const mr = bundle.lookup(mrType, request.mrHandle);
  if ((flags & REREG_ACCESS) !== 0) checkAccess(access);
  reregUserMr(
    mr,
    {
      ...((flags & REREG_PD) !== 0 && { pd: bundle.lookup(pdType, request.pdHandle) }),
      ...((flags & REREG_ACCESS) !== 0 && { access }),
      ...((flags & REREG_TRANS) !== 0 && { translation }),
    },
    bundle.udata,
  );
  return mr;
}
