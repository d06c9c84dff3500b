import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { connectRaw, readAll, startServer, status } from './fixture.js';

/** Another client is served as if nothing had happened. */
async function goesOn(path: string): Promise<boolean> {
  const client = await AdminClient.connect(path);
  try {
    return (await client.call('status', {})).version === status.version;
  } finally {
    client.close();
  }
}

t.test('a line without an end is cut off at a mebibyte', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  const closed = readAll(socket);
  const piece = Buffer.alloc(64 * 1024, 'x');
  for (let sent = 0; sent < 4 * 2 ** 20 && !socket.destroyed; sent += piece.length) {
    socket.write(piece);
    await setTimeout(1);
  }
  t.equal(await closed, '');
  t.ok(await goesOn(path));
});

t.test('a line of just under a mebibyte is read', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  const start = '{"jsonrpc":"2.0","id":1,"method":"device.plug","params":{"device":"';
  socket.end(`${start}${'x'.repeat(2 ** 20 - start.length - 3)}"}}\n`);
  t.match(JSON.parse(await readAll(socket)), { id: 1, result: null });
});

t.test('a client that goes away in the middle of a line', async (t) => {
  const { path, backend } = await startServer(t);
  for (const end of ['end', 'destroy'] as const) {
    const socket = await connectRaw(t, path);
    socket.write('{"jsonrpc":"2.0","id":1,"method":"device.plug","params":{"device":"x"}}');
    socket[end]();
    t.ok(await goesOn(path), end);
  }
  t.same(backend.plugged, [], 'what it did not end is not done');
});

t.test('a client that does not read its answers', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  socket.pause();
  const requests = '{"jsonrpc":"2.0","id":1,"method":"status"}\n'.repeat(20_000);
  for (let i = 0; i < 5; i++) socket.write(requests);
  await setTimeout(200);
  t.ok(socket.writableLength > 0, 'it is not read from any more');
  t.ok(await goesOn(path));
});

t.test('more clients than can be served', async (t) => {
  const { path } = await startServer(t);
  const sockets = await Promise.all(Array.from({ length: 200 }, () => connectRaw(t, path)));
  for (const socket of sockets) socket.destroy();
  await setTimeout(50);
  t.ok(await goesOn(path));
});

t.test('garbage', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  socket.end(Buffer.concat([randomBytes(200_000), Buffer.from('\n')]));
  await readAll(socket);
  t.ok(await goesOn(path));
});

t.test('any JSON value is answered by an error or not at all', async (t) => {
  const { path, backend } = await startServer(t);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.jsonValue(), { maxLength: 5 }), async (values) => {
      const socket = await connectRaw(t, path);
      socket.end(values.map((value) => `${JSON.stringify(value)}\n`).join(''));
      const answers = (await readAll(socket)).split('\n').filter((line) => line !== '');
      for (const answer of answers.flatMap((line) => JSON.parse(line))) {
        if (typeof answer.error?.code !== 'number') throw new Error(`answered ${JSON.stringify(answer)}`);
      }
    }),
    { numRuns: 200 },
  );
  t.equal(backend.shutdowns, 0);
  t.ok(await goesOn(path));
});
