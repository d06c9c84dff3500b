/**
 * The committed layouts are those of the kernel headers installed on this machine.
 *
 * The headers need not be of the version that the committed file was generated from; what may differ is what
 * the kernel's ABI rules allow to change from one version to the next:
 *
 * - structs, enumerators and macros come into being: one that only either side has is no failure (one that only
 *   the committed file has is mentioned). Those the kernel dropped would look the same, but it drops none.
 * - reserved bytes are given a meaning: other fields may be where the committed file has reserved ones.
 *
 * Everything else has to agree: sizes, and the offset, size and type of all fields that mean something.
 */

import t from 'tap';
import * as committed from '../../src/abi/abi.generated.js';
import { fieldsOf } from '../../tools/gen-abi/layout.js';
import { probeInstalledHeaders } from '../../tools/gen-abi/probe.js';

const installed = probeInstalledHeaders();

t.test('structs', async (t) => {
  for (const { name, size, fields } of committed.structs.values()) {
    const struct = installed.structs.get(name);
    if (struct === undefined) {
      t.comment(`the installed headers do not have struct ${name}`);
      continue;
    }
    t.equal(struct.size, size, `struct ${name} has the size of the installed headers`);
    const installedFields = new Map(fieldsOf(struct).map((field) => [field.name, field]));
    for (const field of fields.filter((field) => !/(^|\.)reserved/.test(field.name))) {
      t.same(
        installedFields.get(field.name),
        field,
        `struct ${name}, field ${field.name} is that of the installed headers`,
      );
    }
  }
});

t.test('enumerators and macros', async (t) => {
  const values = new Map(installed.macros);
  for (const { enumerators } of installed.enums) {
    for (const { name, value } of enumerators) values.set(name, value);
  }
  for (const [name, value] of committedConstants()) {
    if (values.has(name)) t.equal(values.get(name), value, `${name} has the value of the installed headers`);
    else t.comment(`the installed headers do not have ${name}`);
  }
});

// Anchors: were extraction and emission wrong in the same way, the comparison above would not notice.
t.test('sizes known from the headers', async (t) => {
  const sizes = {
    ib_uverbs_get_context_resp: 8,
    ib_uverbs_query_device_resp: 176,
    ib_uverbs_ex_query_device_resp: 304,
    ib_uverbs_query_port_resp: 40,
    ib_uverbs_reg_mr: 40,
    ib_uverbs_reg_mr_resp: 12,
    ib_uverbs_create_cq: 32,
    ib_uverbs_ex_create_cq_resp: 16,
    ib_uverbs_create_qp: 56,
    ib_uverbs_create_qp_resp: 32,
    ib_uverbs_ex_create_qp: 64,
    ib_uverbs_modify_qp: 112,
    ib_uverbs_ex_modify_qp: 120,
    ib_uverbs_query_qp_resp: 128,
    ib_uverbs_create_xsrq: 48,
    ib_uverbs_ioctl_hdr: 24,
    ib_uverbs_attr: 16,
    mlx4_ib_alloc_ucontext_resp: 16,
    mlx4_ib_create_qp: 24,
    mlx4_ib_create_qp_rss: 64,
    mlx4_uverbs_ex_query_device_resp: 48,
    ib_user_mad_hdr: 64,
    rdma_ucm_cmd_hdr: 8,
    rdma_ucm_create_id: 24,
  };
  for (const [name, size] of Object.entries(sizes)) t.equal(committed.structs.get(name)?.size, size, name);
  t.equal(committed.RDMA_VERBS_IOCTL, 0xc0181b01, 'RDMA_VERBS_IOCTL');
  t.equal(committed.ibUverbsWriteCmds.IB_USER_VERBS_CMD_OPEN_QP, 40, 'IB_USER_VERBS_CMD_OPEN_QP');
  t.equal(
    committed.ibUverbsDeviceCapFlags.IB_UVERBS_DEVICE_RAW_SCATTER_FCS,
    1n << 34n,
    'a 64-bit enumerator',
  );
});

/** The committed enumerators and macros; C has but one name space for them. */
function committedConstants(): [string, bigint][] {
  return Object.entries(committed).flatMap(([name, exported]): [string, bigint][] => {
    if (typeof exported === 'number') return [[name, BigInt(exported)]];
    if (exported instanceof Map || 'fields' in exported) return [];
    return Object.entries(exported).map(([enumerator, value]) => [enumerator, BigInt(value)]);
  });
}
