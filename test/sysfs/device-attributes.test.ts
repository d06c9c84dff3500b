import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { Directory } from '../../devfs/nodes.js';
import { Sysfs } from '../../src/sysfs/index.js';
import { at, fakeDevice } from './fake-device.js';
import { attributeAt, directoryAt, list, read, write } from './tree.js';

function plugged() {
  const root = new Directory();
  const sysfs = new Sysfs(root);
  const fake = fakeDevice();
  sysfs.addDevice(fake.device);
  return { root, sysfs, fake };
}

const DEVICE = 'class/infiniband/mlx4_0';
const PORT = `${DEVICE}/ports/1`;
const ZERO_GID = '0000:0000:0000:0000:0000:0000:0000:0000\n';

t.test('device attributes', async (t) => {
  const { root, fake } = plugged();
  const expected = {
    uevent: 'NAME=mlx4_0\n',
    node_type: '1: CA\n',
    node_guid: '0002:c903:00a1:b2c0\n',
    sys_image_guid: '0002:c903:00a1:b2c3\n',
    node_desc: 'host1 HCA-1\n',
    fw_ver: '2.42.5000\n',
    hw_rev: '0\n',
    hca_type: 'MT4099\n',
    board_id: 'MT_1090120019\n',
  };
  for (const [name, content] of Object.entries(expected))
    t.equal(read(root, `${DEVICE}/${name}`), content, name);
  t.same(list(root, `${DEVICE}/ports`), ['1', '2']);
  t.equal(attributeAt(root, `${DEVICE}/node_guid`).mode, 0o444);

  fake.attributes.base.fwVer = 0n;
  t.equal(read(root, `${DEVICE}/fw_ver`), '0.0.0\n', 'a value is that of the time of the read');
});

t.test('node_desc can be written', async (t) => {
  const { root, fake } = plugged();
  t.equal(attributeAt(root, `${DEVICE}/node_desc`).mode, 0o644);
  write(root, `${DEVICE}/node_desc`, 'host2');
  t.equal(fake.device.nodeDescription, 'host2');
  t.equal(read(root, `${DEVICE}/node_desc`), 'host2\n');
  write(root, `${DEVICE}/node_desc`, 'x'.repeat(100));
  t.equal(read(root, `${DEVICE}/node_desc`), `${'x'.repeat(64)}\n`, 'what is too long is cut off');
  write(root, `${DEVICE}/node_desc`, `x${'é'.repeat(40)}`);
  t.equal(fake.device.nodeDescription, `x${'é'.repeat(31)}`, 'no character is cut in half');
  write(root, `${DEVICE}/node_desc`, 'ends\0here');
  t.equal(read(root, `${DEVICE}/node_desc`), 'ends\n');
});

t.test('port attributes', async (t) => {
  const { root, fake } = plugged();
  const expected = {
    state: '4: ACTIVE\n',
    phys_state: '5: LinkUp\n',
    lid: '0x1\n',
    lid_mask_count: '0\n',
    sm_lid: '0x1\n',
    sm_sl: '0\n',
    cap_mask: '0x0251486a\n',
    rate: '56 Gb/sec (4X FDR)\n',
    link_layer: 'InfiniBand\n',
  };
  for (const [name, content] of Object.entries(expected))
    t.equal(read(root, `${PORT}/${name}`), content, name);

  Object.assign(fake.ports[1]!, { state: 1, physState: 2, lid: 0xbeef, portCapFlags: 0x04010000 });
  t.equal(read(root, `${PORT}/state`), '1: DOWN\n');
  t.equal(read(root, `${PORT}/phys_state`), '2: Polling\n');
  t.equal(read(root, `${PORT}/lid`), '0xbeef\n');
  t.equal(read(root, `${PORT}/cap_mask`), '0x00010000\n', 'without what only the query says');
  t.equal(read(root, `${DEVICE}/ports/2/state`), '4: ACTIVE\n', 'the other port is as it was');

  fake.ports[1]!.portCapFlags = 0x80000000;
  t.equal(read(root, `${PORT}/cap_mask`), '0x80000000\n', 'the highest bit is no sign');
});

t.test('tables have exactly the lengths of the port', async (t) => {
  const { root } = plugged();
  const indexes = Array.from({ length: 128 }, (_, i) => `${i}`);
  for (const table of ['gids', 'gid_attrs/types', 'gid_attrs/ndevs', 'pkeys']) {
    t.same(list(root, `${PORT}/${table}`), indexes, table);
  }
});

t.test('GID table', async (t) => {
  const { root, fake } = plugged();
  t.equal(read(root, `${PORT}/gids/0`), 'fe80:0000:0000:0000:0002:c903:00a1:b2c1\n');
  t.equal(read(root, `${DEVICE}/ports/2/gids/0`), 'fe80:0000:0000:0000:0002:c903:00a1:b2c2\n');
  t.equal(read(root, `${PORT}/gids/127`), ZERO_GID, 'an empty entry is zero');
  t.equal(read(root, `${PORT}/gid_attrs/types/0`), 'IB/RoCE v1\n');
  t.throws(() => read(root, `${PORT}/gid_attrs/types/1`), { code: 'EINVAL' }, 'an empty entry has no type');
  t.throws(() => read(root, `${PORT}/gid_attrs/ndevs/0`), { code: 'EINVAL' }, 'a GID has no interface');

  fake.gids.set(at(1, 3), { gid: Buffer.alloc(16, 0xab), type: 2, netdevIfindex: 0 });
  t.equal(read(root, `${PORT}/gids/3`), 'abab:abab:abab:abab:abab:abab:abab:abab\n');
  t.equal(read(root, `${PORT}/gid_attrs/types/3`), 'RoCE v2\n');
});

t.test('P_Key table', async (t) => {
  const { root, fake } = plugged();
  t.equal(read(root, `${PORT}/pkeys/0`), '0xffff\n');
  t.equal(read(root, `${PORT}/pkeys/1`), '0x0000\n');
  fake.pkeys.set(at(1, 1), 0x12);
  t.equal(read(root, `${PORT}/pkeys/1`), '0x0012\n');
});

t.test('port counters', async (t) => {
  const { root, fake } = plugged();
  t.same(list(root, `${PORT}/counters`), ['symbol_error', 'port_xmit_data']);
  t.equal(read(root, `${PORT}/counters/port_xmit_data`), '1099511627776\n');
  fake.portCounters['symbol_error'] = 3n;
  t.equal(read(root, `${PORT}/counters/symbol_error`), '3\n');
});

t.test('hw_counters', async (t) => {
  await t.test('are read anew when their lifespan is over', async (t) => {
    const { root, fake } = plugged();
    t.same(list(root, `${DEVICE}/hw_counters`), ['rq_num_lle', 'sq_num_rnr', 'lifespan']);
    t.equal(read(root, `${DEVICE}/hw_counters/lifespan`), '10\n');
    t.equal(read(root, `${DEVICE}/hw_counters/sq_num_rnr`), '7\n');

    write(root, `${DEVICE}/hw_counters/lifespan`, '10000\n');
    fake.hwCounters = { rq_num_lle: 1n, sq_num_rnr: 8n };
    t.equal(read(root, `${DEVICE}/hw_counters/sq_num_rnr`), '7\n');
    write(root, `${DEVICE}/hw_counters/lifespan`, '1');
    await setTimeout(5);
    t.equal(read(root, `${DEVICE}/hw_counters/sq_num_rnr`), '8\n');
    write(root, `${DEVICE}/hw_counters/lifespan`, '0');
    fake.hwCounters = { rq_num_lle: 2n, sq_num_rnr: 9n };
    t.equal(read(root, `${DEVICE}/hw_counters/rq_num_lle`), '2\n');
  });

  await t.test('refuse a lifespan that is none', async (t) => {
    const { root } = plugged();
    const lifespan = `${DEVICE}/hw_counters/lifespan`;
    t.equal(attributeAt(root, lifespan).mode, 0o644);
    for (const text of ['-1', '10001', '', '\n', 'x', '1 ', '1\n\n', '0x10', '1.5']) {
      t.throws(() => write(root, lifespan, text), { code: 'EINVAL' }, JSON.stringify(text));
    }
    t.equal(read(root, lifespan), '10\n');
  });

  await t.test('are absent if the device has none', async (t) => {
    const root = new Directory();
    const fake = fakeDevice();
    fake.hwCounters = {};
    new Sysfs(root).addDevice(fake.device);
    t.notOk(directoryAt(root, DEVICE).entries.has('hw_counters'));
  });
});

t.test('PCI attributes', async (t) => {
  const { root, fake } = plugged();
  const pci = 'bus/pci/devices/1000:03:00.0';
  const expected = {
    vendor: '0x15b3\n',
    device: '0x1003\n',
    subsystem_vendor: '0x15b3\n',
    subsystem_device: '0x0055\n',
    revision: '0x00\n',
    class: '0x020700\n',
    modalias: 'pci:v000015B3d00001003sv000015B3sd00000055bc02sc07i00\n',
    numa_node: '-1\n',
    current_link_speed: '8.0 GT/s PCIe\n',
    max_link_speed: '8.0 GT/s PCIe\n',
    current_link_width: '8\n',
    max_link_width: '8\n',
    mlx4_port1: 'ib\n',
    mlx4_port2: 'ib\n',
    mlx4_port1_mtu: '4096\n',
    uevent: [
      'DRIVER=mlx4_core',
      'PCI_CLASS=20700',
      'PCI_ID=15B3:1003',
      'PCI_SUBSYS_ID=15B3:0055',
      'PCI_SLOT_NAME=1000:03:00.0',
      'MODALIAS=pci:v000015B3d00001003sv000015B3sd00000055bc02sc07i00',
      '',
    ].join('\n'),
  };
  for (const [name, content] of Object.entries(expected))
    t.equal(read(root, `${pci}/${name}`), content, name);
  t.match(read(root, `${pci}/local_cpus`), /^[0-9a-f]{1,8}(,[0-9a-f]{8})*\n$/);
  t.match(read(root, `${pci}/local_cpulist`), /^0(-\d+)?\n$/);
  t.match(read(root, `${pci}/resource`), /^(0x[0-9a-f]{16} 0x[0-9a-f]{16} 0x[0-9a-f]{16}\n){7}$/);

  t.doesNotThrow(() => write(root, `${pci}/mlx4_port1`, 'ib\n'));
  t.throws(() => write(root, `${pci}/mlx4_port1`, 'eth\n'), { code: 'EOPNOTSUPP' });
  t.throws(() => write(root, `${pci}/mlx4_port1`, 'fddi\n'), { code: 'EINVAL' });
  fake.ports[1]!.linkLayer = 2;
  t.equal(read(root, `${pci}/mlx4_port1`), 'eth\n');
});

t.test('verbs attributes', async (t) => {
  const { root, sysfs, fake } = plugged();
  sysfs.addVerbsDevice(fake.device, { name: 'uverbs0', major: 231, minor: 192 });
  const verbs = 'class/infiniband_verbs/uverbs0';
  t.equal(read(root, `${verbs}/dev`), '231:192\n');
  t.equal(read(root, `${verbs}/ibdev`), 'mlx4_0\n');
  t.equal(read(root, `${verbs}/abi_version`), '4\n');
  t.equal(read(root, `${verbs}/uevent`), 'MAJOR=231\nMINOR=192\nDEVNAME=infiniband/uverbs0\nDEVMODE=0666\n');
  t.equal(read(root, 'class/infiniband_verbs/abi_version'), '6\n');

  t.doesNotThrow(() => write(root, `${verbs}/uevent`, 'add\n'), 'a uevent can be asked for');
  t.throws(() => write(root, `${verbs}/uevent`, 'explode\n'), { code: 'EINVAL' });
});
