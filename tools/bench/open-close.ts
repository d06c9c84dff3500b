/** What a context costs its client: ibv_open_device and ibv_close_device, again and again. */
import { runClient } from './child.js';
import { startDaemon } from './daemon.js';
import { startFloor } from './floor.js';
import type { Measurement } from './measurement.js';
import { median, row } from './report.js';

const ROUNDS = 5;
const CONTEXTS = 200;

/** Printed by open-many and by open-close alike. */
interface Times {
  ms_per_open_close: number;
}

export const openClose: Measurement = {
  name: 'open-close',
  summary: 'ibv_open_device and ibv_close_device, beside open(2), fstat(2) and close(2) of the floor',
  async run(bench) {
    const floor = await startFloor(bench);
    const daemon = await startDaemon(bench);
    const floorTimes: number[] = [];
    const times: number[] = [];
    const count = String(CONTEXTS);
    for (let round = 0; round < ROUNDS; round++) {
      const plain = await runClient<Times>(bench.cleanup, bench.programs['open-close'], [
        floor.device,
        count,
      ]);
      floorTimes.push(plain.ms_per_open_close);
      const verbs = daemon.run(bench.programs['open-many'], '--loop', count);
      times.push((await runClient<Times>(bench.cleanup, ...verbs)).ms_per_open_close);
    }
    return [row('ibv_open_device to ibv_close_device', 'ms', median(times), median(floorTimes))];
  },
};
