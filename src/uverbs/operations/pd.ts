/** Protection domains. */
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { ProtectionDomain } from '../../core/objects.js';
import { deallocPd } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { ObjectType, Uobject } from '../uobject.js';

export const pdType: ObjectType<ProtectionDomain> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_PD,
  name: 'PD',
  destroy: deallocPd,
  describe: ({ users }) => ({ users }),
};

export function allocPd(bundle: Bundle): Uobject<ProtectionDomain> {
  const uobject = bundle.create(pdType);
  const { context } = bundle;
  uobject.object = context.device.ops.allocPd(context, bundle.udata);
  return uobject;
}
