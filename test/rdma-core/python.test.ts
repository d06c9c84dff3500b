/** rdma-core's own tests, unmodified, as Debian's package rdma-core carries them. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { execute, startDaemon } from '../support/daemon.js';

const PACKAGED = '/usr/share/doc/rdma-core/tests';
/** pyverbs is made for the distribution's own. */
const PYTHON = '/usr/bin/python3';

const MODULES = ['device', 'pd', 'mr', 'addr', 'cq', 'parent_domain', 'shared_pd', 'qp'].map(
  (m) => `test_${m}`,
);

/** What moves data from one QP to another; without `tests.`. */
const NEEDS_TRAFFIC: readonly string[] = [
  'test_cq.CQTest.test_resize_cq',
  'test_mr.MRTest.test_mr_rereg_access',
  'test_mr.MRTest.test_mr_rereg_access_bad_flow',
  'test_mr.MRTest.test_mr_rereg_addr',
  'test_mr.MRTest.test_mr_rereg_pd',
  'test_mr.MWTest.test_invalidate_mw_type1',
  'test_mr.MWTest.test_mw_type1',
  'test_mr.MWTest.test_mw_type2',
  'test_mr.MWTest.test_mw_type2_invalidate_dealloc',
  'test_mr.MWTest.test_mw_type2_invalidate_local',
  'test_mr.MWTest.test_mw_type2_invalidate_remote',
];

/** What the tests say when they skip, any of them, and why they do on a real ConnectX-3, too. */
interface Skip {
  reasons: string[];
  why: string;
}

const deviceMemory: Skip = {
  reasons: ['Device memory is not supported'],
  why: 'the adapter has no memory that clients can allocate',
};
const dmabuf: Skip = {
  reasons: [
    'Device /dev/dri/renderD128 is not present',
    'Lack of permission to access /dev/dri/renderD128',
    'Allocating dmabuf is not supported by /dev/dri/renderD128',
    'Reg dma-buf MR is not supported by the RDMA driver',
  ],
  why: 'there is no GPU to share memory with; with one, the mlx4 driver has no reg_user_mr_dmabuf',
};
const parentDomain: Skip = {
  reasons: ['Parent Domain is not supported on this device'],
  why: 'libmlx4 has no alloc_parent_domain',
};
const hugePages: Skip = {
  reasons: [
    'There are no huge pages of size 2M allocated',
    'Huge pages of size 2M is not supported in this platform',
    ...parentDomain.reasons,
  ],
  why: 'the host has no huge pages set aside; with some, libmlx4 has no parent domains to use them',
};
const extendedQp: Skip = {
  reasons: ['Extended QP is not supported on this device'],
  why: 'libmlx4 has no ibv_wr_* operations (IBV_QP_INIT_ATTR_SEND_OPS_FLAGS)',
};
const roce: Skip = {
  reasons: ['Link layer of port=1 is InfiniBand , skip RoCE test'],
  why: 'the port is not Ethernet',
};
const raw: Skip = {
  reasons: ['To Create RAW QP must be done by root on Ethernet link layer'],
  why: 'the port is not Ethernet',
};

const each = (names: string[], skip: Skip): [string, Skip][] => names.map((name) => [name, skip]);

const SKIPPED: ReadonlyMap<string, Skip> = new Map([
  ...each(
    [
      'test_device.DMTest.test_create_dm',
      'test_device.DMTest.test_create_dm_bad_flow',
      'test_device.DMTest.test_destroy_dm',
      'test_device.DMTest.test_destroy_dm_bad_flow',
      'test_device.DMTest.test_dm_read',
      'test_device.DMTest.test_dm_write',
      'test_device.DMTest.test_dm_write_bad_flow',
      'test_device.DMTest.test_multi_process_alloc_dm',
      'test_device.SharedDMTest.test_import_dm',
      'test_mr.DeviceMemoryAPITest.test_create_dm_mr',
      'test_mr.DeviceMemoryAPITest.test_dm_bad_access',
      'test_mr.DeviceMemoryAPITest.test_dm_bad_registration',
      'test_mr.DeviceMemoryTest.test_dm_remote_traffic',
      'test_mr.DeviceMemoryTest.test_dm_traffic',
    ],
    deviceMemory,
  ),
  ...each(
    [
      'test_mr.DmaBufMRTest.test_dmabuf_dereg_mr',
      'test_mr.DmaBufMRTest.test_dmabuf_dereg_mr_twice',
      'test_mr.DmaBufMRTest.test_dmabuf_lkey',
      'test_mr.DmaBufMRTest.test_dmabuf_read',
      'test_mr.DmaBufMRTest.test_dmabuf_reg_mr',
      'test_mr.DmaBufMRTest.test_dmabuf_reg_mr_bad_flags',
      'test_mr.DmaBufMRTest.test_dmabuf_rkey',
      'test_mr.DmaBufMRTest.test_dmabuf_write',
      'test_mr.DmaBufTestCase.test_dmabuf_rc_traffic',
      'test_mr.DmaBufTestCase.test_dmabuf_rdma_traffic',
    ],
    dmabuf,
  ),
  ...each(
    [
      'test_parent_domain.ParentDomainTrafficTest.test_default_allocators_rc_traffic',
      'test_parent_domain.ParentDomainTrafficTest.test_mem_align_rc_traffic',
      'test_parent_domain.ParentDomainTrafficTest.test_mem_align_srq_excq_rc_traffic',
      'test_parent_domain.ParentDomainTrafficTest.test_mem_align_ud_traffic',
      'test_parent_domain.ParentDomainTrafficTest.test_without_allocators_rc_traffic',
    ],
    parentDomain,
  ),
  ['test_parent_domain.ParentDomainTrafficTest.test_huge_page_traffic', hugePages],
  ['test_shared_pd.SharedPDTestCase.test_imported_rc_ex_rdma_write', extendedQp],
]);

/** What an InfiniBand port skips beside. */
const SKIPPED_ON_INFINIBAND: ReadonlyMap<string, Skip> = new Map([
  ['test_addr.AHTest.test_create_ah_roce', roce],
  ...each(
    [
      'test_qp.QPTest.test_create_raw_qp_ex_no_attr',
      'test_qp.QPTest.test_create_raw_qp_ex_with_attr',
      'test_qp.QPTest.test_create_raw_qp_no_attr',
      'test_qp.QPTest.test_create_raw_qp_with_attr',
      'test_qp.QPTest.test_query_raw_qp',
    ],
    raw,
  ),
]);

/**
 * Not for a simulated Ethernet port: libibverbs asks the host's routes and neighbours for the MAC of an address handle,
 * and the port has no network device among them.
 */
const NEEDS_NEIGHBOURS: readonly string[] = [
  'test_addr.AHTest.test_create_ah',
  'test_addr.AHTest.test_destroy_ah',
];

/** A folder that holds the tests as `tests`, unpacked. */
function unpack(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'verbsim-rdma-core-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const tests = join(folder, 'tests');
  cpSync(PACKAGED, tests, { recursive: true });
  for (const file of readdirSync(tests).filter((name) => name.endsWith('.gz'))) {
    writeFileSync(join(tests, file.slice(0, -3)), gunzipSync(readFileSync(join(tests, file))));
  }
  return join(tests, 'run_tests.py');
}

/** The names of all tests of the modules, without `tests.`. */
async function listed(program: string): Promise<string[]> {
  const { stdout } = await execute(PYTHON, [program, '--list-tests']);
  const names = stdout.split('\n').map((line) => line.replace(/^tests\./, ''));
  return [...new Set(names)].filter((name) => MODULES.includes(name.split('.')[0] ?? '')).sort();
}

/** What unittest -v says of each test: a name, perhaps a line of description, and what came of it. */
function resultsIn(output: string): Map<string, string> {
  const line = /^\w+ \(tests\.([\w.]+)\)(?:\n[^\n]*?)? \.\.\. (.*)$/gm;
  return new Map([...output.matchAll(line)].map(([, name = '', result = '']) => [name, result]));
}

const reasonIn = (result: string): string | undefined => /^skipped (['"])(.*)\1$/.exec(result)?.[2];

const program = unpack(t);
const daemon = await startDaemon(t, { config: '[[device]]\n\n[[device]]\nlink_layer = "ethernet"\n' });
const all = await listed(program);

async function walk(
  t: Test,
  device: string,
  names: string[],
  skipped: ReadonlyMap<string, Skip>,
): Promise<void> {
  const ids = names.map((name) => `tests.${name}`);
  const { stderr } = await daemon.run(PYTHON, program, '-v', '--dev', device, ...ids);
  const results = resultsIn(stderr);
  for (const name of names) {
    const result = results.get(name) ?? 'it did not run';
    const skip = skipped.get(name);
    if (skip === undefined) t.equal(result, 'ok', name);
    else t.ok(skip.reasons.includes(reasonIn(result) ?? ''), `${name} is skipped: ${skip.why}`, { result });
  }
  if (!t.passing()) t.comment(stderr);
}

t.test('the tables name tests that there are', async (t) => {
  const named = [...NEEDS_TRAFFIC, ...NEEDS_NEIGHBOURS, ...SKIPPED.keys(), ...SKIPPED_ON_INFINIBAND.keys()];
  t.same(
    named.filter((name) => !all.includes(name)),
    [],
  );
});

t.test('on an InfiniBand device', async (t) => {
  const names = all.filter((name) => !NEEDS_TRAFFIC.includes(name));
  await walk(t, 'mlx4_0', names, new Map([...SKIPPED, ...SKIPPED_ON_INFINIBAND]));
});

t.test('on an Ethernet device', async (t) => {
  const excluded = [...NEEDS_TRAFFIC, ...NEEDS_NEIGHBOURS];
  const names = all.filter((name) => !excluded.includes(name));
  await walk(t, 'mlx4_1', names, SKIPPED);
});
