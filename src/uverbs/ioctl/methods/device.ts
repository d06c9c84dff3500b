/** Methods of the device and its event file (core/uverbs_std_types_device.c, _async_fd.c). */
import { Errno } from '../../../../devfs/index.js';
import * as abi from '../../../abi/index.js';
import type { GidEntry } from '../../../core/attributes.js';
import { getContext, newAsyncEventFile } from '../../operations/context.js';
import { queryGidEntry, queryGidTable, queryPort } from '../../operations/device.js';
import { invokeWrite } from '../invoke-write.js';
import { attribute, type Method, method } from '../method.js';
import type { MethodCall } from '../method-call.js';

const Obj = abi.uverbsDefaultObjects;
const Device = abi.uverbsMethodsDevice;
const Invoke = abi.uverbsAttrsInvokeWriteCmdAttrIds;
const InfoHandles = abi.uverbsAttrsInfoHandlesId;
const QueryPort = abi.uverbsAttrsQueryPortCmdAttrIds;
const GetContext = abi.uverbsAttrsGetContextAttrIds;
const QueryContext = abi.uverbsAttrsQueryContextAttrIds;
const GidTable = abi.uverbsAttrsQueryGidTableCmdAttrIds;
const Gid = abi.uverbsAttrsQueryGidEntryCmdAttrIds;
/** The kernel ignores optional access flags that it does not know. */
const OPTIONAL_MR_ACCESS = abi.ibUverbsCoreSupport.IB_UVERBS_CORE_SUPPORT_OPTIONAL_MR_ACCESS;

function contextAnswer(call: MethodCall): void {
  call.u32Out(GetContext.UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, call.device.ops.numCompVectors);
  call.u64Out(GetContext.UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, BigInt(OPTIONAL_MR_ACCESS));
}

function gidEntry(
  { gid, type, netdevIfindex }: GidEntry,
  portNum: number,
  gidIndex: number,
): abi.IbUverbsGidEntry {
  const view = new DataView(gid.buffer, gid.byteOffset, gid.byteLength);
  return {
    gid: [view.getBigUint64(0, true), view.getBigUint64(8, true)],
    gidIndex,
    portNum,
    gidType: type,
    netdevIfindex,
  };
}

/** Handles of one type, newest first, cut at the room that is there. Needs neither device nor context. */
function infoHandles(call: MethodCall): void {
  const objectId = call.number(InfoHandles.UVERBS_ATTR_INFO_OBJECT_ID);
  if (!call.file.uapi.hasObject(objectId)) throw new Errno('ENOENT', `no object type ${objectId}`);
  const list = InfoHandles.UVERBS_ATTR_INFO_HANDLES_LIST;
  const room = call.has(list) ? call.length(list) : 0;
  if (room === 0 || room % 4 !== 0) throw new Errno('EINVAL', 'the list has no room for whole handles');
  const handles: number[] = [];
  for (const uobject of call.file.uobjects.newestFirst()) {
    if (uobject.type.id === objectId && handles.length < room / 4) handles.push(uobject.handle);
  }
  call.bytesOut(list, new Uint8Array(Uint32Array.from(handles).buffer));
  if (!call.has(InfoHandles.UVERBS_ATTR_INFO_TOTAL_HANDLES))
    throw new Errno('ENOENT', 'no room for the total');
  call.u32Out(InfoHandles.UVERBS_ATTR_INFO_TOTAL_HANDLES, handles.length);
}

function gidTable(call: MethodCall): void {
  const entrySize = call.number(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE);
  const length = call.length(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES);
  if (entrySize === 0 || length % entrySize !== 0)
    throw new Errno('EINVAL', 'the table has no room for whole entries');
  const rows = queryGidTable(call);
  if (length === 0 || rows.length > length / entrySize) {
    throw new Errno('EINVAL', `${rows.length} GIDs do not fit in the table`);
  }
  const bytes = new Uint8Array(rows.length * entrySize);
  const entry = new Uint8Array(abi.ibUverbsGidEntry.size);
  rows.forEach((row, i) => {
    abi.ibUverbsGidEntry.write(new DataView(entry.buffer), 0, gidEntry(row.entry, row.port, row.index));
    bytes.set(entry.subarray(0, Math.min(entrySize, entry.length)), i * entrySize);
  });
  call.bytesOut(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES, bytes);
  call.u64Out(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES, BigInt(rows.length));
}

export const deviceMethods: readonly Method[] = [
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_INVOKE_WRITE,
    'INVOKE_WRITE',
    {
      attributes: [
        attribute.inMin(Invoke.UVERBS_ATTR_CORE_IN, 4, false),
        attribute.outMin(Invoke.UVERBS_ATTR_CORE_OUT, 0, false),
        attribute.u64(Invoke.UVERBS_ATTR_WRITE_CMD),
      ],
      uhw: true,
    },
    invokeWrite,
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_INFO_HANDLES,
    'INFO_HANDLES',
    {
      attributes: [
        attribute.u64(InfoHandles.UVERBS_ATTR_INFO_OBJECT_ID),
        attribute.out(InfoHandles.UVERBS_ATTR_INFO_TOTAL_HANDLES, 4, false),
        attribute.outMin(InfoHandles.UVERBS_ATTR_INFO_HANDLES_LIST, 4, false),
      ],
    },
    infoHandles,
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_QUERY_PORT,
    'QUERY_PORT',
    {
      attributes: [
        attribute.u8(QueryPort.UVERBS_ATTR_QUERY_PORT_PORT_NUM),
        attribute.outMin(QueryPort.UVERBS_ATTR_QUERY_PORT_RESP, abi.ibUverbsQueryPortRespEx.size, true),
      ],
    },
    (call) => {
      const port = queryPort(call, call.number(QueryPort.UVERBS_ATTR_QUERY_PORT_PORT_NUM));
      call.structOut(QueryPort.UVERBS_ATTR_QUERY_PORT_RESP, abi.ibUverbsQueryPortRespEx, {
        legacyResp: port,
        portCapFlags2: port.portCapFlags2,
      });
    },
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_GET_CONTEXT,
    'GET_CONTEXT',
    {
      attributes: [
        attribute.out(GetContext.UVERBS_ATTR_GET_CONTEXT_NUM_COMP_VECTORS, 4, false),
        attribute.out(GetContext.UVERBS_ATTR_GET_CONTEXT_CORE_SUPPORT, 8, false),
      ],
      uhw: true,
    },
    (call) => {
      contextAnswer(call);
      getContext(call);
    },
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_QUERY_CONTEXT,
    'QUERY_CONTEXT',
    {
      attributes: [
        attribute.out(QueryContext.UVERBS_ATTR_QUERY_CONTEXT_NUM_COMP_VECTORS, 4, false),
        attribute.out(QueryContext.UVERBS_ATTR_QUERY_CONTEXT_CORE_SUPPORT, 8, false),
      ],
    },
    (call) => {
      call.context;
      throw new Errno('EOPNOTSUPP', 'the driver cannot query a context');
    },
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_QUERY_GID_TABLE,
    'QUERY_GID_TABLE',
    {
      attributes: [
        attribute.u64(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_ENTRY_SIZE),
        attribute.flags(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_FLAGS, 0, false),
        attribute.outMin(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_RESP_ENTRIES, 0, true),
        attribute.out(GidTable.UVERBS_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES, 8),
      ],
    },
    gidTable,
  ),
  method(
    Obj.UVERBS_OBJECT_DEVICE,
    Device.UVERBS_METHOD_QUERY_GID_ENTRY,
    'QUERY_GID_ENTRY',
    {
      attributes: [
        attribute.u32(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_PORT),
        attribute.u32(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX),
        attribute.flags(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_FLAGS, 0, true),
        attribute.outMin(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, abi.ibUverbsGidEntry.size, true),
      ],
    },
    (call) => {
      const port = call.number(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_PORT);
      const index = call.number(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_GID_INDEX);
      const entry = gidEntry(queryGidEntry(call, port, index), port, index);
      call.structOut(Gid.UVERBS_ATTR_QUERY_GID_ENTRY_RESP_ENTRY, abi.ibUverbsGidEntry, entry);
    },
  ),
  method(
    Obj.UVERBS_OBJECT_ASYNC_EVENT,
    abi.uverbsMethodAsyncEvent.UVERBS_METHOD_ASYNC_EVENT_ALLOC,
    'ASYNC_EVENT_ALLOC',
    {
      attributes: [
        attribute.newDescriptor(abi.uverbsAttrsAsyncEventCreate.UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE),
      ],
    },
    (call) => {
      const id = abi.uverbsAttrsAsyncEventCreate.UVERBS_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE;
      newAsyncEventFile(call, { address: call.dataAddress(id), width: 8 });
    },
  ),
];
