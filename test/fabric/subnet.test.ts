import t from 'tap';
import { LinkLayer } from '../../src/core/attributes.js';
import { eui64OfMac, macOfGuid } from '../../src/fabric/port.js';
import { type FabricPortOptions, Subnet } from '../../src/fabric/subnet.js';
import { PORT_CAPABILITIES } from '../../src/mlx4/capabilities.js';

const port = (guid: bigint, linkLayer: FabricPortOptions['linkLayer']): FabricPortOptions => ({
  guid,
  linkLayer,
  gidTableLength: 128,
  pkeyTableLength: 128,
  capabilities: PORT_CAPABILITIES[linkLayer],
});

t.test('the SM gives each InfiniBand port the lowest free LID', async (t) => {
  const subnet = new Subnet();
  const [first, second] = [subnet.attach(port(1n, 'infiniband')), subnet.attach(port(2n, 'infiniband'))];
  t.same([first.lid, second.lid], [2, 3]);
  subnet.detach(first);
  t.equal(subnet.attach(port(3n, 'infiniband')).lid, 2);
});

t.test('an Ethernet port has no LID, and the GID of its MAC', async (t) => {
  const subnet = new Subnet(0xfec0_0000_0000_0000n);
  const ethernet = subnet.attach(port(0x0002_c903_00a1_b2c1n, 'ethernet'));
  t.match(ethernet.attributes(), { lid: 0, smLid: 0, linkLayer: LinkLayer.ETHERNET });
  t.equal(Buffer.from(ethernet.gid(0) ?? []).toString('hex'), 'fe800000000000000202c9fffea1b2c1');
  const infiniband = subnet.attach(port(0x0002_c903_00a1_b2c1n, 'infiniband'));
  t.equal(Buffer.from(infiniband.gid(0) ?? []).toString('hex'), 'fec00000000000000002c90300a1b2c1');
  t.equal(infiniband.lid, 2);
});

t.test('a GUID contains the MAC of its port', async (t) => {
  t.equal(macOfGuid(0x0002_c903_00a1_b2c1n), 0x0002_c9a1_b2c1n);
  t.equal(eui64OfMac(0x0002_c9a1_b2c1n), 0x0202_c9ff_fea1_b2c1n);
});
