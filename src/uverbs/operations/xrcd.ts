/** XRC domains, private or shared between processes through a file. */
import { constants } from 'node:fs';
import { Errno, inodeKey } from '../../../devfs/index.js';
import { uverbsDefaultObjects } from '../../abi/index.js';
import type { XrcDomain } from '../../core/objects.js';
import { deallocXrcd } from '../../core/verbs.js';
import type { Bundle } from '../bundle.js';
import type { ObjectType, Uobject } from '../uobject.js';
import type { SharedXrcd, XrcdTable } from '../xrcd-table.js';

export interface UserXrcd {
  readonly xrcd: XrcDomain;
  readonly shared: SharedXrcd;
  readonly table: XrcdTable;
  /** `undefined`: private. */
  readonly inode: string | undefined;
  /** SRQs and QPs of this file that refer to it. */
  references: number;
}

export const xrcdType: ObjectType<UserXrcd> = {
  id: uverbsDefaultObjects.UVERBS_OBJECT_XRCD,
  name: 'XRCD',
  destroy({ xrcd, shared, table, inode, references }) {
    if (references > 0) throw new Errno('EBUSY', `${references} objects of this file use the XRC domain`);
    if (shared.handles === 1) {
      deallocXrcd(xrcd);
      if (inode !== undefined) table.remove(inode);
    }
    shared.handles--;
  },
  core: ({ xrcd }) => xrcd,
  describe: ({ shared: { handles }, references, inode }) => ({
    handles,
    users: references,
    ...(inode && { inode }),
  }),
};

/** `fd` -1 makes a private domain; else the inode behind it names one, with open(2)'s O_CREAT and O_EXCL. */
export function openXrcd(bundle: Bundle, fd: number, oflags: number): Uobject<UserXrcd> {
  const table = bundle.file.xrcds;
  const inode = fd === -1 ? undefined : inodeKey(bundle.call.tid, fd);
  if (fd !== -1 && inode === undefined) throw new Errno('EBADF', `descriptor ${fd} is not open`);
  const found = inode === undefined ? undefined : table.find(inode);
  if (inode !== undefined) {
    if (found === undefined && (oflags & constants.O_CREAT) === 0) {
      throw new Errno('EAGAIN', 'the file has no XRC domain yet');
    }
    if (found !== undefined && (oflags & constants.O_EXCL) !== 0) {
      throw new Errno('EINVAL', 'the file has an XRC domain already');
    }
  }
  const uobject = bundle.create(xrcdType);
  const { device, context } = bundle;
  const shared = found ?? newShared(() => context.device.ops.xrc?.allocXrcd(device, bundle.udata));
  if (found === undefined && inode !== undefined) table.add(inode, shared);
  shared.handles++;
  uobject.object = { xrcd: shared.xrcd, shared, table, inode, references: 0 };
  return uobject;
}

function newShared(allocate: () => XrcDomain | undefined): SharedXrcd {
  const xrcd = allocate();
  if (xrcd === undefined) throw new Errno('EOPNOTSUPP', 'the device has no XRC');
  return { xrcd, handles: 0 };
}
