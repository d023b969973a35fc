/* TLS with a certificate of the test's own: pages, API and WebSocket over one port.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { assertCursor, assertSummary } from './lib/http.mjs';
import { backEnds, freePort, Process, run, TOKEN, until } from './lib/server.mjs';

for (const { io, skip } of await backEnds()) {
  describe(`TLS on ${io}`, { skip }, () => {
    let dir;
    let ca;
    let port;
    let server;
    const ask = (path, { method = 'GET', headers = {}, body, agent } = {}) => new Promise((done, fail) => {
      const r = https.request({ host: '127.0.0.1', servername: 'localhost', port, path, method, headers, ca,
        agent: agent ?? false }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers,
          bytes: Buffer.concat(parts), socket: r.socket }));
      });
      r.on('error', fail);
      r.end(body);
    });
    const publish = (list) => ask('/api/v1/publish', { method: 'POST', body: JSON.stringify(list),
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' } })
      .then((a) => { assert.equal(a.status, 200, a.bytes.toString()); return JSON.parse(a.bytes); });
    const connect = (options = {}) =>
      Client.connect(`wss://127.0.0.1:${port}/ws`, { ca, servername: 'localhost', ...options });

    before(async () => {
      dir = await mkdtemp(join(tmpdir(), 'coincast-tls-'));
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
        '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')], { stdio: 'ignore' });
      ca = await readFile(join(dir, 'cert.pem'));
      port = await freePort();
      server = new Process(['serve', '--source', 'none', '--shards', '2'], { cwd: dir, env: {
        COINCAST_LISTEN: `127.0.0.1:${port}`, COINCAST_API_TOKEN: TOKEN, COINCAST_IO: io,
        COINCAST_TLS_CERT: join(dir, 'cert.pem'), COINCAST_TLS_KEY: join(dir, 'key.pem') } });
      await until(() => {
        if (server.ended) throw new Error(server.log);
        return ask('/healthz').then((a) => a.status === 200, () => false);
      }, 'https answers', 15_000);
    });
    after(async () => {
      await server?.stop();
      await rm(dir, { recursive: true, force: true });
    });

    test('https: API and page, TLS 1.3', async () => {
      const s = await ask('/api/crypto/dashboard-summary');
      assert.equal(s.status, 200);
      assertSummary(JSON.parse(s.bytes));
      const front = await ask('/');
      const page = front.status === 302 ? await ask(front.headers.location) : front;
      assert.equal(page.status, 200);
      assert.match(page.headers['content-type'], /text\/html/);
      await new Promise((done, fail) => {
        const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: 'localhost' }, () => {
          assert.equal(socket.getProtocol(), 'TLSv1.3');
          socket.end();
          done();
        });
        socket.on('error', fail);
      });
    });

    test('TLS 1.2 is spoken, 1.1 is not', async () => {
      const versions = async (maxVersion, minVersion = 'TLSv1') => new Promise((done) => {
        const socket = tls.connect({ host: '127.0.0.1', port, ca, servername: 'localhost', minVersion, maxVersion,
          ciphers: 'DEFAULT@SECLEVEL=0' }, () => { done(socket.getProtocol()); socket.end(); });
        socket.on('error', (error) => done(error.code ?? 'error'));
      });
      assert.equal(await versions('TLSv1.2'), 'TLSv1.2');
      assert.notEqual(await versions('TLSv1.1'), 'TLSv1.1');
    });

    test('keep-alive: many requests on one connection', async () => {
      const agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
      const ports = new Set();
      for (let i = 0; i < 20; i += 1) {
        const a = await ask('/api/health', { agent });
        assert.equal(a.status, 200);
        ports.add(a.socket.localPort);
      }
      agent.destroy();
      assert.equal(ports.size, 1);
    });

    for (const deflate of [false, true]) {
      test(`wss ${deflate ? 'deflated' : 'plain'}: welcome, publish, ping, close`, async () => {
        const clients = await Promise.all(Array.from({ length: 10 },
          () => connect({ perMessageDeflate: deflate })));
        for (const c of clients) {
          assertSummary((await c.next('welcome')).data);
          await c.subscribe('app:tls');
        }
        const data = { text: 'ü'.repeat(400), n: 0.1 };
        const { cursor } = await publish(Array.from({ length: 50 }, (_, i) => ({ channel: 'app:tls', data: { ...data, i } })));
        assertCursor(cursor);
        for (const c of clients) {
          const got = await c.take('message', 50);
          assert.deepEqual(got.map((m) => m.data.i), Array.from({ length: 50 }, (_, i) => i));
          assert.equal(got[7].data.text, data.text);
          c.send({ type: 'ping', timestamp: 't' });
          assert.equal((await c.next('pong')).echo, 't');
          await c.close();
          assert.equal(c.ended.code, 1000);
        }
      });
    }

    test('a large message passes whole: 200 kB over many records', async () => {
      const c = await connect();
      await c.subscribe('app:tls-large');
      const text = 'x'.repeat(200_000);
      await publish({ channel: 'app:tls-large', data: text });
      assert.equal((await c.next('message')).data, text);
      await c.close();
    });

    test('a publish of a megabyte arrives', async () => {
      const a = await publish(Array.from({ length: 5000 }, (_, i) => ({ channel: 'app:tls-many', data: 'y'.repeat(200) + i })));
      assert.equal(a.accepted, 5000);
    });

    test('plain HTTP, nonsense and half a handshake do not disturb it', async () => {
      for (const bytes of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', Buffer.alloc(300, 0xff), Buffer.from([22, 3, 1, 2, 0, 1])]) {
        await new Promise((done) => {
          const socket = net.connect(port, '127.0.0.1', () => { socket.write(bytes); socket.end(); });
          socket.on('error', done);
          socket.on('close', done);
          socket.resume();
          socket.setTimeout(3000, () => socket.destroy());
        });
      }
      assert.equal((await ask('/healthz')).status, 200);
    });

    test('a client that does not trust the certificate is told nothing', async () => {
      await assert.rejects(Client.connect(`wss://127.0.0.1:${port}/ws`, { servername: 'localhost' }), /self.signed|certificate/);
      assert.equal((await ask('/healthz')).status, 200);
    });

    test('one of the two alone ends a start with 2, files that are wrong with 1, each says why', async () => {
      const wrong = [
        [{ COINCAST_TLS_CERT: join(dir, 'cert.pem') }, /COINCAST_TLS_KEY/, 2],
        [{ COINCAST_TLS_CERT: join(dir, 'none.pem'), COINCAST_TLS_KEY: join(dir, 'key.pem') }, /none\.pem.*No such file/],
        [{ COINCAST_TLS_CERT: join(dir, 'cert.pem'), COINCAST_TLS_KEY: join(dir, 'cert.pem') }, /cert\.pem/],
      ];
      for (const [env, hint, status = 1] of wrong) {
        const { code, stderr } = await run(['serve', '--source', 'none'],
          { env: { COINCAST_LISTEN: `127.0.0.1:${await freePort()}`, COINCAST_IO: io, ...env } });
        assert.equal(code, status, stderr);
        assert.match(stderr, hint);
      }
    });
  });
}
