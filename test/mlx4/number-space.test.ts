import t from 'tap';
import { indexOfKey, keyOfIndex } from '../../src/mlx4/keys.js';
import { NumberSpace } from '../../src/mlx4/number-space.js';
import { errorOf } from './support/hca.js';

const space = (options: { first?: number; limit?: number; bits?: number }): NumberSpace =>
  new NumberSpace({ name: 'things', size: 16, first: 4, limit: 12, ...options });

t.test('numbers go up, and a freed one does not come back at once', async (t) => {
  const numbers = space({});
  t.same([numbers.allocate(), numbers.allocate()], [4, 5]);
  numbers.free(4);
  t.equal(numbers.allocate(), 6);
});

t.test('a table without a generation starts again at its first number', async (t) => {
  const numbers = space({});
  for (let i = 4; i < 16; i++) numbers.allocate();
  numbers.free(7);
  t.equal(numbers.allocate(), 7);
});

t.test(
  'the generation goes up when the table was gone through, and wraps at the width of a number',
  async (t) => {
    const numbers = space({ bits: 5 });
    const round = (): number[] => {
      const taken = Array.from({ length: 12 }, () => numbers.allocate());
      for (const number of taken) numbers.free(number);
      return taken;
    };
    t.equal(round()[0], 4);
    t.equal(round()[0], 16 + 4);
    t.equal(round()[0], 4);
    t.equal(numbers.inUse, 0);
  },
);

t.test('all numbers in use, or as many as are allowed, is ENOMEM', async (t) => {
  for (const limit of [12, 3]) {
    const numbers = space({ limit });
    for (let i = 0; i < limit; i++) numbers.allocate();
    t.equal(
      errorOf(() => numbers.allocate()),
      'ENOMEM',
    );
    numbers.free(4);
    t.equal(
      errorOf(() => numbers.allocate()),
      '',
    );
  }
});

t.test('ranges are consecutive and aligned to their size', async (t) => {
  const numbers = space({});
  t.equal(numbers.allocate(), 4);
  t.equal(numbers.allocate(4), 8);
  t.equal(numbers.allocate(4), 12);
  t.equal(
    errorOf(() => numbers.allocate(4)),
    'ENOMEM',
  );
  t.equal(numbers.allocate(), 5);
  numbers.free(8, 4);
  t.equal(numbers.allocate(4), 8);
});

t.test('keys are indexes rotated by eight bits, up to the widest', async (t) => {
  t.equal(keyOfIndex(256), 0x10000);
  t.equal(keyOfIndex(0x80123456), 0x12345680);
  for (const index of [256, 524287, 0x01000100, 0xffffffff]) t.equal(indexOfKey(keyOfIndex(index)), index);
});
