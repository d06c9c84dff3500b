/**
 * The mount namespace of `verbsim run`, over a fake FUSE tree of plain files: what its command sees, and that
 * the host sees nothing of it. Each command runs in a process of its own, which exec replaces.
 */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { findGrafts, planSkeletons } from '../../tools/verbsim/namespace.js';

const RUN_MODULE = new URL('../../tools/verbsim/run.js', import.meta.url).href;
const NAMESPACE_MODULE = new URL('../../tools/verbsim/namespace.js', import.meta.url).href;
const NATIVE_MODULE = new URL('../../devfs/native.js', import.meta.url).href;

const NODE = 'sys/devices/pci1000:00/1000:00:00.0/infiniband/mlx4_0';

if (process.getuid?.() !== 0) {
  t.fail('these tests make mount namespaces: run them as root');
  process.exit(1);
}

/** A path that ends in / is a directory, content that begins with -> a symlink. */
function write(path: string, content: string): void {
  mkdirSync(path.endsWith('/') ? path : dirname(path), { recursive: true });
  if (path.endsWith('/')) return;
  if (content.startsWith('->')) symlinkSync(content.slice(2), path);
  else writeFileSync(path, content);
}

function temporaryTree(t: Test, files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'verbsim-tree-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) write(join(root, path), content);
  return root;
}

const fakeTree = (t: Test): string =>
  temporaryTree(t, {
    'dev/infiniband/uverbs0': '',
    [`${NODE}/node_desc`]: 'fake mlx4_0\n',
    'sys/devices/virtual/misc/rdma_cm/dev': '10:58\n',
    'sys/class/infiniband/mlx4_0': `->../../${NODE.slice(4)}`,
    'sys/class/infiniband_verbs/abi_version': '6\n',
    'sys/class/misc/rdma_cm': '->../../devices/virtual/misc/rdma_cm',
  });

interface Ran {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

interface Circumstances {
  /** JavaScript to execute in the process first. */
  before?: string;
  /** A command that starts the process. */
  wrapper?: string[];
  stdin?: number;
}

/** Runs `command` as `verbsim run` does. */
function run(tree: string, command: string[], { before = '', wrapper = [], stdin }: Circumstances = {}): Ran {
  const script = `
    ${before};
    const { execInNamespace } = await import(${JSON.stringify(RUN_MODULE)});
    execInNamespace(${JSON.stringify(tree)}, ${JSON.stringify(command)}, { ...process.env, MARK: 'passed on' });`;
  const [file = '', ...args] = [...wrapper, process.execPath, '--input-type=module', '-e', script];
  return spawnSync(file, args, { encoding: 'utf8', stdio: [stdin ?? 'ignore', 'pipe', 'pipe'] });
}

const shell = (tree: string, script: string): string => {
  const { status, stdout, stderr } = run(tree, ['sh', '-c', script]);
  if (status !== 0) throw new Error(`"${script}" ended with ${status}: ${stderr}`);
  return stdout.trim();
};

t.test('the simulated devices are where programs look for them', async (t) => {
  const tree = fakeTree(t);
  t.equal(shell(tree, 'ls /dev/infiniband'), 'uverbs0');
  t.equal(shell(tree, 'ls /sys/class/infiniband'), 'mlx4_0');
  t.equal(shell(tree, 'cat /sys/class/infiniband/mlx4_0/node_desc'), 'fake mlx4_0', 'symlinks resolve');
  t.equal(shell(tree, 'cat /sys/class/infiniband_verbs/abi_version'), '6');
  t.equal(shell(tree, 'cat /sys/class/misc/rdma_cm/dev'), '10:58');
  t.equal(shell(tree, 'readlink -f /sys/class/infiniband/mlx4_0'), `/${NODE}`);
});

t.test("the host's own devices stay", async (t) => {
  const tree = fakeTree(t);
  t.equal(shell(tree, 'cat /sys/class/net/lo/address'), '00:00:00:00:00:00');
  t.equal(
    shell(tree, 'cat /sys/devices/system/cpu/online'),
    readFileSync('/sys/devices/system/cpu/online', 'utf8').trim(),
  );
  t.equal(shell(tree, 'cat /sys/class/misc/fuse/dev'), '10:229', 'also beside a graft');
  for (const folder of [
    '/sys/devices',
    '/sys/class',
    '/sys/class/misc',
    '/sys/devices/virtual/misc',
    '/dev',
  ]) {
    // What comes or goes meanwhile is not meant.
    const before = readdirSync(folder);
    const seen = shell(tree, `ls -A ${folder}`).split('\n');
    const after = readdirSync(folder);
    const lost = before.filter((name) => after.includes(name) && !seen.includes(name));
    t.same(lost, [], `nothing is missing from ${folder}`);
  }
  for (const folder of ['/dev', '/sys/class', '/sys/devices']) {
    t.equal(
      shell(tree, `stat -c %a ${folder}`),
      (lstatSync(folder).mode & 0o7777).toString(8),
      `mode of ${folder}`,
    );
  }
});

t.test('device nodes, terminals and /dev itself work', async (t) => {
  const tree = fakeTree(t);
  t.equal(shell(tree, 'echo lost > /dev/null && head -c 2 /dev/zero | wc -c'), '2');
  t.match(shell(tree, 'script -qc "tty; echo seen > /dev/tty" /dev/null'), /^\/dev\/pts\/\d+\s+seen$/);
  t.equal(shell(tree, 'touch /dev/verbsim-test && ls /dev/verbsim-test'), '/dev/verbsim-test');
  t.notOk(existsSync('/dev/verbsim-test'), 'what the command creates in /dev stays with it');
  t.equal(shell(tree, 'f=$(mktemp /dev/shm/XXXXXX) && rm "$f" && echo writable'), 'writable');
});

t.test('a terminal that is a device node of /dev keeps its name', async (t) => {
  const path = '/dev/tty63';
  if (!existsSync(path)) return t.comment(`skipped: this machine has no ${path}`);
  const terminal = openSync(path, constants.O_RDWR | constants.O_NOCTTY);
  t.teardown(() => closeSync(terminal));
  t.equal(run(fakeTree(t), ['tty'], { stdin: terminal }).stdout.trim(), path);
});

t.test('the content is live', async (t) => {
  const tree = fakeTree(t);
  const plug = `mkdir -p ${tree}/sys/devices/pci1000:00/x; echo 1 > ${tree}/dev/infiniband/uverbs1`;
  t.equal(
    shell(tree, `${plug}; ls /dev/infiniband; ls -d /sys/devices/pci1000:00/x`),
    'uverbs0\nuverbs1\n/sys/devices/pci1000:00/x',
  );
  t.equal(shell(tree, `rm ${tree}/dev/infiniband/uverbs0; ls /dev/infiniband`), 'uverbs1');
});

t.test('nothing of it is seen or left on the host', async (t) => {
  const tree = fakeTree(t);
  const temporary = `${tree}/tmp`;
  mkdirSync(temporary);
  // Other tests mount on the real host meanwhile, and one makes /dev/infiniband there. This one has mounts of its own,
  // which pass on what is mounted below; some of them may go with what another test removes.
  const script = `
    mount --make-rshared /
    look() {
      cat /proc/self/mountinfo
      ls -A /dev | grep -vx infiniband
      ls -A /sys/class /sys/devices /sys/kernel ${temporary}
    }
    look | sort > ${tree}/before
    TMPDIR=${temporary} "$@" || exit
    look | sort | comm -13 ${tree}/before - >&2`;
  const { status, stdout, stderr } = run(tree, ['sh', '-c', 'ls /dev/infiniband; mount -t tmpfs none /mnt'], {
    wrapper: ['unshare', '-m', '--propagation', 'private', 'sh', '-c', script, 'sh'],
  });
  t.same({ status, stdout, stderr }, { status: 0, stdout: 'uverbs0\n', stderr: '' });
});

t.test('the command is started as if by exec', async (t) => {
  const tree = fakeTree(t);
  t.equal(shell(tree, 'echo $MARK'), 'passed on');
  t.equal(run(tree, ['sh', '-c', 'exit 3']).status, 3);
  t.equal(run(tree, ['sh', '-c', 'kill -PIPE $$; sleep 1']).signal, 'SIGPIPE', 'no signal is ignored');
  t.equal(shell(tree, 'grep SigBlk /proc/self/status').split('\t')[1], '0000000000000000');
  t.equal(shell(tree, 'grep NoNewPrivs /proc/self/status').split('\t')[1], '0', 'set-user-ID programs work');
  t.equal(run(tree, ['pwd'], { before: 'process.chdir("/sys/class")' }).stdout.trim(), '/sys/class');
  t.equal(
    run(tree, ['ls', 'infiniband'], { before: 'process.chdir("/sys/class")' }).stdout.trim(),
    'mlx4_0',
    'the directory is the new one',
  );
});

t.test('the RDMA netlink family is hidden, other families are not', async (t) => {
  const tree = fakeTree(t);
  t.match(shell(tree, 'grep ^Seccomp: /proc/self/status'), /\b2$/);
  if (spawnSync('python3', ['-V']).status !== 0)
    return t.comment('skipped: opening a netlink socket needs python3');
  const open = (protocol: number) =>
    run(tree, [
      'python3',
      '-c',
      `import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ${protocol})`,
    ]);
  t.equal(open(0).status, 0);
  t.match(open(20).stderr, /Errno 93/, 'EPROTONOSUPPORT');
});

t.test('a command that cannot be started', async (t) => {
  const tree = fakeTree(t);
  const missing = run(tree, ['no-such-command']);
  t.equal(missing.status, 127);
  t.match(
    missing.stderr,
    /^verbsim: cannot run no-such-command: no such file or directory \(ENOENT\); .+\n$/,
  );
  const folder = run(tree, ['/tmp']);
  t.equal(folder.status, 126);
  t.match(folder.stderr, /^verbsim: cannot run \/tmp: permission denied \(EACCES\); .+\n$/);
});

t.test('failures say what to do', async (t) => {
  const tree = fakeTree(t);
  t.match(run(tree, []).stderr, /there is no command to run: name it/);
  t.match(run(join(tree, 'nowhere'), ['true']).stderr, /the simulator is not mounted there; start it/);
  t.match(
    run(tree, ['true'], { before: 'process.setuid(65534)' }).stderr,
    /namespace of its own cannot be made .*\(EPERM\); run verbsim as root/,
  );
  const refusing = `
    const { native } = await import(${JSON.stringify(NATIVE_MODULE)});
    const { enterNamespace } = await import(${JSON.stringify(NAMESPACE_MODULE)});
    const mount = (source, target, type, ...rest) => type === 'overlay' ? -19 : native.mount(source, target, type, ...rest);
    enterNamespace({ mountpoint: ${JSON.stringify(tree)}, native: { ...native, mount } });`;
  t.match(
    run(tree, ['true'], { before: refusing }).stderr,
    /an overlay cannot be mounted on \/\S+: .*\(ENODEV\); .*modprobe overlay/,
  );
});

t.test(
  'an unusual host: mounts inside the covered directories, and directories that exist already',
  async (t) => {
    const tree = fakeTree(t);
    const dev = join(tree, 'host-dev');
    const prepare = `
    set -e
    mkdir -p ${dev} && mount -t tmpfs -o nosuid,noexec host ${dev} && cd ${dev}
    cp -a /dev/null /dev/tty /dev/zero . && mkdir pts shm infiniband && touch infiniband/real console
    mount --bind /dev/zero console
    mount -t tmpfs shm shm && mkdir 'shm/x y' && mount -t tmpfs inner 'shm/x y' && touch 'shm/x y/inside'
    mount --rbind ${dev} /dev
    mount -t tmpfs mask /sys/devices/virtual && mkdir -p /sys/devices/virtual/misc/own`;
    const wrapper = ['unshare', '-m', 'sh', '-c', `${prepare}\nexec "$@"`, 'sh'];
    const seen = (script: string) => {
      const { stdout, stderr } = run(tree, ['sh', '-c', script], { wrapper });
      t.equal(stderr, '');
      return stdout.trim();
    };
    t.equal(seen('ls /dev/infiniband'), 'uverbs0', 'the directory that exists is hidden');
    t.equal(seen("ls '/dev/shm/x y'"), 'inside', 'a mount in a mount, with a space in its path');
    t.equal(seen('stat -c %t:%T /dev/console'), '1:5', 'a mount on a file');
    t.equal(seen('ls /sys/devices/virtual/misc; cat /sys/class/misc/rdma_cm/dev'), 'own\nrdma_cm\n10:58');
  },
);

t.test('what has to be grafted', async (t) => {
  const host = temporaryTree(t, { 'devices/virtual/misc/fuse/': '', 'class/misc/': '' });
  const source = temporaryTree(t, {
    'devices/virtual/misc/rdma_cm/dev': '',
    'devices/pci1000:00/vendor': '',
    'class/misc/rdma_cm': '->../x',
    'class/misc/uevent': '',
    'class/infiniband/': '',
  });
  const grafts = findGrafts(source, host).sort((a, b) => (a.path < b.path ? -1 : 1));
  t.same(grafts, [
    { path: join(host, 'class/infiniband') },
    { path: join(host, 'class/misc/rdma_cm'), target: '../x' },
    { path: join(host, 'devices/pci1000:00') },
    { path: join(host, 'devices/virtual/misc/rdma_cm') },
  ]);

  const paths = (mountPoints: string[]) =>
    planSkeletons(grafts, mountPoints).map(({ path, missing }) => [path.slice(host.length), missing.length]);
  t.same(paths([]), [
    ['/class', 2],
    ['/devices', 2],
  ]);
  t.same(
    paths([join(host, 'devices/virtual')]),
    [
      ['/class', 2],
      ['/devices', 1],
      ['/devices/virtual/misc', 1],
    ],
    'a mount in between needs an overlay of its own',
  );
});
