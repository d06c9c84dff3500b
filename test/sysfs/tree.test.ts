import t from 'tap';
import { Directory } from '../../devfs/nodes.js';
import { addClassDevice, Sysfs } from '../../src/sysfs/index.js';
import { fakeDevice } from './fake-device.js';
import { directoryAt, linkAt, list, listing, read, realPath } from './tree.js';

function emptySysfs() {
  const root = new Directory();
  const sysfs = new Sysfs(root);
  sysfs.addPciRoot('1000:03:00.0');
  return { root, sysfs };
}

const bridgesIn = (root: Directory): string[] =>
  list(root, 'devices/pci1000:00').filter((name) => name.includes(':'));

const FUNCTION = 'devices/pci1000:00/1000:00:03.0/1000:03:00.0';
const UVERBS0 = { name: 'uverbs0', major: 231, minor: 192 };

t.test('without a device there are the classes', async (t) => {
  const { root } = emptySysfs();
  t.same(list(root, 'class'), ['infiniband', 'infiniband_verbs']);
  t.same(list(root, 'class/infiniband'), []);
  t.same(list(root, 'class/infiniband_verbs'), ['abi_version']);
  t.same(list(root, 'bus/pci/devices'), []);
  t.same(list(root, 'devices'), ['virtual', 'pci1000:00']);
});

t.test('links are relative and lead to the device', async (t) => {
  const { root, sysfs } = emptySysfs();
  const { device } = fakeDevice();
  sysfs.addDevice(device);
  sysfs.addVerbsDevice(device, UVERBS0);

  const links = {
    'class/infiniband/mlx4_0': [`../../${FUNCTION}/infiniband/mlx4_0`, `${FUNCTION}/infiniband/mlx4_0`],
    'class/infiniband_verbs/uverbs0': [
      `../../${FUNCTION}/infiniband_verbs/uverbs0`,
      `${FUNCTION}/infiniband_verbs/uverbs0`,
    ],
    'bus/pci/devices/1000:03:00.0': [`../../../${FUNCTION}`, FUNCTION],
    'bus/pci/drivers/mlx4_core/1000:03:00.0': [`../../../../${FUNCTION}`, FUNCTION],
    'dev/char/231:192': [
      `../../${FUNCTION}/infiniband_verbs/uverbs0`,
      `${FUNCTION}/infiniband_verbs/uverbs0`,
    ],
    [`${FUNCTION}/driver`]: ['../../../../bus/pci/drivers/mlx4_core', 'bus/pci/drivers/mlx4_core'],
    [`${FUNCTION}/subsystem`]: ['../../../../bus/pci', 'bus/pci'],
    [`${FUNCTION}/infiniband/mlx4_0/device`]: ['../../../1000:03:00.0', FUNCTION],
    [`${FUNCTION}/infiniband/mlx4_0/subsystem`]: ['../../../../../../class/infiniband', 'class/infiniband'],
    [`${FUNCTION}/infiniband_verbs/uverbs0/device`]: ['../../../1000:03:00.0', FUNCTION],
    'class/infiniband_verbs/uverbs0/subsystem': [
      '../../../../../../class/infiniband_verbs',
      'class/infiniband_verbs',
    ],
  };
  for (const [path, [target, destination]] of Object.entries(links)) {
    t.equal(linkAt(root, path), target, path);
    t.equal(realPath(root, path), destination, `where ${path} leads`);
  }
  t.equal(read(root, 'class/infiniband/mlx4_0/device/vendor'), '0x15b3\n', 'through two links');
  t.ok(directoryAt(root, 'class/infiniband/mlx4_0/power'));
});

t.test('above the PCI function there is a bridge', async (t) => {
  const { root, sysfs } = emptySysfs();
  sysfs.addDevice(fakeDevice().device);
  const bridge = 'devices/pci1000:00/1000:00:03.0';
  t.equal(read(root, `${bridge}/class`), '0x060400\n');
  t.equal(realPath(root, `${bridge}/subsystem`), 'bus/pci');
  t.equal(realPath(root, 'bus/pci/devices/1000:00:03.0'), bridge);
  t.match(read(root, `${bridge}/uevent`), /^PCI_CLASS=60400\n/, 'no driver is bound to it');
});

t.test('what was plugged and unplugged leaves nothing behind', async (t) => {
  const { root, sysfs } = emptySysfs();
  const { device } = fakeDevice();
  const before = listing(root);
  for (let round = 0; round < 2; round++) {
    sysfs.addDevice(device);
    const withDevice = listing(root);
    sysfs.addVerbsDevice(device, UVERBS0);
    sysfs.removeVerbsDevice(device, UVERBS0);
    t.same(listing(root), withDevice, 'without the verbs device');
    sysfs.removeDevice(device);
    t.same(listing(root), before, 'without the device');
  }

  sysfs.addDevice(device);
  sysfs.addVerbsDevice(device, UVERBS0);
  sysfs.removeDevice(device);
  t.same(listing(root), before, 'the verbs device goes with its device');
  t.doesNotThrow(() => sysfs.removeVerbsDevice(device, UVERBS0));
  t.doesNotThrow(() => sysfs.removeDevice(device));
  t.same(listing(root), before);
});

t.test('the class link goes first, the PCI function last', async (t) => {
  const { root, sysfs } = emptySysfs();
  const { device } = fakeDevice();
  sysfs.addDevice(device);
  const removed: string[] = [];
  root.watchRemovals((_, name, node) => removed.push(`${node.kind} ${name}`));
  sysfs.removeDevice(device);
  const order = ['symlink mlx4_0', 'directory mlx4_0', 'symlink 1000:03:00.0', 'directory 1000:03:00.0'];
  t.same(
    removed.filter((entry, index) => order.includes(entry) && removed.indexOf(entry) === index),
    order,
  );
  t.equal(removed[0], 'symlink mlx4_0');
  t.equal(removed.at(-1), 'directory 1000:00:03.0', 'the root of the domain stays');
});

t.test('two devices share the root of their domain', async (t) => {
  const { root, sysfs } = emptySysfs();
  const before = listing(root);
  const first = fakeDevice().device;
  const second = fakeDevice({ name: 'mlx4_1', pci: { address: '1000:04:00.0' } }).device;
  sysfs.addDevice(first);
  const withFirst = listing(root);
  sysfs.addDevice(second);
  t.same(bridgesIn(root), ['1000:00:03.0', '1000:00:04.0']);
  t.equal(
    realPath(root, 'class/infiniband/mlx4_1'),
    'devices/pci1000:00/1000:00:04.0/1000:04:00.0/infiniband/mlx4_1',
  );
  const resource = (name: string) => read(root, `class/infiniband/${name}/device/resource`);
  t.not(resource('mlx4_0'), resource('mlx4_1'), 'their resources tell them apart');
  sysfs.removeDevice(second);
  t.same(listing(root), withFirst);
  sysfs.addDevice(second);
  sysfs.removeDevice(first);
  t.same(bridgesIn(root), ['1000:00:04.0']);
  sysfs.removeDevice(second);
  t.same(listing(root), before);
});

t.test('two devices on one bus share the bridge', async (t) => {
  const { root, sysfs } = emptySysfs();
  const before = listing(root);
  const first = fakeDevice().device;
  const second = fakeDevice({ name: 'mlx4_1', pci: { address: '1000:03:01.0' } }).device;
  sysfs.addDevice(first);
  sysfs.addDevice(second);
  t.same(bridgesIn(root), ['1000:00:03.0']);
  sysfs.removeDevice(first);
  t.equal(realPath(root, 'class/infiniband/mlx4_1/device'), 'devices/pci1000:00/1000:00:03.0/1000:03:01.0');
  sysfs.removeDevice(second);
  t.same(listing(root), before);
});

t.test('a device whose place is taken is refused, and nothing is left of it', async (t) => {
  const { root, sysfs } = emptySysfs();
  const { device } = fakeDevice();
  sysfs.addDevice(device);
  sysfs.addVerbsDevice(device, UVERBS0);
  const before = listing(root);
  const refused = {
    'the name': fakeDevice({ pci: { address: '1000:04:00.0' } }).device,
    'the PCI address': fakeDevice({ name: 'mlx4_1' }).device,
    'the address of a bridge': fakeDevice({ name: 'mlx4_1', pci: { address: '1000:00:03.0' } }).device,
  };
  for (const [what, other] of Object.entries(refused)) {
    t.throws(() => sysfs.addDevice(other), { message: /already/ }, what);
    t.same(listing(root), before);
  }
  const malformed = fakeDevice({ name: 'mlx4_1', pci: { address: '03:00.0' } }).device;
  t.throws(() => sysfs.addDevice(malformed), { message: /not a PCI address/ });
  t.throws(() => sysfs.addVerbsDevice(device, UVERBS0), { message: /already/ }, 'the name of a verbs device');
  t.throws(
    () => sysfs.addVerbsDevice(device, { ...UVERBS0, name: 'uverbs1' }),
    { message: /already/ },
    'the number of a verbs device',
  );
  t.throws(() => sysfs.addVerbsDevice(malformed, UVERBS0), { message: /not in sysfs/ });
  t.same(listing(root), before);
});

t.test('a bridge whose address a function has is refused', async (t) => {
  const { root, sysfs } = emptySysfs();
  sysfs.addDevice(fakeDevice({ pci: { address: '1000:00:03.0' } }).device);
  const before = listing(root);
  t.equal(realPath(root, 'class/infiniband/mlx4_0/device'), 'devices/pci1000:00/1000:00:03.0');
  const behind = fakeDevice({ name: 'mlx4_1', pci: { address: '1000:03:00.0' } }).device;
  t.throws(() => sysfs.addDevice(behind), { message: /already/ });
  t.same(listing(root), before);
});

t.test('the mtime of a device is the time of its registration', async (t) => {
  const { root, sysfs } = emptySysfs();
  const { device } = fakeDevice();
  const mtime = () => ({ ...directoryAt(root, 'class/infiniband/mlx4_0').mtime });
  sysfs.addDevice(device);
  const registered = mtime();
  sysfs.addVerbsDevice(device, UVERBS0);
  device.nodeDescription = 'other';
  sysfs.removeVerbsDevice(device, UVERBS0);
  t.same(mtime(), registered, 'it stays while the device lives');
  sysfs.removeDevice(device);
  sysfs.addDevice(device);
  t.notSame(mtime(), registered, 'it is another when the device is plugged again');
});

t.test('a device without hardware is a virtual one', async (t) => {
  const { root } = emptySysfs();
  const before = listing(root).filter((path) => path !== 'class/misc/');
  const device = addClassDevice(root, {
    class: 'misc',
    name: 'rdma_cm',
    number: { major: 10, minor: 58, path: 'infiniband/rdma_cm', mode: 0o666 },
    populate: (kobject) => kobject.attribute('abi_version', () => 4),
  });
  t.equal(linkAt(root, 'class/misc/rdma_cm'), '../../devices/virtual/misc/rdma_cm');
  t.equal(linkAt(root, 'dev/char/10:58'), '../../devices/virtual/misc/rdma_cm');
  t.equal(read(root, 'class/misc/rdma_cm/abi_version'), '4\n');
  t.equal(
    read(root, 'class/misc/rdma_cm/uevent'),
    'MAJOR=10\nMINOR=58\nDEVNAME=infiniband/rdma_cm\nDEVMODE=0666\n',
  );
  t.notOk(list(root, 'class/misc/rdma_cm').includes('device'));
  device.remove();
  t.same(listing(root), [...before, 'class/misc/'].sort(), 'the class stays');
});
