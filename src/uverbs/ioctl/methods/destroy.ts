/** Methods that only destroy: the framing has done it before the handler runs. */
import * as abi from '../../../abi/index.js';
import type { DeviceOps } from '../../../core/device-ops.js';
import { flowType } from '../../operations/flow.js';
import { mrType } from '../../operations/mr.js';
import { mwType } from '../../operations/mw.js';
import { pdType } from '../../operations/pd.js';
import { indTableType } from '../../operations/wq.js';
import { xrcdType } from '../../operations/xrcd.js';
import type { ObjectType } from '../../uobject.js';
import { attribute, type Method, method } from '../method.js';

function destroyMethod<T>(
  type: ObjectType<T>,
  methodId: number,
  handleId: number,
  supported: (ops: DeviceOps) => boolean = () => true,
): Method {
  return method(
    type.id,
    methodId,
    `${type.name} destroy`,
    { attributes: [attribute.handle(handleId, 'destroy', type)], supported },
    () => {},
  );
}

export const destroyMethods: readonly Method[] = [
  destroyMethod(
    pdType,
    abi.uverbsMethodsPd.UVERBS_METHOD_PD_DESTROY,
    abi.uverbsAttrsPdDestroyIds.UVERBS_ATTR_DESTROY_PD_HANDLE,
  ),
  destroyMethod(
    mrType,
    abi.uverbsMethodsMr.UVERBS_METHOD_MR_DESTROY,
    abi.uverbsAttrsMrDestroyIds.UVERBS_ATTR_DESTROY_MR_HANDLE,
  ),
  destroyMethod(
    mwType,
    abi.uverbsMethodsMw.UVERBS_METHOD_MW_DESTROY,
    abi.uverbsAttrsMwDestroyIds.UVERBS_ATTR_DESTROY_MW_HANDLE,
    (ops) => ops.memoryWindows !== undefined,
  ),
  destroyMethod(
    xrcdType,
    abi.uverbsMethodsXrcd.UVERBS_METHOD_XRCD_DESTROY,
    abi.uverbsAttrsXrcdDestroyIds.UVERBS_ATTR_DESTROY_XRCD_HANDLE,
    (ops) => ops.xrc !== undefined,
  ),
  destroyMethod(
    flowType,
    abi.uverbsMethodsFlow.UVERBS_METHOD_FLOW_DESTROY,
    abi.uverbsAttrsFlowDestroyIds.UVERBS_ATTR_DESTROY_FLOW_HANDLE,
    (ops) => ops.flows !== undefined,
  ),
  destroyMethod(
    indTableType,
    abi.uverbsMethodsRwqIndTbl.UVERBS_METHOD_RWQ_IND_TBL_DESTROY,
    abi.uverbsAttrsRwqIndTblDestroyIds.UVERBS_ATTR_DESTROY_RWQ_IND_TBL_HANDLE,
    (ops) => ops.rss !== undefined,
  ),
];
