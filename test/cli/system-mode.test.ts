import t from 'tap';
import { requireMounts } from '../support/daemon.js';
import { isolated } from '../support/isolated.js';

requireMounts();

t.test('every process sees the devices, until the simulator stops', async (t) => {
  const { code, stdout, stderr } = await isolated(
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
  const { code, stderr } = await isolated(
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
    const { code, stdout, stderr } = await isolated(
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
