import t from 'tap';
import { parseCpuList } from '../../tools/bench/placement.js';
import { median, type Row, row, toJson, toTable } from '../../tools/bench/report.js';

const rows: Row[] = [
  row('round trip by write', 'µs', 11.249, 9.16789),
  row('memory per context', 'bytes', 12345.6),
];

t.test('a row has the ratio to its floor, and null where there is no floor', async (t) => {
  t.same(rows, [
    { name: 'round trip by write', value: 11.25, unit: 'µs', floor: 9.168, ratio: 1.227 },
    { name: 'memory per context', value: 12350, unit: 'bytes', floor: null, ratio: null },
  ]);
});

t.test('a floor of 0 has no ratio', async (t) => {
  t.match(row('unplug', 'ms', 3, 0), { floor: 0, ratio: null });
});

t.test('the JSON is an array of exactly the five fields, in order', async (t) => {
  const text = toJson(rows);
  t.same(JSON.parse(text), rows);
  for (const each of JSON.parse(text)) t.same(Object.keys(each), ['name', 'value', 'unit', 'floor', 'ratio']);
  t.equal(text.split('\n').length, rows.length + 3, 'one row per line');
  t.same(JSON.parse(toJson([])), []);
});

t.test('the table shows every row, and a dash for what is not there', async (t) => {
  const lines = toTable(rows).split('\n');
  const cells = (text: string) =>
    lines
      .find((line) => line.includes(text))
      ?.split('│')
      .slice(1, -1)
      .map((cell) => cell.trim());
  t.same(cells('measurement'), ['measurement', 'value', 'floor', 'unit', 'ratio']);
  t.same(cells('round trip'), ['round trip by write', '11.25', '9.168', 'µs', '1.23']);
  t.same(cells('memory'), ['memory per context', '12350', '-', 'bytes', '-']);
});

t.test('the median is the middle one or between the two middle ones', async (t) => {
  t.equal(median([5, 1, 3]), 3);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([7]), 7);
  t.throws(() => median([]), RangeError);
});

t.test('a CPU list of the kernel becomes numbers', async (t) => {
  t.same(parseCpuList('0'), [0]);
  t.same(parseCpuList('0-2,5,7-8'), [0, 1, 2, 5, 7, 8]);
});
