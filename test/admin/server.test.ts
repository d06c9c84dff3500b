import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { AdminClient } from '../../src/admin/client.js';
import { NoDaemon } from '../../src/admin/no-daemon.js';
import { Refusal } from '../../src/admin/refusal.js';
import { AdminServer } from '../../src/admin/server.js';
import { connectRaw, FakeBackend, readAll, report, socketDirectory, startServer, status } from './fixture.js';

t.test('a client gets what the backend returns', async (t) => {
  const { path, backend } = await startServer(t);
  const client = await AdminClient.connect(path);
  t.teardown(() => client.close());
  t.same(await client.call('status', {}), status);
  t.same(await client.call('device.list', {}), []);
  t.same(await client.call('device.unplug', { device: 'mlx4_0' }), report);
  t.equal(await client.call('device.plug', { device: 'mlx4_0' }), null);
  t.same(backend.plugged, ['mlx4_0']);
});

t.test('a refusal keeps its sentence', async (t) => {
  const { path } = await startServer(t);
  const client = await AdminClient.connect(path);
  t.teardown(() => client.close());
  const refused = client.call('device.unplug', { device: 'mlx4_9' });
  await t.rejects(refused, new Refusal('there is no device mlx4_9: plug one in'));
});

t.test('a bug in the backend is not shown to the client', async (t) => {
  const { path } = await startServer(t);
  const client = await AdminClient.connect(path);
  t.teardown(() => client.close());
  await t.rejects(client.call('device.unplug', { device: 'broken' }), {
    code: -32603,
    message: 'the daemon failed to do it; its log says why',
  });
  t.same(await client.call('status', {}), status, 'and the server goes on');
});

t.test('shutdown is answered before the daemon ends', async (t) => {
  const { path, backend } = await startServer(t);
  const client = await AdminClient.connect(path);
  t.teardown(() => client.close());
  t.equal(await client.call('shutdown', {}), null);
  t.equal(backend.shutdowns, 1);
});

t.test('a server that closes tells those who wait, and removes its socket', async (t) => {
  const path = join(socketDirectory(t), 'admin.sock');
  const backend = new FakeBackend();
  backend.plug = () => new Promise(() => {});
  const server = await AdminServer.start({
    path,
    socketGroup: undefined,
    backend,
    log: pino({ enabled: false }),
  });
  const client = await AdminClient.connect(path);
  t.teardown(() => client.close());
  const waiting = client.call('device.plug', { device: 'mlx4_0' });
  server.close();
  await t.rejects(waiting, { message: /closed the connection/ });
  t.notOk(existsSync(path));
});

t.test('where no daemon listens', async (t) => {
  const folder = socketDirectory(t);
  writeFileSync(join(folder, 'stale.sock'), '');
  await t.rejects(AdminClient.connect(join(folder, 'none.sock')), NoDaemon);
  await t.rejects(AdminClient.connect(join(folder, 'none', 'none.sock')), NoDaemon);
  await t.rejects(AdminClient.connect(join(folder, 'stale.sock')), NoDaemon);
});

t.test('only root may use the socket', async (t) => {
  const { path } = await startServer(t);
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test(
  'a group may use the socket if it is named',
  { skip: process.getuid?.() !== 0 && 'needs root' },
  async (t) => {
    const { path } = await startServer(t, 'daemon');
    t.equal(statSync(path).mode & 0o777, 0o660);
    t.not(statSync(path).gid, 0);
    await t.rejects(startServer(t, 'no-such-group'), {
      message: 'there is no group no-such-group for the admin socket: create it, or name another',
    });
  },
);

t.test('a path that is too long for a socket', async (t) => {
  const path = join(socketDirectory(t), 'x'.repeat(100));
  const log = pino({ enabled: false });
  const start = AdminServer.start({ path, socketGroup: undefined, backend: new FakeBackend(), log });
  await t.rejects(start, new Refusal(`${path} is too long for a socket: choose a shorter --runtime-dir`));
});

t.test('the errors of JSON-RPC 2.0', async (t) => {
  const { path } = await startServer(t);
  const table: [what: string, line: string, id: unknown, code: number][] = [
    ['not JSON', '{"jsonrpc":', null, -32700],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"explode"}', 1, -32601],
    ["an object's own method", '{"jsonrpc":"2.0","id":1,"method":"constructor"}', 1, -32601],
    ['missing params', '{"jsonrpc":"2.0","id":2,"method":"device.plug"}', 2, -32602],
    [
      'params of the wrong type',
      '{"jsonrpc":"2.0","id":3,"method":"device.plug","params":{"device":7}}',
      3,
      -32602,
    ],
    ['unknown params', '{"jsonrpc":"2.0","id":4,"method":"status","params":{"x":1}}', 4, -32602],
    ['params in a list', '{"jsonrpc":"2.0","id":5,"method":"status","params":[1]}', 5, -32602],
    ['another version', '{"jsonrpc":"1.0","id":6,"method":"status"}', 6, -32600],
    ['a number', '7', null, -32600],
    ['a list of nothing', '[null]', null, -32600],
  ];
  for (const [what, line, id, code] of table) {
    const socket = await connectRaw(t, path);
    socket.end(`${line}\n`);
    t.match(JSON.parse(await readAll(socket)), { jsonrpc: '2.0', id, error: { code } }, what);
  }
});

t.test('requests in one write are answered in order, notifications not at all', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  const request = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"status"}\n`;
  socket.end(`${request(1)}\n{"jsonrpc":"2.0","method":"status"}\r\n${request(2)}`);
  const ids = (await readAll(socket))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).id);
  t.same(ids, [1, 2]);
});

t.test('a request in many pieces', async (t) => {
  const { path } = await startServer(t);
  const socket = await connectRaw(t, path);
  for (const byte of Buffer.from('{"jsonrpc":"2.0","id":"ä","method":"status"}\n')) {
    socket.write(Buffer.of(byte));
    await new Promise(setImmediate);
  }
  const [answer] = await once(socket, 'data');
  t.match(JSON.parse(answer), { id: 'ä', result: status });
});
