/** What the generated structs read from memory and write to it. */

import fc from 'fast-check';
import t from 'tap';
import {
  ibUserMadRegReq,
  ibUverbsAttr,
  ibUverbsCreateCq,
  ibUverbsSendWr,
  ibUverbsWc,
  rdmaUcmConnect,
  readZeroExtended,
  type Struct,
  sizeofStruct,
  sockaddrIn6,
  structs,
} from '../../src/abi/index.js';

/** Bytes around a struct that reading must not depend on and writing must leave alone. */
const MARGIN = 8;

t.test('writing what was read gives the same bytes, and zeroes for padding', async (t) => {
  for (const struct of structs.values()) {
    const covered = coveredBytes(struct);
    const bytes = fc.uint8Array({ minLength: struct.size, maxLength: struct.size });
    t.doesNotThrow(() => {
      fc.assert(
        fc.property(bytes, (bytes) => {
          const value = struct.read(viewOf(surrounded(bytes)), MARGIN);
          const target = surrounded(new Uint8Array(struct.size).fill(0xff));
          struct.write(viewOf(target), MARGIN, value as never);
          const expected = surrounded(bytes.map((byte, i) => (covered.has(i) ? byte : 0)));
          return Buffer.compare(target, expected) === 0;
        }),
        { numRuns: 50 },
      );
    }, `struct ${struct.name}`);
  }
});

t.test('padding is known where there is any', async (t) => {
  t.equal(coveredBytes(ibUserMadRegReq).size, ibUserMadRegReq.size - 1, 'a struct with a byte at its end');
});

t.test('reserved fields are read, and need not be written', async (t) => {
  const bytes = new Uint8Array(ibUverbsCreateCq.size).fill(0xff);
  t.equal(ibUverbsCreateCq.read(viewOf(bytes), 0).reserved, 0xffffffff);
  ibUverbsCreateCq.write(viewOf(bytes), 0, {
    response: 1n,
    userHandle: 2n,
    cqe: 3,
    compVector: 4,
    compChannel: -1,
  });
  t.same(ibUverbsCreateCq.read(viewOf(bytes), 0), {
    response: 1n,
    userHandle: 2n,
    cqe: 3,
    compVector: 4,
    compChannel: -1,
    reserved: 0,
  });
});

t.test('a named union gives all alternatives, and the first one written counts', async (t) => {
  const attr = new Uint8Array(ibUverbsAttr.size).fill(0xff);
  const head = { attrId: 1, len: 0, flags: 0, data: 5n };
  ibUverbsAttr.write(viewOf(attr), 0, { ...head, attrData: { reserved: 0x0207 } });
  const { attrData } = ibUverbsAttr.read(viewOf(attr), 0);
  t.same(attrData, { enumData: { elemId: 7, reserved: 2 }, reserved: 0x0207 });
  ibUverbsAttr.write(viewOf(attr), 0, { ...head, attrData: { ...attrData, enumData: { elemId: 9 } } });
  t.equal(ibUverbsAttr.read(viewOf(attr), 0).attrData.reserved, 9);
  ibUverbsAttr.write(viewOf(attr), 0, { ...head, attrData: {} });
  t.equal(ibUverbsAttr.read(viewOf(attr), 0).attrData.reserved, 0, 'none given is zero');

  const wr = new Uint8Array(ibUverbsSendWr.size).fill(0xff);
  ibUverbsSendWr.write(viewOf(wr), 0, {
    wrId: 1n,
    numSge: 0,
    opcode: 0,
    sendFlags: 0,
    ex: {},
    wr: { rdma: { remoteAddr: 2n, rkey: 3 } },
  });
  const { rdma, atomic } = ibUverbsSendWr.read(viewOf(wr), 0).wr;
  t.same(rdma, { remoteAddr: 2n, rkey: 3, reserved: 0 });
  t.equal(atomic.rkey, 0, 'what the given alternative does not cover is zero');
});

t.test('big-endian fields are numbers in their own order', async (t) => {
  const wc = new Uint8Array(ibUverbsWc.size);
  wc.set([0x12, 0x34, 0x56, 0x78], 24);
  t.same(ibUverbsWc.read(viewOf(wc), 0).ex, { immData: 0x12345678, invalidateRkey: 0x78563412 });
  const address = new Uint8Array(sockaddrIn6.size);
  address.set([10, 0, 0x12, 0x34]);
  t.match(sockaddrIn6.read(viewOf(address), 0), { sin6Family: 10, sin6Port: 0x1234 });
});

t.test('arrays of bytes are copied, and extended when short', async (t) => {
  const bytes = new Uint8Array(rdmaUcmConnect.size).fill(7);
  const request = rdmaUcmConnect.read(viewOf(bytes), 0);
  bytes.fill(0);
  t.equal(request.connParam.privateData[255], 7);
  request.connParam.privateData = Uint8Array.of(1, 2);
  bytes.fill(0xff);
  rdmaUcmConnect.write(viewOf(bytes), 0, request);
  t.same([...bytes.subarray(8, 12)], [1, 2, 0, 0]);
  request.connParam.privateData = new Uint8Array(257);
  t.throws(() => rdmaUcmConnect.write(viewOf(bytes), 0, request), RangeError);
});

t.test('a struct cut short is read as if zeroes followed', async (t) => {
  const bytes = new Uint8Array(40).fill(0xff);
  const read = (available: number) => readZeroExtended(ibUverbsCreateCq, viewOf(bytes), 4, available);
  const whole = ibUverbsCreateCq.read(viewOf(bytes), 4);
  t.same(read(sizeofStruct(ibUverbsCreateCq)), whole);
  t.same(read(36), whole, 'bytes beyond the struct are left alone');
  t.same(read(18), { ...whole, cqe: 0xffff, compVector: 0, compChannel: 0, reserved: 0 });
  t.equal(read(0).response, 0n);
});

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function surrounded(bytes: Uint8Array): Uint8Array {
  const margin = new Uint8Array(MARGIN).fill(0xa5);
  return Buffer.concat([margin, bytes, margin]);
}

/** The offsets that belong to some field, so are not padding. */
function coveredBytes(struct: Struct<unknown, never>): Set<number> {
  const covered = new Set<number>();
  for (const { type, offset, size } of struct.fields) {
    const nested = structs.get(type.replace(/\[\d*\]$/, ''));
    for (let i = 0; i < size; i++) {
      if (nested === undefined || coveredBytes(nested).has(i % nested.size)) covered.add(offset + i);
    }
  }
  return covered;
}
