/** Combinations that random commands hardly ever make, and that once outlived their file. */
import { type Test, test } from 'tap';
import * as abi from '../../src/abi/index.js';
import { ClientMemory } from '../fuzz/support/client-memory.js';
import { Machine } from '../fuzz/support/machine.js';
import { ALLOC_PD, createCq, GET_CONTEXT_IOCTL } from '../uverbs/support/context.js';
import { byWrite, type Command, legacy } from '../uverbs/support/messages.js';

const Cmd = abi.ibUverbsWriteCmds;
const PD = 0;
const CQ = 1;
const QP = 2;

const CREATE_UD = legacy(
  Cmd.IB_USER_VERBS_CMD_CREATE_QP,
  abi.ibUverbsCreateQp,
  {
    userHandle: 0n,
    pdHandle: PD,
    sendCqHandle: CQ,
    recvCqHandle: CQ,
    srqHandle: 0,
    maxSendWr: 15,
    maxRecvWr: 15,
    maxSendSge: 1,
    maxRecvSge: 1,
    maxInlineData: 0,
    sqSigAll: 0,
    qpType: 4,
    isSrq: 0,
  },
  { response: abi.ibUverbsCreateQpResp, driverIn: '@B_@B+65536;_0606_0000_00000000' },
);

const gid = Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0xff : i));
const attach = (mlid: number): Command =>
  legacy(Cmd.IB_USER_VERBS_CMD_ATTACH_MCAST, abi.ibUverbsAttachMcast, { gid, qpHandle: QP, mlid });

test('a QP that is twice in one group, by different LIDs, goes with its file', async (t: Test) => {
  const client = await ClientMemory.start(t);
  const machine = new Machine(client);
  const file = machine.open();
  const at = client.places.address('A');
  client.write(at, client.places.bytes(GET_CONTEXT_IOCTL.message));
  t.equal(machine.ioctl(file, at), 0);
  // Nothing else is in the file: no other object's end gives the QP a second chance.
  for (const command of [ALLOC_PD, createCq(), CREATE_UD, attach(0xc001), attach(0xc002)]) {
    t.type(machine.write(file, client.places.bytes(byWrite(command))), 'number', `command ${command.number}`);
  }
  file.release();
  t.equal(machine.leaks(), '');
});
