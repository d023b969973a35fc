/* HTTP as tests need it: exact headers, raw bytes, and checks of shapes that recur.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { TOKEN, until } from './server.mjs';

/* One request with exactly these headers (fetch would not let Host or Origin through). */
export function request(server, path, { method = 'GET', headers = {}, body, agent = false } = {}) {
  return new Promise((done, fail) => {
    const r = (server.tls ? https : http).request(
      { host: '127.0.0.1', port: server.port, path, method, headers, agent, rejectUnauthorized: false },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part) => (text += part));
        answer.on('end', () => done({ status: answer.statusCode, headers: answer.headers, text }));
        answer.on('error', fail);
      },
    );
    r.on('error', fail);
    r.end(body);
  });
}

export async function json(server, path, options) {
  const answer = await request(server, path, options);
  assert.match(answer.headers['content-type'] ?? '', /^application\/(problem\+)?json/, answer.text);
  return { ...answer, body: JSON.parse(answer.text) };
}

/* All shards know of the SIGTERM: whichever gets a connection says so. Somebody must still poll. */
export function untilDraining(server) {
  return until(async () => (await Promise.all(Array.from({ length: 12 }, () => request(server, '/readyz'))))
    .every((answer) => answer.text.includes('shutting down')), 'it shuts down');
}

/* Sends bytes as they are, gives all that comes back until the server closes or `done` says so. */
export function rawExchange(server, bytes, { ms = 30_000, done = () => false } = {}) {
  return new Promise((end) => {
    let text = '';
    const socket = net.connect(server.port, '127.0.0.1', () => socket.write(bytes));
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      end(text);
    };
    const timer = setTimeout(finish, ms);
    socket.setEncoding('latin1');
    socket.on('data', (part) => {
      text += part;
      if (done(text)) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
  });
}

/* POST /api/v1/publish; `body` is a text (kept byte for byte) or an object. */
export function publish(server, body, { token = TOKEN, headers = {} } = {}) {
  return json(server, '/api/v1/publish', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

export async function mustPublish(server, body) {
  const answer = await publish(server, body);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(typeof answer.body.accepted, 'number');
  assertCursor(answer.body.cursor);
  return answer.body;
}

export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const FIELDS = [
  'btc_price', 'btc_change_24h', 'market_cap', 'volume_24h', 'fear_greed_index', 'rsi_14',
];

export function assertCursor(cursor) {
  assert.match(String(cursor), /^.+-\d+$/, 'a cursor is <epoch>-<seq>');
}

/* Every data message: time now, mode. */
export function assertData(message, mode) {
  assert.match(message.timestamp, TIME);
  assert.ok(Math.abs(Date.parse(message.timestamp) - Date.now()) < 60_000, message.timestamp);
  if (mode) assert.equal(message.mode, mode);
  else assert.ok(['live', 'demo', 'replay'].includes(message.mode), `mode ${message.mode}`);
}

/* RFC 9457, with a sentence for people. */
export function assertProblem(answer, status) {
  const allowed = Array.isArray(status) ? status : [status];
  assert.ok(allowed.includes(answer.status), `${answer.status} is one of ${allowed}: ${answer.text}`);
  assert.match(answer.headers['content-type'], /^application\/problem\+json/);
  const body = answer.body ?? JSON.parse(answer.text);
  assert.equal(body.status, answer.status);
  assert.equal(typeof body.type, 'string');
  assert.ok(body.title.length > 0);
  assert.ok(body.detail.length > 10, `a sentence: ${body.detail}`);
}

/* The summary object of contracts 3; numbers or null, never anything else. */
export function assertSummary(s) {
  for (const field of FIELDS) {
    assert.ok(field in s, field);
    assert.ok(s[field] === null || Number.isFinite(s[field]), `${field} ${s[field]}`);
    const source = s.sources[field];
    assert.ok(source, `sources.${field}`);
    if (s[field] === null) {
      assert.ok(s.stale.includes(field), `${field} is unknown, so stale`);
      assert.equal(source.provider, null);
      assert.equal(source.as_of, null);
      assert.equal(source.age_s, null);
      assert.ok(source.reason?.length > 0, `${field} is unknown for a reason`);
    } else {
      assert.ok(source.provider.length > 0);
      assert.match(source.as_of, TIME);
      assert.equal(typeof source.age_s, 'number');
    }
  }
  assert.ok(Array.isArray(s.stale));
  assert.ok(s.stale.every((field) => FIELDS.includes(field)));
  assert.ok(s.last_updated === null || TIME.test(s.last_updated));
  assert.ok(['live', 'demo', 'replay'].includes(s.mode));
}
