import t from 'tap';
import {
  firmwareVersionText,
  gidText,
  guidText,
  linkLayerText,
  physStateText,
  portStateText,
  rateText,
} from '../../src/sysfs/formats.js';
import { bridgeTo, formatPciAddress, parsePciAddress } from '../../src/sysfs/pci-address.js';
import { cpuList, cpuMask } from '../../src/sysfs/pci-device.js';

t.test('GUIDs and GIDs have all their leading zeros', async (t) => {
  t.equal(guidText(0x0002c90300a1b2c0n), '0002:c903:00a1:b2c0');
  t.equal(guidText(0n), '0000:0000:0000:0000');
  t.equal(guidText(0xffffffffffffffffn), 'ffff:ffff:ffff:ffff');
  const gid = Buffer.from('fe800000000000000002c90300a1b2c1', 'hex');
  t.equal(gidText(gid), 'fe80:0000:0000:0000:0002:c903:00a1:b2c1');
});

t.test('a firmware version has three decimal parts', async (t) => {
  t.equal(firmwareVersionText(0x2_002a_1388n), '2.42.5000');
});

t.test('a rate is the speed of a lane times the lanes', async (t) => {
  t.equal(rateText(1, 1), '2.5 Gb/sec (1X SDR)');
  t.equal(rateText(2, 1), '10 Gb/sec (4X SDR)');
  t.equal(rateText(16, 1), '5 Gb/sec (2X SDR)');
  t.equal(rateText(8, 2), '60 Gb/sec (12X DDR)');
  t.equal(rateText(1, 4), '10 Gb/sec (1X QDR)');
  t.equal(rateText(2, 4), '40 Gb/sec (4X QDR)');
  t.equal(rateText(2, 8), '40 Gb/sec (4X FDR10)');
  t.equal(rateText(2, 16), '56 Gb/sec (4X FDR)');
  t.equal(rateText(4, 32), '200 Gb/sec (8X EDR)');
  t.equal(rateText(2, 0), '10 Gb/sec (4X SDR)', 'an unknown speed counts as SDR');
  t.throws(() => rateText(3, 1), { code: 'EINVAL' }, 'an unknown width cannot be told');
});

t.test('states have a number and a name', async (t) => {
  t.equal(portStateText(1), '1: DOWN');
  t.equal(portStateText(4), '4: ACTIVE');
  t.equal(portStateText(9), '9: UNKNOWN');
  t.equal(physStateText(5), '5: LinkUp');
  t.equal(physStateText(4), '4: PortConfigurationTraining');
  t.equal(physStateText(0), '0: <unknown>');
  t.same([0, 1, 2].map(linkLayerText), ['Unknown', 'InfiniBand', 'Ethernet']);
});

t.test('CPU sets are masks in groups of 32 bits, and ranges', async (t) => {
  t.equal(cpuMask(1), '1');
  t.equal(cpuMask(16), 'ffff');
  t.equal(cpuMask(32), 'ffffffff');
  t.equal(cpuMask(40), 'ff,ffffffff');
  t.equal(cpuMask(96), 'ffffffff,ffffffff,ffffffff');
  t.equal(cpuList(1), '0');
  t.equal(cpuList(16), '0-15');
});

t.test('PCI addresses', async (t) => {
  t.same(parsePciAddress('1000:03:1f.7'), { domain: 0x1000, bus: 3, device: 0x1f, function: 7 });
  t.equal(parsePciAddress('10000:00:00.0').domain, 0x10000, 'a domain can have more than four digits');
  for (const text of [
    '',
    '03:00.0',
    '1000:3:00.0',
    '1000:03:20.0',
    '1000:03:00.8',
    '01000:03:00.0',
    '100A:03:00.0',
  ]) {
    t.throws(() => parsePciAddress(text), { message: /is not a PCI address/ }, `"${text}" is none`);
  }
  const bridge = (text: string) => {
    const address = bridgeTo(parsePciAddress(text));
    return address && formatPciAddress(address);
  };
  t.equal(bridge('1000:03:00.0'), '1000:00:03.0');
  t.equal(bridge('1000:03:01.1'), '1000:00:03.0', 'one bridge leads to a bus');
  t.equal(bridge('1000:00:03.0'), undefined, 'none leads to bus 0');
  const bridges = Array.from({ length: 255 }, (_, i) =>
    bridge(`1000:${(i + 1).toString(16).padStart(2, '0')}:00.0`),
  );
  t.equal(new Set(bridges).size, 255, 'each bus has its own');
  t.doesNotThrow(() => bridges.map((name) => parsePciAddress(name!)));
});
