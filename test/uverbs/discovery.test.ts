/** Unmodified programs find the device and open it: one, many at once, and many times. */
import t from 'tap';
import { clientProgram } from '../support/client-programs.js';
import { type Output, startDaemon } from '../support/daemon.js';
import { allClosed, operate } from '../support/operator.js';

const PROCESSES = 200;
const CONTEXTS = 1000;
/** The device file and its event file. */
const DESCRIPTORS = 2 * CONTEXTS + 100;

const daemon = await startDaemon(t);
const operator = await operate(t, daemon);

/** The value of "name:   value" in the output of a program. */
const field = ({ stdout }: Output, name: string): string | undefined =>
  new RegExp(`^\\s*${name}:\\s*(.*)$`, 'm').exec(stdout)?.[1];

t.test('ibv_devices', async (t) => {
  const { code, stdout } = await daemon.run('ibv_devices');
  t.equal(code, 0);
  t.match(stdout, /^\s+mlx4_0\s+0002c90300a1b2c0$/m);
});

t.test('ibv_devinfo -v', async (t) => {
  const info = await daemon.run('ibv_devinfo', '-v');
  t.equal(info.code, 0, info.stderr);
  t.equal(info.stderr, '');
  const expected: Record<string, RegExp> = {
    hca_id: /^mlx4_0$/,
    transport: /^InfiniBand \(0\)$/,
    vendor_id: /^0x02c9$/,
    vendor_part_id: /^4099$/,
    fw_ver: /^2\.42\.5000$/,
    board_id: /^MT_1100120019$/,
    phys_port_cnt: /^1$/,
    state: /^PORT_ACTIVE \(4\)$/,
    port_lid: /^[1-9]\d*$/,
    sm_lid: /^[1-9]\d*$/,
    link_layer: /^InfiniBand$/,
    phys_state: /^LINK_UP \(5\)$/,
    'GID\\[\\s*0\\]': /^fe80:0{0,4}:0{0,4}:0{0,4}:0002:c903:00a1:b2c1/,
  };
  for (const [name, value] of Object.entries(expected)) t.match(field(info, name), value, name);
});

t.test('ibstat', async (t) => {
  const status = await daemon.run('ibstat');
  t.equal(status.code, 0, status.stderr);
  t.match(status.stdout, "CA 'mlx4_0'");
  for (const [name, value] of Object.entries({
    'CA type': 'MT4099',
    'Firmware version': '2.42.5000',
    'Node GUID': '0x0002c90300a1b2c0',
    State: 'Active',
    'Physical state': 'LinkUp',
    'Link layer': 'InfiniBand',
  })) {
    t.equal(field(status, name), value, name);
  }
  t.match(field(status, 'Base lid'), /^[1-9]\d*$/);
});

t.test(`${PROCESSES} processes at once`, async (t) => {
  const script = `for i in $(seq ${PROCESSES}); do (ibv_devinfo | grep -c PORT_ACTIVE) & done; wait`;
  const { code, stdout, stderr } = await daemon.run('sh', '-c', script);
  t.equal(code, 0);
  t.equal(stderr, '');
  t.equal(stdout, '1\n'.repeat(PROCESSES), 'each sees an active port');
  await allClosed(operator);
});

/** Runs open-many with room for its descriptors; what it reports. */
async function openMany(...args: (string | number)[]): Promise<{ contexts: number }> {
  const program = clientProgram('open-many', '-libverbs');
  const command = `ulimit -n ${DESCRIPTORS}; exec ${[program, ...args].join(' ')}`;
  const { code, stdout, stderr } = await daemon.run('sh', '-c', command);
  if (code !== 0) throw new Error(`${stdout} ${stderr}`);
  return JSON.parse(stdout);
}

t.test(`${CONTEXTS} contexts in one process`, async (t) => {
  t.match(await openMany(CONTEXTS), { contexts: CONTEXTS });
  await allClosed(operator);
});

t.test(`a context opened and closed ${CONTEXTS} times`, async (t) => {
  t.match(await openMany('--loop', CONTEXTS), { contexts: CONTEXTS });
  await allClosed(operator);
});
