/* /ws on the wire: what a client gets unasked, what it may say, and how it is told that it erred.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { assertCursor, assertData, assertSummary, request, TIME } from './lib/http.mjs';
import { backEnds, startServer } from './lib/server.mjs';

const assertError = (m, code) => {
  assert.equal(m.type, 'error', m.text);
  assert.equal(m.code, code);
  assert.ok(m.error.length > 10, `a sentence for people: ${m.error}`);
  assert.match(m.timestamp, TIME);
  assert.ok(m.retry_after === null || m.retry_after >= 0);
};

for (const { io, skip } of await backEnds()) {
  describe(`/ws on ${io}`, { skip }, () => {
    let server;
    before(async () => {
      server = await startServer({ io });
    });
    after(() => server?.stop());

    const withClient = (name, body, options) => test(name, async () => {
      const client = await Client.connect(server.ws, options);
      try {
        await body(client);
      } finally {
        client.socket.terminate();
      }
    });

    withClient('welcome comes at once, with nulls where nothing is known', async (c) => {
      const m = await c.next('welcome');
      assertData(m);
      assertCursor(m.cursor);
      assert.equal(typeof m.message, 'string');
      assertSummary(m.data);
      assert.equal(m.data.btc_price, null);
      assert.equal(m.data.stale.length, 6);
    });

    withClient('ping is echoed with its own timestamp, whatever that is', async (c) => {
      for (const timestamp of ['2026-11-21T10:00:00.000Z', 1763719200123, null, { a: [1] }]) {
        c.send({ type: 'ping', timestamp });
        const m = await c.next('pong');
        assert.deepEqual(m.echo, timestamp);
        assert.match(m.timestamp, TIME);
      }
    });

    withClient('request_update is answered by a forced dashboard_update', async (c) => {
      await c.next('welcome');
      c.send({ type: 'request_update', timestamp: new Date().toISOString() });
      const m = await c.next((x) => x.type === 'dashboard_update' && x.source === 'force_update'); /* one may be due by itself */
      assertData(m);
      assertSummary(m.data);
    });

    withClient('the standard channels can be left and joined again', async (c) => {
      for (const channel of ['dashboard_update', 'btc_price_update']) {
        c.send({ type: 'unsubscribe', id: 7, channel });
        const m = await c.next('unsubscribed');
        assert.equal(m.channel, channel);
        assert.equal(m.id, 7);
        const again = await c.subscribe(channel, { max_hz: 2 }, `again ${channel}`);
        assert.equal(again.type, 'subscribed', again.text);
        assert.equal(again.params.max_hz, 2);
        assertCursor(again.cursor);
        assert.equal(typeof again.recovered, 'boolean');
        assert.equal(typeof again.reset, 'boolean');
      }
    });

    withClient('leaving twice is an error, and the connection stays', async (c) => {
      c.send({ type: 'unsubscribe', id: 'a', channel: 'btc_price_update' });
      await c.next('unsubscribed');
      c.send({ type: 'unsubscribe', id: 'b', channel: 'btc_price_update' });
      const m = await c.next('error');
      assertError(m, 'unknown_channel');
      assert.equal(m.id, 'b');
      await c.settle();
    });

    withClient('what is no JSON is an error, and the connection stays', async (c) => {
      for (const text of ['', 'hello', '{', '[1,2', '{"type":"ping",}', '{"type":"ping"} x', '[]',
        '"ping"', 'null', '{"type":"ping","timestamp":01}', `${'['.repeat(5000)}`]) {
        c.send(text);
        assertError(await c.next('error'), 'bad_json');
      }
      await c.settle();
    });

    withClient('an unknown type is an error that says which there are', async (c) => {
      c.send({ type: 'dance', id: 'x1' });
      const m = await c.next('error');
      assertError(m, 'unknown_type');
      assert.equal(m.id, 'x1');
      assert.match(m.error, /subscribe/);
      c.send({});
      assertError(await c.next('error'), 'unknown_type');
      await c.settle();
    });

    withClient('an unknown channel is an error', async (c) => {
      for (const channel of ['nonsense', '', 'app:', 'app:sp ace', `app:${'x'.repeat(101)}`, 'APP:x']) {
        const m = await c.subscribe(channel);
        assertError(m, 'unknown_channel');
      }
      c.send({ type: 'subscribe', id: 'none' });
      assertError(await c.next('error'), 'unknown_channel');
      await c.settle();
    });

    withClient('params of the wrong kind are refused', async (c) => {
      for (const params of [{ max_hz: 0 }, { max_hz: -1 }, { max_hz: 'fast' }, { since: 5 }, 'x']) {
        const m = await c.subscribe('app:params', params);
        assert.equal(m.type, 'error', m.text);
      }
      await c.settle();
    });

    withClient('a wrong token is unauthorized, the right one is not', async (c) => {
      c.send({ type: 'auth', id: 1, token: 'wrong' });
      assertError(await c.next('error'), 'unauthorized');
      await c.settle();
    });

    withClient('64 KiB are taken, one byte more closes with 1009', async (c) => {
      const frame = (bytes) => {
        const head = '{"type":"ping","timestamp":"';
        return `${head}${'x'.repeat(bytes - head.length - 2)}"}`;
      };
      c.send(frame(65536));
      const m = await c.next('pong');
      assert.equal(m.echo.length, 65536 - 30);
      c.send(frame(65537));
      assert.equal((await c.closed).code, 1009);
    });

    withClient('a text that is not UTF-8 closes with 1007', async (c) => {
      c.socket.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false });
      assert.equal((await c.closed).code, 1007);
    });

    withClient('a close is answered with its code', async (c) => {
      c.socket.close(1000, 'done');
      assert.equal((await c.closed).code, 1000);
    });

    withClient('a client that agrees to compression gets the same texts', async (c) => {
      assert.match(c.socket.extensions, /permessage-deflate/);
      const m = await c.next('welcome');
      assertSummary(m.data);
      c.send({ type: 'ping', timestamp: 'y'.repeat(4000) });
      assert.equal((await c.next('pong')).echo.length, 4000);
    }, { perMessageDeflate: { threshold: 0 } });

    test('Origin: absent and the same are let in, others and null are not', async () => {
      for (const origin of [undefined, server.origin]) {
        const c = await Client.connect(server.ws, origin ? { origin } : {});
        await c.next('welcome');
        await c.close();
      }
      for (const origin of ['http://evil.example', 'null', `${server.origin}0`,
        `https://127.0.0.1:${server.port}`, 'http://127.0.0.1']) {
        await assert.rejects(Client.connect(server.ws, { origin }), { status: 403 }, origin);
      }
    });

    test('a handshake that is none is refused with the right status', async () => {
      const plain = await request(server, '/ws');
      assert.ok([400, 426].includes(plain.status), String(plain.status));
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        'sec-websocket-version': '13',
      };
      const old = await request(server, '/ws', { headers: { ...headers, 'sec-websocket-version': '12' } });
      assert.equal(old.status, 426);
      assert.equal(old.headers['sec-websocket-version'], '13');
      for (const key of ['', 'short', 'dGhlIHNhbXBsZSBub25jZQ']) {
        const bad = await request(server, '/ws', { headers: { ...headers, 'sec-websocket-key': key } });
        assert.equal(bad.status, 400, key);
      }
      const post = await request(server, '/ws', { method: 'POST', headers });
      assert.equal(post.status, 405);
    });

    test('many clients at once, each with its own answers', async () => {
      const clients = await Promise.all(Array.from({ length: 100 }, () => Client.connect(server.ws)));
      clients.forEach((c, i) => c.send({ type: 'ping', timestamp: i }));
      const pongs = await Promise.all(clients.map((c) => c.next('pong')));
      pongs.forEach((m, i) => assert.equal(m.echo, i));
      await Promise.all(clients.map((c) => c.close()));
    });
  });

  describe(`allowed origins and limits on ${io}`, { skip }, () => {
    test('COINCAST_ORIGINS names further origins, for CORS as well', async () => {
      const server = await startServer({ io, env: { COINCAST_ORIGINS: 'https://app.example' } });
      try {
        const c = await Client.connect(server.ws, { origin: 'https://app.example' });
        await c.next('welcome');
        await c.close();
        await assert.rejects(Client.connect(server.ws, { origin: 'https://app.example.evil.test' }),
          { status: 403 });
      } finally {
        await server.stop();
      }
    });
  });
}
