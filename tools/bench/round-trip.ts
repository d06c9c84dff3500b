/** How long the client waits for the answer to a trivial command: QUERY_PORT, of which all is known in advance. */
import { runClient } from './child.js';
import { startDaemon } from './daemon.js';
import { startFloor } from './floor.js';
import type { Measurement } from './measurement.js';
import { type Placement, place, placed, placements } from './placement.js';
import { median, type Row, row } from './report.js';
import type { Workbench } from './workbench.js';

/** What bench-write prints. */
interface Times {
  median_ns: number;
  p99_ns: number;
}

const ROUNDS = 7;
const CALLS = 3000;
/** For the compiler in the daemon, before anything counts. */
const WARM_UP_CALLS = 20_000;

const RESPONSE_BYTES = 40;

/** Messages in the notation of test/clients/message.h. */
const GET_CONTEXT = '00000000_0400_0600_@R';

/** legacy header, then response u64, port_num u8, reserved[7]. */
const BY_WRITE = '02000000_0600_0a00_@R_01_00000000000000';

/** ioctl header (56 bytes, object 0, method 2, two attributes, driver 2), PORT_NUM inline, 48 bytes of RESP. */
const BY_IOCTL =
  '3800_0000_0200_0200_0000000000000000_02000000_00000000' +
  '_0000_0800_0100_0000_0100000000000000' +
  '_0100_3000_0100_0000_@R';

const doors = [
  { name: 'write', flags: [], message: BY_WRITE },
  { name: 'ioctl', flags: ['--ioctl'], message: BY_IOCTL },
] as const;

type Door = (typeof doors)[number];

interface Server {
  pid: number;
  device: string;
  preamble: string[];
}

class RoundTrips {
  readonly #bench: Workbench;
  readonly #floor: Server;
  readonly #daemon: Server;

  constructor(bench: Workbench, floor: Server, daemon: Server) {
    this.#bench = bench;
    this.#floor = floor;
    this.#daemon = daemon;
  }

  async warmUp(placement: Placement): Promise<void> {
    for (const door of doors) await this.#measure(this.#daemon, door, placement, WARM_UP_CALLS);
  }

  /** Floor and daemon in turn, so that what else the machine does meets both. */
  async rows(placement: Placement): Promise<Row[]> {
    for (const { pid } of [this.#floor, this.#daemon]) place(pid, placement);
    const rows: Row[] = [];
    for (const door of doors) {
      const floor: Times[] = [];
      const daemon: Times[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        floor.push(await this.#measure(this.#floor, door, placement, CALLS));
        daemon.push(await this.#measure(this.#daemon, door, placement, CALLS));
      }
      for (const [label, field] of [
        ['median', 'median_ns'],
        ['p99', 'p99_ns'],
      ] as const) {
        const microseconds = (times: Times[]) => median(times.map((each) => each[field])) / 1e3;
        const name = `round trip by ${door.name}, ${placement.name}, ${label}`;
        rows.push(row(name, 'µs', microseconds(daemon), microseconds(floor)));
      }
    }
    return rows;
  }

  #measure(server: Server, door: Door, placement: Placement, calls: number): Promise<Times> {
    const args = [...door.flags, ...server.preamble, server.device, String(calls), door.message];
    const [file, placedArgs] = placed(placement, this.#bench.programs['bench-write'], args);
    return runClient<Times>(this.#bench.cleanup, file, placedArgs);
  }
}

export const roundTrip: Measurement = {
  name: 'round-trip',
  summary: 'QUERY_PORT by write(2) and by ioctl(2), beside an echo; medians over the rounds, of the p99 too',
  async run(bench, unable) {
    const floor = await startFloor(bench, RESPONSE_BYTES);
    const daemon = await startDaemon(bench);
    const trips = new RoundTrips(
      bench,
      { ...floor, preamble: [] },
      { ...daemon, preamble: ['--preamble', GET_CONTEXT] },
    );
    const rows: Row[] = [];
    const [first, ...others] = placements();
    if (first !== undefined) await trips.warmUp(first);
    for (const placement of [first, ...others]) {
      if (placement !== undefined) rows.push(...(await trips.rows(placement)));
    }
    if (others.length < 2) unable('round trip between different CPUs: this machine has one CPU');
    return rows;
  },
};
