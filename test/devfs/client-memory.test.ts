/** Copies to a client's memory that are put off: what it has afterwards is what it would have had at once. */
import t from 'tap';
import {
  copyFromUser,
  copyOutgoing,
  copyToUser,
  copyToUserLater,
  Errno,
  finishCopies,
  outgoing,
  outgoingRoom,
} from '../../devfs/index.js';
import { MemoryClient } from '../mlx4/support/memory-client.js';

const PAGE = 4096;

const client = new MemoryClient();
t.teardown(() => client.close());
const { pid } = client;
const memory = await client.map('rw', 32);
const nowhere = 4096n;

/** Bytes in the client's memory, without what makes a copy wait. */
const at = (offset: number): bigint => memory + BigInt(offset);
const bytes = (value: number, length = 4): Uint8Array => new Uint8Array(length).fill(value);
const now = (offset: number, length = 4): number[] => [...copyFromUser(pid, at(offset), length)];
const later = (offset: number, value: number): void => copyToUserLater(pid, at(offset), bytes(value));

function errorOf(call: () => void): string {
  try {
    call();
    return '';
  } catch (error) {
    if (error instanceof Errno) return error.message;
    throw error;
  }
}

t.beforeEach(() => copyToUser(pid, memory, new Uint8Array(4 * PAGE)));

t.test('copies are made in their order, with the bytes of the moment', async (t) => {
  const reused = bytes(1);
  copyToUserLater(pid, at(0), reused);
  reused.fill(2);
  copyToUserLater(pid, at(2), reused);
  copyToUserLater(pid, nowhere, new Uint8Array(0));
  finishCopies();
  t.same(now(0, 8), [1, 1, 2, 2, 2, 2, 0, 0], 'the later one lies over the earlier one');
  t.equal(
    errorOf(() => finishCopies()),
    '',
    'nothing is left',
  );
});

t.test('bytes that are made in place, of which fewer are sent', async (t) => {
  later(0, 1);
  outgoing.setBigUint64(outgoingRoom(pid, 8), 0x0807_0605_0403_0201n, true);
  copyOutgoing(at(4), 3);
  later(7, 9);
  finishCopies();
  t.same(now(0, 12), [1, 1, 1, 1, 1, 2, 3, 9, 9, 9, 9, 0]);
});

t.test('a bad address', async (t) => {
  later(0, 1);
  copyToUserLater(pid, nowhere, bytes(2));
  later(8, 3);
  t.equal(
    errorOf(() => finishCopies()),
    'bad address 0x1000',
  );
  t.same(now(0, 12), [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0], 'nothing behind it is written');
  later(8, 4);
  t.equal(
    errorOf(() => finishCopies()),
    '',
    'nor remembered',
  );
  t.same(now(0, 12), [1, 1, 1, 1, 0, 0, 0, 0, 4, 4, 4, 4]);
});

t.test('the first address is bad, or the process is gone', async (t) => {
  copyToUserLater(pid, nowhere, bytes(1));
  t.equal(
    errorOf(() => finishCopies()),
    'bad address 0x1000',
  );
  copyToUserLater(0x3fff_ffff, at(0), bytes(1));
  t.match(
    errorOf(() => finishCopies()),
    /bad address/,
  );
});

t.test('what is read was written before', async (t) => {
  later(0, 1);
  t.same(now(2), [1, 1, 0, 0]);
  later(0, 2);
  copyToUserLater(pid, nowhere, bytes(1));
  t.same(now(8), [0, 0, 0, 0], 'other memory does not wait');
  t.equal(
    errorOf(() => now(3)),
    'bad address 0x1000',
    'the copy fails where it would have failed',
  );
});

t.test('a copy at once comes after those that were put off', async (t) => {
  later(0, 1);
  copyToUser(pid, at(2), bytes(2));
  t.same(now(0, 8), [1, 1, 2, 2, 2, 2, 0, 0]);
});

t.test('more copies, and longer ones, than are kept', async (t) => {
  for (let i = 0; i < 1000; i++) later(4 * i, 1 + (i % 200));
  finishCopies();
  t.same(
    now(0, 4000),
    Array.from({ length: 4000 }, (_, i) => 1 + (Math.floor(i / 4) % 200)),
  );
  later(0, 7);
  copyToUserLater(pid, at(4), bytes(8, 3 * PAGE));
  later(8, 9);
  finishCopies();
  t.same(now(0, 16), [7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 8, 8, 8, 8]);
  t.same(now(3 * PAGE), [8, 8, 8, 8]);
});

t.test('copies to another process do not mix', async (t) => {
  const other = new MemoryClient();
  t.teardown(() => other.close());
  const there = await other.map('rw', 1);
  later(0, 1);
  copyToUserLater(other.pid, there, bytes(2));
  finishCopies();
  t.same(now(0), [1, 1, 1, 1]);
  t.same([...copyFromUser(other.pid, there, 4)], [2, 2, 2, 2]);
});
