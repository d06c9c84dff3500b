import t, { type Test } from 'tap';
import { execute, requireMounts, runtimeDirectory, VERBSIM } from '../support/daemon.js';

requireMounts();

/** Runs a script in a mount namespace of its own: what it does to /dev is for itself alone. */
async function script(t: Test, text: string) {
  const directory = runtimeDirectory(t);
  // A host with adapters of its own has the directory; the tests want to see it made.
  const prelude =
    'set -e; rmdir /dev/infiniband 2>/dev/null || umount -l /dev/infiniband 2>/dev/null || true\n';
  return execute('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', prelude + text], {
    VERBSIM_RUNTIME_DIR: directory,
    VERBSIM,
  });
}

t.test('every process sees the devices, until the simulator stops', async (t) => {
  const { code, stdout, stderr } = await script(
    t,
    `
    "$VERBSIM" up --system >/dev/null
    ls /dev/infiniband
    "$VERBSIM" down
    test ! -e /dev/infiniband
    test ! -e /run/verbsim-system.json
    `,
  );
  t.equal(code, 0, stderr);
  t.equal(stdout, 'uverbs0\n');
});

t.test('there is only one', async (t) => {
  const { code, stderr } = await script(
    t,
    `
    "$VERBSIM" up --system >/dev/null
    status=0; "$VERBSIM" --runtime-dir "$VERBSIM_RUNTIME_DIR/second" up --system || status=$?
    ls /dev/infiniband
    "$VERBSIM" down
    exit $status
    `,
  );
  t.equal(code, 2);
  t.match(stderr, 'another simulator is in force system-wide');
});

for (const flags of ['', '--system']) {
  t.test(`what a crash has left is undone by the next "up ${flags}"`, async (t) => {
    const { code, stdout, stderr } = await script(
      t,
      `
      "$VERBSIM" up --system >/dev/null
      kill -9 "$(cat "$VERBSIM_RUNTIME_DIR/daemon.pid")"
      while "$VERBSIM" status >/dev/null 2>&1; do :; done
      "$VERBSIM" up ${flags} >/dev/null
      ls /dev/infiniband 2>/dev/null || echo none
      "$VERBSIM" down
      test ! -e /dev/infiniband
      test ! -e /run/verbsim-system.json
      `,
    );
    t.equal(code, 0, stderr);
    t.equal(stdout, flags === '' ? 'none\n' : 'uverbs0\n');
  });
}
