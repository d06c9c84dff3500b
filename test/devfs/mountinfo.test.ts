import t from 'tap';
import { isMounted, parseMountinfo, readMounts } from '../../devfs/index.js';

t.test('a line of mountinfo', async (t) => {
  const line = '36 35 98:0 /mnt1 /mnt/a\\040b\\134c rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw';
  t.same(parseMountinfo(`${line}\n`), [
    { id: 36, device: '98:0', mountpoint: '/mnt/a b\\c', options: ['rw', 'noatime'], type: 'ext3' },
  ]);
});

t.test('a line without optional fields', async (t) => {
  t.match(parseMountinfo('22 28 0:21 / /sys rw - sysfs sysfs rw\n'), [{ mountpoint: '/sys', type: 'sysfs' }]);
});

t.test('the mounts of this process, and of a thread', async (t) => {
  // Others are mounted and unmounted meanwhile.
  const ofProc = (tid?: number) => readMounts(tid).find(({ mountpoint }) => mountpoint === '/proc');
  t.match(ofProc(), { type: 'proc', options: Array });
  t.same(ofProc(process.pid), ofProc());
  t.ok(isMounted('/proc'));
  t.notOk(isMounted('/proc/self'));
});

t.test('a thread that is gone', async (t) => {
  t.throws(() => readMounts(0x7fff_ffff), { code: 'ENOENT' });
});
