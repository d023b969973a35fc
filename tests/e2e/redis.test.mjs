/* Redis as the second cache level: what is kept there, what comes back after a restart, and that
 * the server goes on serving whatever Redis does. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertSummary, FIELDS, json, mustPublish } from './lib/http.mjs';
import { startLiveUpstream } from './lib/live-upstream.mjs';
import { redisMissing, startRedis } from './lib/redis.mjs';
import { freePort, sleep, startServer, until } from './lib/server.mjs';

const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const SUMMARY = '/api/crypto/dashboard-summary';
const summary = async (server) => (await json(server, SUMMARY)).body;
const complete = (server) => until(async () => {
  const body = await summary(server);
  return FIELDS.every((field) => body[field] !== null) && body;
}, 'six numbers', WAIT_MS);
const redisHealth = async (server) => (await json(server, '/api/health')).body
  .components.find((c) => c.name === 'redis');
const healthIs = (server, status, ms = WAIT_MS) => until(async () => {
  const component = await redisHealth(server);
  return component.status === status && component;
}, `Redis is ${status}`, ms);

/* What a busy machine may make slow must be quick once in some tries, each after `anew()`. */
const TRIES = 5;
async function quickly(limit_ms, act, anew = async () => {}) {
  const took = [];
  for (;;) {
    const began = performance.now();
    const result = await act();
    took.push(performance.now() - began);
    if (took.at(-1) < limit_ms) return result;
    assert.ok(took.length < TRIES, `ms: ${took.map(Math.round)}`);
    await anew(result);
  }
}

/* It answers with numbers, takes what is published, and does not wait the second that a Redis has
 * for its answer. */
const serves = (server, anew) => quickly(1000, async () => {
  assertSummary(await summary(server));
  await mustPublish(server, { channel: 'app:redis', data: 1 });
  const { status, body } = await json(server, '/api/health');
  assert.equal(status, 200);
  return body;
}, anew);

describe('Redis', { skip: redisMissing }, () => {
  test('demo keeps its summary under its own prefix, with an end', async () => {
    const redis = await startRedis();
    const server = await startServer({ source: 'demo', env: { REDIS_URL: redis.url } });
    try {
      await complete(server);
      const kept = await until(async () => {
        const text = await redis.command('GET', 'coincast:demo:dashboard:summary');
        const object = text && JSON.parse(text);
        return object && FIELDS.every((field) => object[field] !== null) && object;
      }, 'a whole summary in Redis');
      assert.equal(kept.mode, 'demo');
      const ttl = await redis.command('PTTL', 'coincast:demo:dashboard:summary');
      assert.ok(ttl > 3_500_000 && ttl <= 3_600_000, `TTL ${ttl}`);
      assert.equal(await redis.command('GET', 'dashboard:summary'), null, 'nothing of demo is live');
      assert.equal((await healthIs(server, 'ok')).reason, null);
    } finally {
      await server.stop();
      await redis.stop();
    }
  });

  test('live: after a restart without network the numbers are back, as old as they are', async () => {
    const redis = await startRedis();
    const upstream = await startLiveUpstream();
    let first;
    let before;
    try {
      first = await startServer({ source: 'live', env: { ...upstream.env, REDIS_URL: redis.url } });
      await complete(first);
      before = await until(async () => {
        const text = await redis.command('GET', 'dashboard:summary');
        const object = text && JSON.parse(text);
        return object && FIELDS.every((field) => object[field] !== null) && object;
      }, 'a whole summary in Redis');
      assert.equal(before.mode, 'live');
      assert.equal(await redis.command('GET', 'coincast:demo:dashboard:summary'), null);
    } finally {
      await first?.stop();
      await upstream.stop();
    }
    before = JSON.parse(await redis.command('GET', 'dashboard:summary')); /* there may have been a newer one */
    await sleep(1100); /* real time has to pass, to be seen in the ages */
    const dead = `http://127.0.0.1:${await freePort()}`;
    const env = Object.fromEntries(Object.keys(upstream.env).map((name) => [name, dead]));
    const second = await startServer({ source: 'live', env: { ...env, REDIS_URL: redis.url } });
    try {
      await complete(second);
      const asked_ms = Date.now();
      const back = await summary(second);
      const answered_ms = Date.now();
      for (const field of FIELDS) {
        assert.equal(back[field], before[field], field);
        assert.equal(back.sources[field].as_of, before.sources[field].as_of, field);
        assert.equal(back.sources[field].provider, before.sources[field].provider);
        const { as_of, age_s } = back.sources[field];
        const [least_s, most_s] = [asked_ms, answered_ms].map((ms) => (ms - Date.parse(as_of)) / 1000);
        assert.ok(age_s > least_s - 2 && age_s < most_s + 2, `${field}: ${age_s}, ${least_s} to ${most_s}`);
        assert.ok(age_s >= 1, field);
      }
      assert.equal(back.sources.rsi_14.method, 'computed');
      assert.equal(back.mode, 'live');
      /* and they are marked once the providers were asked in vain */
      const marked = await until(async () => {
        const body = await summary(second);
        return FIELDS.every((field) => body.stale.includes(field)) && body;
      }, 'all are stale', WAIT_MS);
      for (const field of FIELDS) {
        assert.equal(marked[field], before[field]);
        assert.match(marked.sources[field].reason, /[a-z]{3}/);
      }
    } finally {
      await second.stop();
      await redis.stop();
    }
  });

  test('killed: served on, health says so, and all is well when it is back', async () => {
    let redis = await startRedis();
    const { port } = redis;
    const server = await startServer({ source: 'demo', env: { REDIS_URL: redis.url } });
    try {
      await complete(server);
      await healthIs(server, 'ok');
      const killed_ms = Date.now();
      await redis.stop();
      const down = await healthIs(server, 'degraded');
      assert.match(down.reason, /Redis/);
      const since_ms = Date.parse(down.since);
      assert.ok(since_ms > killed_ms - 1000 && since_ms <= Date.now(), down.since);
      assert.equal((await serves(server)).status, 'degraded');
      redis = await startRedis({ port });
      await healthIs(server, 'ok');
      await until(() => redis.command('GET', 'coincast:demo:dashboard:summary'), 'the summary is kept again',
        WAIT_MS);
      await until(async () => (await serves(server)).status === 'ok', 'all is well', WAIT_MS);
    } finally {
      await server.stop();
      await redis.stop();
    }
  });

  test('hung: nobody waits for it, health says so, and it may wake up', async () => {
    const redis = await startRedis();
    const server = await startServer({ source: 'demo', env: { REDIS_URL: redis.url } });
    try {
      await complete(server);
      await healthIs(server, 'ok');
      redis.signal('SIGSTOP');
      await serves(server, async () => { /* hung anew, for one known to be down is not waited for */
        redis.signal('SIGCONT');
        await healthIs(server, 'ok');
        redis.signal('SIGSTOP');
      });
      const down = await healthIs(server, 'degraded');
      assert.ok(down.reason.length > 10, down.reason);
      await serves(server);
      redis.signal('SIGCONT');
      await healthIs(server, 'ok');
    } finally {
      redis.signal('SIGCONT');
      await server.stop();
      await redis.stop();
    }
  });

  test('hung at the start: the server is there all the same', async () => {
    const redis = await startRedis();
    redis.signal('SIGSTOP');
    const server = await quickly(3000, () => startServer({ source: 'demo', env: { REDIS_URL: redis.url } }),
      (slow) => slow.stop());
    try {
      await complete(server);
      await serves(server);
    } finally {
      await server.stop();
      redis.signal('SIGCONT');
      await redis.stop();
    }
  });

  const nonsense = [
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['unasked answers', '+PONG\r\n+PONG\r\n+PONG\r\n:7\r\n$-1\r\n*0\r\n'],
    ['a length beyond all sense', '$9999999999999\r\n'],
    ['bytes', Buffer.from([0, 255, 13, 10, 128, 42, 45, 49])],
  ];
  for (const [what, answer] of nonsense) {
    test(`answering with ${what}: it counts as down`, async () => {
      const fake = net.createServer((s) => s.on('error', () => {}).on('data', () => s.write(answer)));
      await new Promise((done) => fake.listen(0, '127.0.0.1', done));
      const server = await startServer({
        source: 'demo', env: { REDIS_URL: `redis://127.0.0.1:${fake.address().port}` },
      });
      try {
        await complete(server);
        const down = await healthIs(server, 'degraded');
        assert.ok(down.reason.length > 10, down.reason);
        await serves(server);
      } finally {
        await server.stop();
        await new Promise((done) => fake.close(done));
      }
    });
  }

  test('what is not a summary in Redis is left alone', async () => {
    const redis = await startRedis();
    const dir = await mkdtemp(join(tmpdir(), 'coincast-e2e-'));
    const dead = `http://127.0.0.1:${await freePort()}`;
    const env = { REDIS_URL: redis.url };
    for (const p of ['COINGECKO', 'ALTERNATIVE', 'TAAPI', 'BINANCE', 'COINBASE', 'KRAKEN']) {
      env[`COINCAST_${p}_URL`] = dead;
    }
    try {
      for (const kept of ['', 'null', '{"mode":"live","btc_price":-1}', '[1', '{"mode":"demo","btc_price":5,'
        + '"sources":{"btc_price":{"provider":"binance","as_of":"2026-01-01T00:00:00.000Z"}}}']) {
        await redis.command('SET', 'dashboard:summary', kept);
        const server = await startServer({ source: 'live', env, dir });
        await healthIs(server, 'ok'); /* it is asked for as soon as Redis is there */
        const s = await summary(server);
        assertSummary(s);
        assert.equal(s.btc_price, null, kept);
        assert.equal(s.mode, 'live');
        await server.stop();
      }
    } finally {
      await redis.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });
});
