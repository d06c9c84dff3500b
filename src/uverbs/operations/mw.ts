/** Memory windows. */
import { Errno } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { MemoryWindow } from '../../core/objects.js';
import { allocMw, deallocMw } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { ObjectType, Uobject } from '../uobject.js';
import { pdType } from './pd.js';

export const mwType: ObjectType<MemoryWindow> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_MW,
  name: 'MW',
  destroy: deallocMw,
  describe: ({ rkey, type }) => ({ rkey, type }),
  refersTo: ({ pd }) => [pd],
};

export function newMw(bundle: Bundle, pdHandle: number, type: number): Uobject<MemoryWindow> {
  const uobject = bundle.create(mwType);
  const pd = bundle.lookup(pdType, pdHandle);
  if (type !== 1 && type !== 2) throw new Errno('EINVAL', `there is no memory window of type ${type}`);
  uobject.object = allocMw(pd, type, bundle.udata);
  return uobject;
}
