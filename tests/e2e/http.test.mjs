/* HTTP: the summary, publishing's refusals, operations, who may ask.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  assertProblem, assertSummary, FIELDS, json, publish, rawExchange, request,
} from './lib/http.mjs';
import { backEnds, startServer, TOKEN } from './lib/server.mjs';

const SUMMARY = '/api/crypto/dashboard-summary';

for (const { io, skip } of await backEnds()) {
  describe(`HTTP on ${io}`, { skip }, () => {
    let server;
    before(async () => {
      server = await startServer({ io });
    });
    after(() => server?.stop());

    test('the summary is there from the first second, unknown is null', async () => {
      const { status, headers, body } = await json(server, SUMMARY);
      assert.equal(status, 200);
      assertSummary(body);
      for (const field of FIELDS) assert.equal(body[field], null);
      assert.deepEqual([...body.stale].sort(), [...FIELDS].sort());
      assert.match(headers.etag, /^(W\/)?".+"$/);
      assert.equal(headers['cache-control'], 'no-cache');
    });

    test('If-None-Match with the ETag gives 304 without a body', async () => {
      const { headers } = await json(server, SUMMARY);
      for (const match of [headers.etag, `"other", ${headers.etag}`, '*']) {
        const again = await request(server, SUMMARY, { headers: { 'if-none-match': match } });
        assert.equal(again.status, 304, match);
        assert.equal(again.text, '');
        assert.equal(again.headers.etag, headers.etag);
        assert.equal(again.headers['content-type'], undefined);
      }
      const other = await request(server, SUMMARY, { headers: { 'if-none-match': '"other"' } });
      assert.equal(other.status, 200);
    });

    test('HEAD answers as GET without a body', async () => {
      for (const path of [SUMMARY, '/healthz', '/metrics']) {
        const head = await request(server, path, { method: 'HEAD' });
        const get = await request(server, path);
        assert.equal(head.status, get.status);
        assert.equal(head.text, '');
        assert.equal(head.headers['content-type'], get.headers['content-type']);
      }
    });

    test('a forced refresh without sources says why nothing was fetched', async () => {
      const { status, headers, body } = await json(server, `${SUMMARY}/refresh`);
      assert.equal(status, 200);
      assertSummary(body);
      assert.equal(body.refreshed, false);
      assert.ok(body.reason.length > 10, body.reason);
      assert.equal(headers['cache-control'], 'no-cache');
      assert.ok(headers.etag);
    });

    test('the wrong method is 405 and names the right one; an unknown path is 404', async () => {
      const post = await json(server, SUMMARY, { method: 'POST' });
      assertProblem(post, 405);
      assert.match(post.headers.allow, /GET/);
      const get = await json(server, '/api/v1/publish');
      assertProblem(get, 405);
      assert.match(get.headers.allow, /POST/);
      assertProblem(await json(server, '/no/such/thing'), 404);
      assertProblem(await json(server, '/../../etc/passwd'), [400, 404]);
    });

    test('publish: 401 without a token or with a wrong one', async () => {
      const none = await publish(server, { channel: 'app:x', data: 1 }, { token: null });
      assertProblem(none, 401);
      assert.match(none.headers['www-authenticate'], /^Bearer/);
      for (const token of ['wrong', `${TOKEN}x`, TOKEN.slice(1), '']) {
        assertProblem(await publish(server, { channel: 'app:x', data: 1 },
          { token: null, headers: { authorization: `Bearer ${token}` } }), [401, 403]);
      }
      const basic = await publish(server, { channel: 'app:x', data: 1 },
        { token: null, headers: { authorization: 'Basic eDp5' } });
      assertProblem(basic, 401);
    });

    test('publish: 403 from a foreign origin, whatever the token', async () => {
      for (const origin of ['http://evil.example', 'null']) {
        assertProblem(await publish(server, { channel: 'app:x', data: 1 }, { headers: { origin } }), 403);
      }
      const same = await publish(server, { channel: 'app:x', data: 1 },
        { headers: { origin: server.origin } });
      assert.equal(same.status, 200, same.text);
    });

    test('publish: channels that are not ours to publish on are refused', async () => {
      for (const channel of ['dashboard_update', 'btc_price_update', 'price_updates']) {
        assertProblem(await publish(server, { channel, data: 1 }), [403, 422]);
      }
    });

    test('publish: 422 says what is wrong, and nothing of a bad list is published', async () => {
      const bad = [
        '', '{', 'null', '5', '"x"', '{}', '{"channel":"app:x"}', '{"data":1}',
        '{"channel":5,"data":1}', '{"channel":"","data":1}', '{"channel":"app:","data":1}',
        '{"channel":"app:a b","data":1}', '{"channel":"app:x","data":}',
        '{"channel":"app:x","data":1}}', '{"channel":"app:x","data":01}', '[1]',
        '[{"channel":"app:x","data":1},{"channel":"app:x"}]', '{"channel":"app:x","data":1} {}',
        '{"channel":"app:x","data":"\u0001"}',
      ];
      for (const body of bad) assertProblem(await publish(server, body), 422);
    });

    test('publish: an empty list is fine or refused, 10,000 are taken, 10,001 are not', async () => {
      const list = (n) => `[${Array(n).fill('{"channel":"app:many","data":1}').join(',')}]`;
      const most = await publish(server, list(10_000));
      assert.equal(most.status, 200, most.text);
      assert.equal(most.body.accepted, 10_000);
      assertProblem(await publish(server, list(10_001)), [413, 422]);
    });

    test('publish: a body beyond the limit is 413, said from its length alone', async () => {
      const text = await rawExchange(server, [
        'POST /api/v1/publish HTTP/1.1', `Host: 127.0.0.1:${server.port}`,
        `Authorization: Bearer ${TOKEN}`, 'Content-Type: application/json',
        'Content-Length: 1000000000', '', '{"channel":"app:x"',
      ].join('\r\n'), { done: (got) => got.includes('\r\n\r\n') && got.includes('}') });
      assert.match(text, /^HTTP\/1\.1 413 /);
      assert.match(text, /content-type: application\/problem\+json/i);
    });

    test('Host: this machine only, no name that someone else may point here', async () => {
      for (const host of [`127.0.0.1:${server.port}`, `localhost:${server.port}`, 'localhost']) {
        assert.equal((await request(server, SUMMARY, { headers: { host } })).status, 200, host);
      }
      for (const host of ['evil.example', `evil.example:${server.port}`, '127.0.0.1.evil.example',
        '127.evil.example', 'localhost.evil.example', '192.0.2.7']) {
        const answer = await request(server, SUMMARY, { headers: { host } });
        assert.ok([400, 403, 421].includes(answer.status), `${host}: ${answer.status}`);
      }
    });

    test('Origin is checked for streams and not for plain reads', async () => {
      const headers = { origin: 'http://evil.example' };
      assertProblem(await json(server, '/api/v1/stream?channels=app:x', { headers }), 403);
      const read = await request(server, SUMMARY, { headers });
      assert.equal(read.status, 200);
      assert.equal(read.headers['access-control-allow-origin'], undefined);
    });

    test('/healthz, /readyz and /api/health', async () => {
      assert.equal((await request(server, '/healthz')).status, 200);
      const ready = await json(server, '/readyz'); /* no sources: nothing is ever known */
      assertProblem(ready, 503);
      for (const field of FIELDS) assert.ok(ready.body.detail.includes(field), ready.body.detail);
      const { status, body } = await json(server, '/api/health');
      assert.equal(status, 200);
      assert.ok(['ok', 'degraded', 'down'].includes(body.status), body.status);
      assert.ok(['live', 'demo', 'replay'].includes(body.mode));
      assert.match(body.io, io === 'epoll' ? /^epoll/ : /uring/);
      assert.ok(body.components.length > 0);
      for (const c of body.components) {
        assert.equal(typeof c.name, 'string');
        assert.equal(typeof c.status, 'string');
        assert.ok('reason' in c, `${c.name} has a reason, null or a sentence`);
        assert.ok('since' in c, `${c.name} says since when`);
        if (c.status !== 'ok') assert.ok(c.reason?.length > 0, `${c.name} says why`);
      }
      const names = body.components.map((c) => c.name);
      for (const wanted of ['cache', 'database']) {
        assert.ok(names.some((name) => name.includes(wanted)), `${wanted} in ${names}`);
      }
    });

    test('/metrics is Prometheus text', async () => {
      const answer = await request(server, '/metrics');
      assert.equal(answer.status, 200);
      assert.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
      const types = new Map();
      const samples = new Set();
      assert.ok(answer.text.endsWith('\n'));
      for (const line of answer.text.trimEnd().split('\n')) {
        const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
        if (type) {
          assert.ok(!types.has(type[1]), `${type[1]} is declared once`);
          types.set(type[1], type[2]);
          continue;
        }
        if (/^# HELP \S+ \S/.test(line)) continue;
        const sample = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/.exec(line);
        assert.ok(sample, `a sample: ${line}`);
        assert.ok(!samples.has(sample[1] + (sample[2] ?? '')), `once: ${line}`);
        samples.add(sample[1] + (sample[2] ?? ''));
        const family = sample[1].replace(/_(bucket|sum|count)$/, '');
        assert.ok(types.has(sample[1]) || types.get(family) === 'histogram', `declared: ${line}`);
        assert.match(sample[1], /^(coincast|process)_/);
      }
      for (const name of ['coincast_http_requests_total', 'coincast_connections',
        'coincast_published_total']) {
        assert.ok(types.has(name), name);
      }
    });

    test('answers carry the security headers', async () => {
      const { headers } = await request(server, SUMMARY);
      assert.equal(headers['x-content-type-options'], 'nosniff');
    });

    test('pipelined requests are answered in order', async () => {
      const one = (path) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`;
      const text = await rawExchange(server, one('/healthz') + one('/nowhere') + one(SUMMARY),
        { done: (got) => (got.match(/HTTP\/1\.1 /g) ?? []).length === 3 && got.includes('btc_price') });
      assert.deepEqual([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((m) => m[1]), ['200', '404', '200']);
    });

    test('nonsense on the wire is 400 and the server lives on', async () => {
      for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00', 'GET / HTTP/9.9\r\n\r\n', 'hello\r\n\r\n',
        'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
        `GET / HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(5000)}\r\n`,
        'POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n']) {
        const text = await rawExchange(server, bytes, { ms: 3000, done: (got) => got.includes('\r\n\r\n') });
        assert.ok(text === '' || /^HTTP\/1\.[01] (4|5)\d\d /.test(text), text.slice(0, 60));
      }
      assert.equal((await request(server, '/healthz')).status, 200);
    });
  });
}
