/**
 * Makes a fresh checkout on a fresh machine ready: npm packages, the addon, the compiled TypeScript, and the Debian
 * packages that tests and demonstrations use. What is there already is left alone. Needs nothing but Node and npm.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * The RDMA programs that serve as clients, what building the addon and C clients against the kernel's headers takes, and
 * the tracers that must not harm a client.
 */
export const CLIENTS = [
  'binutils',
  'g++',
  'gcc',
  'gdb',
  'ibverbs-providers',
  'ibverbs-utils',
  'infiniband-diags',
  'libibverbs-dev',
  'librdmacm-dev',
  'linux-libc-dev',
  'make',
  'perftest',
  'python3',
  'python3-pyverbs',
  'rdma-core',
  'rdmacm-utils',
  'strace',
];

const COMPILER_ADVICE = 'see whether g++, make and python3 are installed';

/** The message is a sentence for whoever ran the script; the failed program has said more. */
export class SetupError extends Error {}

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Node's own headers, when they are installed beside it: node-gyp need not download them then. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? { npm_config_nodedir: prefix } : {};
}

/** Runs a program to its end with the script's own standard streams. */
export function run(command, args, { env = {}, advice = 'see above' } = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === 0) return;
  throw new SetupError(`"${[command, ...args].join(' ')}" ${error ? 'cannot be run' : 'failed'}: ${advice}`);
}

function installModules() {
  const installed = modified(join(root, 'node_modules', '.package-lock.json'));
  if (installed >= modified(join(root, 'package-lock.json'))) return;
  run('npm', ['ci', '--no-audit', '--no-fund'], {
    env: headers(),
    advice: 'see whether the registry is within reach',
  });
}

/** npm may have been told not to run the packages' own install scripts. */
function buildTerminal() {
  if (existsSync(join(root, 'node_modules', 'node-pty', 'build', 'Release', 'pty.node'))) return;
  run('npm', ['rebuild', '--foreground-scripts', 'node-pty'], { env: headers(), advice: COMPILER_ADVICE });
}

function buildAddon() {
  const folder = join(root, 'devfs', 'native');
  const sources = [join(root, 'binding.gyp'), ...readdirSync(folder).map((name) => join(folder, name))];
  const built = modified(join(root, 'build', 'Release', 'devfs.node'));
  if (sources.every((source) => modified(source) <= built)) return;
  run('npm', ['run', '--silent', 'build:native'], {
    env: headers(),
    advice: COMPILER_ADVICE,
  });
}

function compile() {
  run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
}

function isInstalled(name) {
  try {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is dpkg-query's own notation
    const status = execFileSync('dpkg-query', ['-W', '-f=${db:Status-Status}', name], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return status === 'installed';
  } catch {
    return false;
  }
}

const isDebian = () => spawnSync('dpkg-query', ['--version'], { stdio: 'ignore' }).status === 0;

/** Not having a package is no reason to stop: most of what is to be run does without it. */
function installPackages(packages) {
  if (packages.length === 0) return;
  if (!isDebian()) {
    console.error(
      `this is not a Debian system: install what the packages ${packages.join(', ')} are called on yours`,
    );
    return;
  }
  const missing = packages.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    console.error(`some clients are missing: run "apt-get install ${missing.join(' ')}" as root`);
    return;
  }
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const install = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], { env });
  try {
    // The lists of packages are missing or out of date on most fresh machines, but not on all.
    try {
      install();
    } catch {
      run('apt-get', ['update'], { env });
      install();
    }
  } catch (error) {
    console.error(error.message);
  }
}

/** Throws a SetupError. `packages`: names of Debian packages. */
export function prepare({ packages = [] } = {}) {
  installPackages(packages);
  installModules();
  buildTerminal();
  buildAddon();
  compile();
}

/** Runs a script's main function; what went wrong becomes a line on standard error. */
export async function main(script) {
  try {
    process.exitCode = await script();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
