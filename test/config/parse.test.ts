import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { defaultConfig } from '../../src/config/config.js';
import { ConfigError, loadConfig, parseConfig } from '../../src/config/load.js';

const parse = (text: string) => parseConfig(text, 'verbsim.toml');

t.test('without a file there is one device', async (t) => {
  t.same(defaultConfig, {
    devices: [
      {
        name: 'mlx4_0',
        pci: '1000:03:00.0',
        nodeGuid: 0x0002_c903_00a1_b2c0n,
        firmware: '2.42.5000',
        boardId: 'MT_1100120019',
        ports: 1,
        driverWithoutDisassociate: false,
        kernelProfile: '6.12',
        linkLayer: 'infiniband',
        limits: {},
      },
    ],
    moduleOrder: ['ib_uverbs', 'rdma_cm'],
    socketGroup: undefined,
    logLevel: 'info',
  });
  t.same(parse(''), defaultConfig);
});

t.test('what a device leaves out follows from its place', async (t) => {
  const { devices } = parse('[[device]]\n[[device]]\nports = 2\n');
  t.match(devices, [
    { name: 'mlx4_0', pci: '1000:03:00.0', nodeGuid: 0x0002_c903_00a1_b2c0n, boardId: 'MT_1100120019' },
    { name: 'mlx4_1', pci: '1000:04:00.0', nodeGuid: 0x0002_c903_00a1_b2d0n, boardId: 'MT_1090120019' },
  ]);
});

t.test('what a file says is taken', async (t) => {
  const config = parse(`
    module_order = ["rdma_cm", "ib_uverbs"]
    socket_group = "rdma"
    log_level = "debug"
    [[device]]
    name = "hca7"
    pci = "0000:81:00.1"
    node_guid = "f452:1403:0012:3450"
    firmware = "2.30.8000"
    board_id = "MT_1060110018"
    ports = 2
    driver_without_disassociate = true
    kernel_profile = "4.3"
    link_layer = "ethernet"
    [device.limits]
    max_qp = 1000
    max_rwq_indirection_table_size = 64
  `);
  t.same(config, {
    devices: [
      {
        name: 'hca7',
        pci: '0000:81:00.1',
        nodeGuid: 0xf452_1403_0012_3450n,
        firmware: '2.30.8000',
        boardId: 'MT_1060110018',
        ports: 2,
        driverWithoutDisassociate: true,
        kernelProfile: '4.3',
        linkLayer: 'ethernet',
        limits: { maxQp: 1000, maxRwqIndirectionTableSize: 64 },
      },
    ],
    moduleOrder: ['rdma_cm', 'ib_uverbs'],
    socketGroup: 'rdma',
    logLevel: 'debug',
  });
});

t.test('limits are those of an adapter', async (t) => {
  const errorOfLimit = (line: string): string =>
    (t.throws(() => parse(`[[device]]\n[device.limits]\n${line}\n`), ConfigError) as ConfigError).message;
  t.match(errorOfLimit('max_qpp = 3'), 'device[0].limits.max_qpp is not a key that verbsim knows');
  t.match(errorOfLimit('max_qp = 0'), 'device[0].limits.max_qp must be at least 1');
  t.match(errorOfLimit('max_qp = 300000'), 'device[0].limits.max_qp must be at most');
  t.match(errorOfLimit('max_rwq_indirection_table_size = 65'), 'must be a power of two');
});

t.test('a GUID may be a number', async (t) => {
  t.equal(parse('[[device]]\nnode_guid = 0x0002c90300000010').devices[0]?.nodeGuid, 0x0002_c903_0000_0010n);
  t.equal(
    parse('[[device]]\nnode_guid = 0x7fffffffffffffff').devices[0]?.nodeGuid,
    0x7fff_ffff_ffff_ffffn,
    'of more than 53 bits',
  );
});

t.test('a machine may be without devices', async (t) => t.same(parse('device = []').devices, []));

const mistakes: [what: string, text: string, sentence: string][] = [
  ['unknown key', 'devices = 1', 'devices is not a key that verbsim knows'],
  ['unknown keys', 'a = 1\nb = 2', 'a and b is not a key that verbsim knows'],
  ['unknown key of a device', '[[device]]\nport = 1', 'device[0].port is not a key that verbsim knows'],
  ['wrong type', '[[device]]\n[[device]]\nname = 3', 'device[1].name must be of type string'],
  ['not a list', '[device]\nname = "x"', 'device must be of type array'],
  ['impossible port count', '[[device]]\nports = 3', 'device[0].ports must be 1 or 2'],
  ['name with a slash', '[[device]]\nname = "a/b"', 'device[0].name must be a letter and up to 62 letters'],
  [
    'bad PCI address',
    '[[device]]\npci = "03:00.0"',
    'device[0].pci must be a PCI address like "1000:03:00.0"',
  ],
  ['bad GUID', '[[device]]\nnode_guid = "0002c903"', 'device[0].node_guid must be a GUID like'],
  ['GUID zero', '[[device]]\nnode_guid = 0', 'device[0].node_guid must be a GUID like'],
  ['bad level', 'log_level = "loud"', 'log_level must be debug, info, warn or error'],
  [
    'module twice',
    'module_order = ["rdma_cm", "rdma_cm"]',
    'module_order must have each of ib_uverbs and rdma_cm',
  ],
  ['unknown module', 'module_order = ["ib_umad"]', 'module_order[0] must be one of ib_uverbs and rdma_cm'],
  ['taken name', '[[device]]\n[[device]]\nname = "mlx4_0"', 'device[1].name is also that of device[0]'],
  [
    'taken GUID',
    '[[device]]\n[[device]]\nnode_guid = 0x0002c90300a1b2c0',
    'device[1].node_guid is also that of device[0]',
  ],
  ['too many devices', '[[device]]\n'.repeat(33), 'device must not be more than 32'],
  ['not TOML', 'name = = 1', 'line 1, column'],
];

for (const [what, text, sentence] of mistakes) {
  t.test(`refused: ${what}`, async (t) => {
    const error = t.throws(() => parse(text), ConfigError) as ConfigError;
    t.ok(error.message.startsWith(`verbsim.toml: ${sentence}`), error.message);
    t.notMatch(error.message, '\n', 'it is one line');
  });
}

t.test('all mistakes are named at once', async (t) => {
  const error = t.throws(() => parse('log_level = 1\n[[device]]\nports = 9')) as ConfigError;
  t.match(error.message, /device\[0\]\.ports .*; log_level /);
});

t.test('a file that cannot be read', async (t) => {
  const folder = t.testdir();
  await t.rejects(loadConfig(join(folder, 'none.toml')), {
    message: `${folder}/none.toml cannot be read: no such file or directory`,
  });
  mkdirSync(join(folder, 'folder.toml'));
  await t.rejects(loadConfig(join(folder, 'folder.toml')), ConfigError);
});
