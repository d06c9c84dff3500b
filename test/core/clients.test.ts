/** Who is told of a device, in which order, and what becomes of a device that one of them cannot add. */
import t from 'tap';
import { type IbClient, IbCore } from '../../src/core/core.js';
import type { IbDevice } from '../../src/core/device.js';
import { makeHca } from '../mlx4/support/hca.js';

class Recorder implements IbClient {
  readonly #name: string;
  readonly #calls: string[];
  readonly #refuses: boolean;

  constructor(name: string, calls: string[], refuses = false) {
    this.#name = name;
    this.#calls = calls;
    this.#refuses = refuses;
  }

  addOne({ name }: IbDevice): void {
    if (this.#refuses) throw new Error(`${this.#name} is full`);
    this.#calls.push(`${this.#name} gets ${name}`);
  }

  async removeOne({ name, registered }: IbDevice): Promise<void> {
    this.#calls.push(`${this.#name} loses ${name}`);
    await Promise.resolve();
    this.#calls.push(registered ? 'still registered' : `${this.#name} is done`);
  }
}

t.test('a removal goes the other way, one after the other', async (t) => {
  const calls: string[] = [];
  const core = new IbCore(['sysfs', 'ib_uverbs', 'rdma_cm'].map((name) => new Recorder(name, calls)));
  const { device } = makeHca();
  await core.registerDevice(device);
  t.ok(core.devices.has('mlx4_0'));
  t.same(calls.splice(0), ['sysfs gets mlx4_0', 'ib_uverbs gets mlx4_0', 'rdma_cm gets mlx4_0']);
  await core.unregisterDevice(device);
  t.notOk(core.devices.has('mlx4_0'));
  t.same(calls, [
    'rdma_cm loses mlx4_0',
    'rdma_cm is done',
    'ib_uverbs loses mlx4_0',
    'ib_uverbs is done',
    'sysfs loses mlx4_0',
    'sysfs is done',
  ]);
});

t.test('what one cannot add, the others lose again', async (t) => {
  const calls: string[] = [];
  const core = new IbCore([new Recorder('sysfs', calls), new Recorder('ib_uverbs', calls, true)]);
  const { device } = makeHca();
  await t.rejects(core.registerDevice(device), { message: 'ib_uverbs is full' });
  t.same(calls, ['sysfs gets mlx4_0', 'sysfs loses mlx4_0', 'sysfs is done']);
  t.notOk(core.devices.has('mlx4_0'));
});
