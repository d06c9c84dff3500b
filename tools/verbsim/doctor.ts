/** `verbsim doctor`: whether this machine can run the simulator and its clients, and what to do if it cannot. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';

export interface Check {
  name: string;
  state: 'ok' | 'warning' | 'failed';
  /** What was found, a short phrase. */
  found: string;
  /** What to do about it, one sentence; present unless the state is 'ok'. */
  advice?: string;
}

/** What the checks look at; a test puts another machine in its place. */
export interface Machine {
  platform: string;
  arch: string;
  /** As uname(2) gives it: "6.12.9-amd64". */
  release: string;
  /** Without a leading v: "20.20.2". */
  nodeVersion: string;
  /** Text of a file (a .gz one unpacked), undefined when it cannot be read. */
  read(path: string): string | undefined;
  /** Names in a directory, none when it cannot be read. */
  list(path: string): string[];
  /** Opens for reading and writing: undefined when that works, else the errno's name. */
  openError(path: string): string | undefined;
  /** Standard output of a command, undefined when it cannot be run or fails. */
  run(command: string, args: string[]): Promise<string | undefined>;
}

type Finding = Omit<Check, 'name'>;

const ok = (found: string): Finding => ({ state: 'ok', found });
const warning = (found: string, advice: string): Finding => ({ state: 'warning', found, advice });
const failed = (found: string, advice: string): Finding => ({ state: 'failed', found, advice });

/** FUSE passthrough, by which a client's mapped doorbell page is shared with the daemon, came with 6.9. */
const OLDEST_KERNEL = [6, 9] as const;
const OLDEST_NODE = 20;
/** Each open context takes a handful of descriptors in the daemon. */
const FEWEST_FILES = 4096;
/** linux/netlink.h */
const NETLINK_RDMA = 20;
/** Bits of linux/capability.h. */
const CAPABILITIES = { CAP_SYS_PTRACE: 19n, CAP_SYS_ADMIN: 21n } as const;
type Capability = keyof typeof CAPABILITIES;

const LIBRARY_FOLDERS = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
  '/lib/x86_64-linux-gnu',
  '/lib64',
  '/usr/local/lib/x86_64-linux-gnu',
  '/usr/local/lib64',
  '/usr/local/lib',
];

const MODPROBE_FOLDERS = [
  '/etc/modprobe.d',
  '/run/modprobe.d',
  '/usr/local/lib/modprobe.d',
  '/usr/lib/modprobe.d',
  '/lib/modprobe.d',
];

/** In modprobe.d(5): a line that keeps ib_core from being loaded when a program asks for its netlink family. */
const KEEPS_OUT =
  /^\s*(install\s+ib_core\s+\S*\/(false|true)\b|blacklist\s+ib_core\b|alias\s+net-pf-16-proto-20\s+off\b)/m;

/** Whether a kernel release is `major`.`minor` or later. */
export function kernelAtLeast(kernel: string, major: number, minor: number): boolean {
  const [, foundMajor = '0', foundMinor = '0'] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return Number(foundMajor) > major || (Number(foundMajor) === major && Number(foundMinor) >= minor);
}

const isRecent = (machine: Machine): boolean => kernelAtLeast(machine.release, ...OLDEST_KERNEL);

function missingCapabilities(machine: Machine): Capability[] {
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(machine.read('/proc/self/status') ?? '')?.[1] ?? '0';
  const held = BigInt(`0x${mask}`);
  return (Object.keys(CAPABILITIES) as Capability[]).filter(
    (name) => ((held >> CAPABILITIES[name]) & 1n) === 0n,
  );
}

/** Whether modprobe could load `module` on this kernel (its file names use - and _ alike). */
function isLoadable(machine: Machine, module: string): boolean {
  const dependencies = machine.read(`/lib/modules/${machine.release}/modules.dep`) ?? '';
  return new RegExp(`/${module.replaceAll('_', '[-_]')}\\.ko[^/]*:`).test(dependencies);
}

/** In a container the kernel's modules are not to be seen, and are loaded all the same. */
function hidesItsModules(machine: Machine): boolean {
  const takesModules = machine.read('/proc/modules') !== undefined;
  return takesModules && machine.read(`/lib/modules/${machine.release}/modules.dep`) === undefined;
}

function hasFileSystem(machine: Machine, name: string): boolean {
  const registered = (machine.read('/proc/filesystems') ?? '').split('\n').map((line) => line.split('\t')[1]);
  return registered.includes(name) || isLoadable(machine, name);
}

function platform(machine: Machine): Finding {
  const found = `${machine.platform} ${machine.arch}`;
  if (machine.platform === 'linux' && machine.arch === 'x64') return ok(found);
  return failed(found, 'Run verbsim on Linux on x86-64; it speaks that kernel interface and no other.');
}

function kernel(machine: Machine): Finding {
  if (isRecent(machine)) return ok(machine.release);
  return failed(machine.release, `Boot a kernel of version ${OLDEST_KERNEL.join('.')} or later.`);
}

function fuseDevice(machine: Machine): Finding {
  const error = machine.openError('/dev/fuse');
  if (error === undefined) return ok('/dev/fuse opens');
  const advice = {
    ENOENT: 'Load the driver with "modprobe fuse"; in a container, pass the device in (--device /dev/fuse).',
    ENODEV: 'Load the driver with "modprobe fuse".',
    EACCES: 'Run verbsim as root.',
    EPERM: 'In a container, allow the device (--device /dev/fuse).',
  }[error];
  return failed(`/dev/fuse cannot be opened (${error})`, advice ?? 'Make /dev/fuse accessible to verbsim.');
}

function fusePassthrough(machine: Machine): Finding {
  const sources = [
    '/proc/config.gz',
    `/boot/config-${machine.release}`,
    `/lib/modules/${machine.release}/config`,
  ];
  const config = sources.map((path) => machine.read(path)).find((text) => text !== undefined);
  if (config === undefined && isRecent(machine)) {
    return ok('not known: the kernel does not publish its configuration, and its version has it');
  }
  if (config !== undefined && /^CONFIG_FUSE_PASSTHROUGH=y$/m.test(config))
    return ok('CONFIG_FUSE_PASSTHROUGH=y');
  return failed(
    'the kernel is built without it',
    `Boot a kernel of version ${OLDEST_KERNEL.join('.')} or later with CONFIG_FUSE_PASSTHROUGH=y.`,
  );
}

function overlay(machine: Machine): Finding {
  if (hasFileSystem(machine, 'overlay')) return ok('available');
  return failed(
    'not in /proc/filesystems, and no module',
    'Install the kernel\'s module package and "modprobe overlay"; "verbsim run" needs it for its mount points.',
  );
}

function seccomp(machine: Machine): Finding {
  const actions = (machine.read('/proc/sys/kernel/seccomp/actions_avail') ?? '').split(/\s+/);
  if (actions.includes('errno')) return ok('filters can make a system call fail');
  return failed('no filters', 'Boot a kernel with CONFIG_SECCOMP_FILTER=y; "verbsim run" needs it.');
}

function capabilities(machine: Machine): Finding {
  const missing = missingCapabilities(machine);
  if (missing.length === 0) return ok(Object.keys(CAPABILITIES).join(', '));
  return failed(
    `${missing.join(' and ')} missing`,
    `Run verbsim as root; in a container, add ${missing.map((name) => `--cap-add ${name.slice(4)}`).join(' ')}.`,
  );
}

/** The scopes of Documentation/admin-guide/LSM/Yama.rst. */
function ptrace(machine: Machine): Finding {
  const text = machine.read('/proc/sys/kernel/yama/ptrace_scope');
  const scope = Number(text ?? 0);
  const found = text === undefined ? 'Yama is absent' : `ptrace_scope is ${scope}`;
  if (scope === 3) {
    return failed(
      `${found}: no process may trace another`,
      'Set kernel.yama.ptrace_scope to 2 or less in /etc/sysctl.d and reboot; 3 cannot be undone at run time.',
    );
  }
  if (!missingCapabilities(machine).includes('CAP_SYS_PTRACE')) return ok(found);
  if (scope === 0) {
    return warning(
      found,
      'Give verbsim CAP_SYS_PTRACE; without it only clients of its own user can be served.',
    );
  }
  return failed(found, 'Give verbsim CAP_SYS_PTRACE, or set kernel.yama.ptrace_scope to 0.');
}

function realDevices(machine: Machine): Finding {
  const devices = machine.list('/sys/class/infiniband');
  const nodes = machine.list('/dev/infiniband');
  if (devices.length === 0 && nodes.length === 0) return ok('none, nothing to hide');
  const found = devices.length > 0 ? devices.join(', ') : `/dev/infiniband holds ${nodes.join(', ')}`;
  return warning(
    `${found} on this machine`,
    'Prefer "verbsim run", which hides them from its command only; the system-wide mode hides them from everyone.',
  );
}

/**
 * Whether a client would be answered by the RDMA netlink family instead of looking at sysfs. A family that is
 * there has a socket of the kernel's own in /proc/net/netlink (second column: the protocol).
 */
function netlink(machine: Machine): Finding {
  const families = (machine.read('/proc/net/netlink') ?? '')
    .split('\n')
    .map((line) => line.trim().split(/\s+/)[1]);
  const keepOut =
    '"verbsim run" hides the family from its command; for the system-wide mode keep ib_core out with a file in ' +
    '/etc/modprobe.d that holds "install ib_core /bin/false"';
  if (families.includes(String(NETLINK_RDMA))) {
    return warning('ib_core is loaded, NETLINK_RDMA answers', `${keepOut}, and reboot.`);
  }
  if (isKeptOut(machine)) return ok('ib_core is kept out by modprobe.d');
  if (!isLoadable(machine, 'ib_core') && !hidesItsModules(machine))
    return ok('this kernel has no ib_core to load');
  return warning('ib_core may be loaded when the first client asks', `${keepOut}.`);
}

function isKeptOut(machine: Machine): boolean {
  return MODPROBE_FOLDERS.some((folder) =>
    machine
      .list(folder)
      .filter((name) => name.endsWith('.conf'))
      .some((name) => KEEPS_OUT.test(machine.read(`${folder}/${name}`) ?? '')),
  );
}

async function packageVersion(machine: Machine): Promise<string | undefined> {
  // dpkg-query prints the package's name, a tab and its version.
  const debian = await machine.run('dpkg-query', ['-W', 'libibverbs1']);
  if (debian !== undefined) return debian.split('\t')[1];
  return machine.run('rpm', ['-q', '--qf', '%{VERSION}-%{RELEASE}', 'libibverbs']);
}

async function libibverbs(machine: Machine): Promise<Finding> {
  const folder = LIBRARY_FOLDERS.find((path) => machine.list(path).includes('libibverbs.so.1'));
  if (folder === undefined) {
    return warning(
      'libibverbs.so.1 is not installed',
      'Install libibverbs1 (Debian) or libibverbs (Fedora).',
    );
  }
  const version = await packageVersion(machine);
  return ok(`${folder}/libibverbs.so.1, ${version === undefined ? 'of no package' : `version ${version}`}`);
}

function mlx4Provider(machine: Machine): Finding {
  const provider = LIBRARY_FOLDERS.map((path) => `${path}/libibverbs`)
    .flatMap((folder) => machine.list(folder).map((name) => ({ folder, name })))
    .find(({ name }) => /^libmlx4-rdmav\d+\.so$/.test(name));
  if (provider !== undefined) return ok(`${provider.folder}/${provider.name}`);
  return warning(
    'libibverbs has no mlx4 provider, and would not recognise the devices',
    'Install ibverbs-providers (Debian) or libibverbs with its providers (Fedora).',
  );
}

function charFolder(machine: Machine): Finding {
  return ok(machine.list('/dev/char').length > 0 ? 'present' : 'absent, and not needed');
}

function openFiles(machine: Machine): Finding {
  const hard =
    /^Max open files\s+\S+\s+(\S+)/m.exec(machine.read('/proc/self/limits') ?? '')?.[1] ?? 'unknown';
  const found = `hard limit ${hard}`;
  if (hard === 'unlimited' || Number(hard) >= FEWEST_FILES) return ok(found);
  return warning(
    found,
    `Raise it to ${FEWEST_FILES} or more (LimitNOFILE= in the unit, or "ulimit -Hn"), or few contexts can be open.`,
  );
}

function node(machine: Machine): Finding {
  const major = Number.parseInt(machine.nodeVersion, 10);
  if (major >= OLDEST_NODE) return ok(machine.nodeVersion);
  return failed(machine.nodeVersion, `Install Node.js ${OLDEST_NODE} or later.`);
}

const CHECKS: readonly [name: string, examine: (machine: Machine) => Finding | Promise<Finding>][] = [
  ['platform', platform],
  ['Node.js', node],
  ['kernel', kernel],
  ['FUSE device', fuseDevice],
  ['FUSE passthrough', fusePassthrough],
  ['overlay file system', overlay],
  ['seccomp', seccomp],
  ['capabilities', capabilities],
  ['ptrace', ptrace],
  ['open files', openFiles],
  ['real RDMA devices', realDevices],
  ['RDMA netlink', netlink],
  ['libibverbs', libibverbs],
  ['mlx4 provider', mlx4Provider],
  ['/dev/char', charFolder],
];

/** `read()`, or undefined when the file system refuses. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function openError(path: string): string | undefined {
  try {
    closeSync(openSync(path, 'r+'));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function readText(path: string): string {
  const content = readFileSync(path);
  return (path.endsWith('.gz') ? gunzipSync(content) : content).toString('utf8');
}

const thisMachine: Machine = {
  platform: process.platform,
  arch: process.arch,
  release: release(),
  nodeVersion: process.versions.node,
  read: (path) => attempt(() => readText(path)),
  list: (path) => attempt(() => readdirSync(path)) ?? [],
  openError,
  run: (command, args) =>
    promisify(execFile)(command, args).then(
      ({ stdout }) => stdout.trim(),
      () => undefined,
    ),
};

/**
 * One row for each thing that the simulator or its clients depend on, in a fixed order. Changes nothing on the
 * machine. A row whose state is 'failed' keeps verbsim, or `verbsim run`, from working; a 'warning' does not.
 */
export async function examineMachine(machine: Machine = thisMachine): Promise<Check[]> {
  return Promise.all(CHECKS.map(async ([name, examine]) => ({ name, ...(await examine(machine)) })));
}
