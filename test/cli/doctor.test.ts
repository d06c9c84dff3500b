import t from 'tap';
import { type Check, examineMachine, kernelAtLeast, type Machine } from '../../tools/verbsim/doctor.js';

const RELEASE = '6.12.9-test';

/** The files of a machine on which everything is in order; a path that ends in / lists a directory. */
const GOOD_FILES: Record<string, string> = {
  '/proc/config.gz': 'CONFIG_FUSE_FS=y\nCONFIG_FUSE_PASSTHROUGH=y\n',
  '/proc/filesystems': 'nodev\tsysfs\n\text4\nnodev\toverlay\n',
  '/proc/sys/kernel/seccomp/actions_avail': 'kill_process trap errno allow\n',
  '/proc/self/status': 'Name:\tnode\nCapEff:\t000001ffffffffff\n',
  '/proc/sys/kernel/yama/ptrace_scope': '1\n',
  '/proc/self/limits': 'Max open files            1024                 524288               files\n',
  '/proc/net/netlink': 'sk Eth Pid\n0000 0   0\n0000 15  0\n',
  '/proc/modules': '',
  [`/lib/modules/${RELEASE}/modules.dep`]: 'kernel/fs/fuse/fuse.ko.xz:\n',
  '/usr/lib/x86_64-linux-gnu/': 'libc.so.6 libibverbs.so.1',
  '/usr/lib/x86_64-linux-gnu/libibverbs/': 'libmlx4-rdmav34.so libmlx5-rdmav34.so',
};

type Changes = Partial<Omit<Machine, 'read' | 'list'>> & { files?: Record<string, string | undefined> };

/** The good machine with some things changed; a file changed to undefined is not there. */
function machine({ files = {}, ...changes }: Changes = {}): Machine {
  const all: Record<string, string | undefined> = { ...GOOD_FILES, ...files };
  return {
    platform: 'linux',
    arch: 'x64',
    release: RELEASE,
    nodeVersion: '22.1.0',
    read: (path) => all[path],
    list: (path) => all[`${path}/`]?.split(' ') ?? [],
    openError: () => undefined,
    run: async (command) => (command === 'dpkg-query' ? 'libibverbs1:amd64\t44.0-2' : undefined),
    ...changes,
  };
}

async function row(name: string, changes: Changes): Promise<Check> {
  const found = (await examineMachine(machine(changes))).find((check) => check.name === name);
  if (found === undefined) throw new Error(`no row is called ${name}`);
  return found;
}

t.test('kernel releases compare by number', async (t) => {
  t.ok(kernelAtLeast('6.9.0', 6, 9));
  t.ok(kernelAtLeast('6.18.44-fc-v669', 6, 9));
  t.ok(kernelAtLeast('7.0', 6, 9));
  t.notOk(kernelAtLeast('6.8.12', 6, 9));
  t.notOk(kernelAtLeast('5.19', 6, 9));
  t.notOk(kernelAtLeast('unknown', 6, 9));
});

t.test('a machine in order', async (t) => {
  const checks = await examineMachine(machine());
  t.same(
    checks.filter((check) => check.state !== 'ok'),
    [],
  );
  t.equal(new Set(checks.map((check) => check.name)).size, checks.length, 'names are unique');
});

const table: [row: string, what: string, state: Check['state'], changes: Changes][] = [
  ['platform', 'another architecture', 'failed', { arch: 'arm64' }],
  ['platform', 'another system', 'failed', { platform: 'darwin' }],
  ['Node.js', 'too old', 'failed', { nodeVersion: '18.20.4' }],
  ['kernel', 'too old', 'failed', { release: '6.8.0-45-generic' }],
  ['FUSE device', 'no driver', 'failed', { openError: () => 'ENOENT' }],
  ['FUSE device', 'an unforeseen error', 'failed', { openError: () => 'EIO' }],
  ['FUSE passthrough', 'configured out', 'failed', { files: { '/proc/config.gz': 'CONFIG_FUSE_FS=y\n' } }],
  ['FUSE passthrough', 'configuration not published', 'ok', { files: { '/proc/config.gz': undefined } }],
  [
    'FUSE passthrough',
    'configuration in /boot',
    'failed',
    {
      files: {
        '/proc/config.gz': undefined,
        [`/boot/config-${RELEASE}`]: '# CONFIG_FUSE_PASSTHROUGH is not set',
      },
    },
  ],
  ['overlay file system', 'absent', 'failed', { files: { '/proc/filesystems': '\text4\n' } }],
  [
    'overlay file system',
    'a module',
    'ok',
    {
      files: {
        '/proc/filesystems': '\text4\n',
        [`/lib/modules/${RELEASE}/modules.dep`]: 'kernel/fs/overlayfs/overlay.ko.zst:\n',
      },
    },
  ],
  ['seccomp', 'absent', 'failed', { files: { '/proc/sys/kernel/seccomp/actions_avail': undefined } }],
  ['capabilities', 'none', 'failed', { files: { '/proc/self/status': 'CapEff:\t0000000000000000\n' } }],
  ['ptrace', 'forbidden to all', 'failed', { files: { '/proc/sys/kernel/yama/ptrace_scope': '3\n' } }],
  [
    'ptrace',
    'restricted, without the capability',
    'failed',
    { files: { '/proc/self/status': 'CapEff:\t0000000000200000\n' } },
  ],
  [
    'ptrace',
    'no Yama, without the capability',
    'warning',
    {
      files: {
        '/proc/self/status': 'CapEff:\t0000000000200000\n',
        '/proc/sys/kernel/yama/ptrace_scope': undefined,
      },
    },
  ],
  [
    'open files',
    'few',
    'warning',
    { files: { '/proc/self/limits': 'Max open files   256   1024   files\n' } },
  ],
  [
    'open files',
    'any number',
    'ok',
    { files: { '/proc/self/limits': 'Max open files  1024  unlimited  files\n' } },
  ],
  ['real RDMA devices', 'a device', 'warning', { files: { '/sys/class/infiniband/': 'mlx5_0' } }],
  ['real RDMA devices', 'only rdma_cm', 'warning', { files: { '/dev/infiniband/': 'rdma_cm' } }],
  ['RDMA netlink', 'answers', 'warning', { files: { '/proc/net/netlink': 'sk Eth Pid\n0000 20  0\n' } }],
  [
    'RDMA netlink',
    'ib_core can be loaded',
    'warning',
    { files: { [`/lib/modules/${RELEASE}/modules.dep`]: 'kernel/drivers/infiniband/core/ib_core.ko.xz:\n' } },
  ],
  [
    'RDMA netlink',
    'ib_core is kept out',
    'ok',
    {
      files: {
        [`/lib/modules/${RELEASE}/modules.dep`]: 'kernel/drivers/infiniband/core/ib_core.ko.xz:\n',
        '/etc/modprobe.d/': 'README verbsim.conf',
        '/etc/modprobe.d/verbsim.conf': '# no RDMA here\ninstall ib_core /bin/false\n',
      },
    },
  ],
  [
    'RDMA netlink',
    'modules out of sight',
    'warning',
    { files: { [`/lib/modules/${RELEASE}/modules.dep`]: undefined } },
  ],
  ['libibverbs', 'not installed', 'warning', { files: { '/usr/lib/x86_64-linux-gnu/': 'libc.so.6' } }],
  ['libibverbs', 'of no package', 'ok', { run: async () => undefined }],
  [
    'mlx4 provider',
    'not installed',
    'warning',
    { files: { '/usr/lib/x86_64-linux-gnu/libibverbs/': 'libmlx5-rdmav34.so' } },
  ],
  ['/dev/char', 'present', 'ok', { files: { '/dev/char/': '1:3 1:5' } }],
];

for (const [name, what, state, changes] of table) {
  t.test(`${name}: ${what}`, async (t) => {
    const check = await row(name, changes);
    t.equal(check.state, state, check.found);
    t.not(check.found, '');
    if (state === 'ok') t.equal(check.advice, undefined);
    else t.match(check.advice, /^\S.* .*\.$/, 'the advice is a sentence');
  });
}

t.test('this machine can be examined', async (t) => {
  const checks = await examineMachine();
  for (const check of checks) {
    t.match(check, { name: /./, state: /^(ok|warning|failed)$/, found: /./ });
    t.equal(check.advice === undefined, check.state === 'ok', `${check.name}: ${check.found}`);
  }
});
