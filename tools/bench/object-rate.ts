/** How many objects of each kind can be made and destroyed in a second, through each of the two doors. */
import { runClient } from './child.js';
import { startDaemon } from './daemon.js';
import { startFloor } from './floor.js';
import type { Measurement } from './measurement.js';
import { type Placement, place, placed, sameCpu } from './placement.js';
import { median, type Row, row } from './report.js';
import type { Workbench } from './workbench.js';

const ROUNDS = 3;
const MILLISECONDS = 250;

/** What object-rate calls it, and what people do. */
const objects = [
  { name: 'pd', label: 'PD' },
  { name: 'mr', label: 'MR (one page)' },
  { name: 'cq', label: 'CQ' },
  { name: 'qp', label: 'QP (RC)' },
  { name: 'srq', label: 'SRQ' },
  { name: 'xrcd', label: 'XRCD' },
  { name: 'mw', label: 'MW' },
  { name: 'comp-channel', label: 'completion channel' },
];
const doors = ['write', 'ioctl'];

async function rate(
  bench: Workbench,
  placement: Placement,
  device: string,
  object: string,
  door: string,
): Promise<number> {
  const args = [device, object, door, String(MILLISECONDS)];
  const [file, placedArgs] = placed(placement, bench.programs['object-rate'], args);
  return (await runClient<{ ops_per_second: number }>(bench.cleanup, file, placedArgs)).ops_per_second;
}

export const objectRate: Measurement = {
  name: 'object-rate',
  summary: 'pairs of creation and destruction in a second, beside as many system calls answered by an echo',
  async run(bench, unable) {
    const placement = sameCpu();
    const floor = await startFloor(bench);
    const daemon = await startDaemon(bench);
    for (const { pid } of [floor, daemon]) place(pid, placement);
    const rows: Row[] = [];
    for (const { name, label } of objects) {
      for (const door of doors) {
        const floorRates: number[] = [];
        const rates: number[] = [];
        try {
          for (let round = 0; round < ROUNDS; round++) {
            floorRates.push(await rate(bench, placement, floor.device, name, door));
            rates.push(await rate(bench, placement, daemon.device, name, door));
          }
          rows.push(row(`${label} by ${door}, same CPU`, 'pairs/s', median(rates), median(floorRates)));
        } catch (error) {
          unable(`${label} by ${door}: ${(error as Error).message}`);
        }
      }
    }
    return rows;
  },
};
