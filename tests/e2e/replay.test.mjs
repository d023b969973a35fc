/* Recorded answers, an upstream that misbehaves, and no network at all: what clients are told is
 * true or nothing. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { assertData, assertSummary, FIELDS, json } from './lib/http.mjs';
import { freePort, startServer, startUpstream, until } from './lib/server.mjs';

const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const SUMMARY = '/api/crypto/dashboard-summary';
const summary = async (server) => (await json(server, SUMMARY)).body;
const root = process.env.COINCAST_FIXTURES;
const missing = root && existsSync(join(root, 'http')) ? false : 'COINCAST_FIXTURES is not set';
const recorded = (path) => JSON.parse(readFileSync(join(root, 'http', path), 'utf8'));

/* A number of a summary that may be shown to people at all. */
function assertPlausible(s) {
  assertSummary(s);
  const within = { btc_price: [100, 1e7], btc_change_24h: [-99, 1000], market_cap: [1e9, 1e15],
    volume_24h: [1e6, 1e14], fear_greed_index: [0, 100], rsi_14: [0, 100] };
  for (const field of FIELDS) {
    if (s[field] === null) continue;
    assert.ok(s[field] >= within[field][0] && s[field] <= within[field][1], `${field} ${s[field]}`);
    assert.ok(s.sources[field].age_s >= 0, `${field} ${s.sources[field].age_s}`);
  }
}

const dead = async () => {
  const origin = `http://127.0.0.1:${await freePort()}`;
  return Object.fromEntries(['COINGECKO', 'ALTERNATIVE', 'TAAPI', 'BINANCE', 'COINBASE', 'KRAKEN']
    .map((p) => [`COINCAST_${p}_URL`, origin]));
};

describe('recorded answers', { skip: missing }, () => {
  test('mode replay, the recorded values, each as old as it is', async () => {
    const upstream = await startUpstream({ args: ['--fixtures', join(root, 'http')] });
    const server = await startServer({ source: 'live', env: { ...upstream.env, TAAPI_SECRET: 'any' } });
    try {
      const s = await until(async () => {
        const body = await summary(server);
        return body.btc_price !== null && body.market_cap !== null && body.fear_greed_index !== null
          && body.rsi_14 !== null && body;
      }, 'recorded numbers', WAIT_MS);
      assert.equal(s.mode, 'replay');
      assertPlausible(s);
      const fng = recorded('alternative_me/fng_limit1.json').data[0];
      assert.equal(s.fear_greed_index, Number(fng.value));
      assert.equal(Date.parse(s.sources.fear_greed_index.as_of), Number(fng.timestamp) * 1000);
      assert.ok(s.stale.includes('fear_greed_index'), 'a recording is old, and said to be');
      const age_s = Date.now() / 1000 - Number(fng.timestamp);
      assert.ok(Math.abs(s.sources.fear_greed_index.age_s - age_s) < 60);
      if (s.sources.btc_price.provider === 'binance') {
        const ticker = recorded('binance/ticker24_BTCUSDT.json');
        assert.equal(s.btc_price, Number(ticker.lastPrice));
        assert.equal(s.btc_change_24h, Number(ticker.priceChangePercent));
        assert.equal(Date.parse(s.sources.btc_price.as_of), ticker.closeTime);
      }
      const globals = ['global_20210518', 'oas2026_global']
        .map((name) => recorded(`coingecko/${name}.json`).data.total_market_cap.usd);
      assert.ok(globals.some((cap) => Math.abs(cap - s.market_cap) <= cap * 1e-9), `${s.market_cap} of ${globals}`);
      const c = await Client.connect(server.ws);
      const welcome = await c.next('welcome');
      assertData(welcome, 'replay');
      assertPlausible(welcome.data);
      assertData(await c.next('btc_price_update', WAIT_MS), 'replay');
      await c.close();
      assert.equal((await json(server, '/api/health')).body.mode, 'replay');
      assert.match(server.log, /replay/);
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });
});

describe('a recording of our own, played back', () => {
  test('prices and the summary are there; twice and at two speeds the same is published', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'coincast-replay-'));
    const file = join(dir, 'recording.jsonl');
    const recording = await startServer({ source: 'demo', args: ['--record', file] });
    try {
      await until(() => existsSync(file) && readFileSync(file, 'utf8').split('\n').length > 400, 'some frames', WAIT_MS);
    } finally {
      await recording.stop();
    }
    const logs = [];
    try {
      for (const [n, speed] of ['max', 'max', '20'].entries()) {
        const log = join(dir, `published-${n}`);
        const server = await startServer({ source: `replay:${file}`,
          args: ['--speed', speed, '--publish-log', log] });
        try {
          await until(() => server.log.includes('the recording has ended'), 'its end', WAIT_MS);
          const body = await until(async () => { /* it comes to the shards a moment later */
            const said = (await json(server, '/api/v1/prices?symbols=BTC')).body;
            return said.data?.BTC?.price > 100 && said;
          }, 'a price', WAIT_MS);
          assert.equal(body.mode, 'replay');
          const s = await until(async () => {
            const said = await summary(server);
            return said.btc_price > 100 && said;
          }, 'a price in the summary', WAIT_MS);
          assert.equal(s.mode, 'replay');
        } finally {
          await server.stop();
        }
        logs.push(readFileSync(log, 'utf8'));
      }
      assert.ok(logs[0].split('\n').length > 100);
      for (const other of logs.slice(1)) assert.ok(other === logs[0], 'the same bytes');
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});

describe('an upstream that misbehaves', () => {
  for (const fault of ['garbage', '5xx', '429', 'half', 'cut']) {
    test(`${fault} from everybody, from the start: nulls with reasons, nothing made up`, async () => {
      const upstream = await startUpstream();
      await upstream.control({ target: '*', fault });
      const server = await startServer({ source: 'live', env: upstream.env });
      try {
        const c = await Client.connect(server.ws);
        const s = await until(async () => {
          const body = await summary(server);
          return FIELDS.every((field) => body.sources[field].reason
            && body.sources[field].reason !== 'not fetched yet') && body;
        }, 'a reason for every field', WAIT_MS);
        for (const field of FIELDS) assert.equal(s[field], null);
        assertSummary(s);
        assert.deepEqual([...s.stale].sort(), [...FIELDS].sort());
        await until(async () => {
          const { status, body } = await json(server, '/api/health');
          assert.equal(status, 200);
          return body.status !== 'ok';
        }, 'health says so', WAIT_MS);
        assert.equal((await json(server, '/readyz')).status, 503);
        for (const m of await c.settle()) {
          if (m.data && 'btc_price' in m.data) assert.equal(m.data.btc_price, null, m.text);
        }
        await c.close();
      } finally {
        await server.stop();
        await upstream.stop();
      }
    });

    test(`${fault} after good numbers: they stay, stale, with a reason`, async () => {
      const upstream = await startUpstream();
      const server = await startServer({ source: 'live', env: { ...upstream.env, COINCAST_PRICE_TTL_MS: '0' } });
      try {
        const good = await until(async () => {
          const body = await summary(server);
          return FIELDS.every((field) => body[field] !== null) && body;
        }, 'six numbers', WAIT_MS);
        const c = await Client.connect(server.ws);
        await c.next('welcome');
        await upstream.control({ target: '*', fault });
        await json(server, `${SUMMARY}/refresh`);
        const stale = await until(async () => {
          const body = await summary(server);
          return body.stale.includes('btc_price') && body.sources.btc_price.reason && body;
        }, 'the price is stale, for a reason', WAIT_MS);
        assertPlausible(stale);
        assert.ok(Math.abs(stale.btc_price / good.btc_price - 1) < 0.1);
        assert.ok(stale.sources.btc_price.reason.length > 10);
        assert.ok(Date.parse(stale.sources.btc_price.as_of) <= Date.now());
        for (const m of await c.settle()) {
          if (m.type === 'dashboard_update') assertPlausible(m.data);
          if (m.type === 'btc_price_update') assert.ok(m.data.btc_price === null || m.data.btc_price > 100);
        }
        await c.close();
      } finally {
        await server.stop();
        await upstream.stop();
      }
    });
  }

  test('silence from everybody: the server serves, and gives a reason after its time-out', async () => {
    const upstream = await startUpstream();
    await upstream.control({ target: '*', fault: 'silence' });
    const server = await startServer({ source: 'live', env: upstream.env });
    try {
      const began = Date.now();
      assertSummary(await summary(server));
      assert.ok(Date.now() - began < 5_000, 'it does not wait the 10 s that a provider has');
      const s = await until(async () => {
        const body = await summary(server);
        return /10 s|time|not within|no answer/i.test(body.sources.fear_greed_index.reason ?? '') && body;
      }, 'a reason', WAIT_MS);
      assert.equal(s.fear_greed_index, null);
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });
});

describe('--source auto without network', () => {
  test('turns to demo within 6 s, loudly, and says so in every message', async () => {
    const server = await startServer({ source: 'auto', env: await dead() });
    try {
      const c = await Client.connect(server.ws);
      const welcome = await c.next('welcome');
      assertData(welcome);
      const s = await until(async () => {
        const body = await summary(server);
        return body.mode === 'demo' && body;
      }, 'mode demo', WAIT_MS);
      const [, waited_ms] = await until(() => /NO PROVIDER ANSWERS.* waited_ms=(\d+)/.exec(server.log), 'the log says so');
      assert.ok(Number(waited_ms) < 8_000, `${waited_ms} ms`);
      assertSummary(s);
      const full = await until(async () => {
        const body = await summary(server);
        return FIELDS.every((field) => body[field] !== null) && body;
      }, 'six numbers', WAIT_MS);
      assert.equal(full.mode, 'demo');
      const update = await c.next((m) => m.type === 'dashboard_update' && m.mode === 'demo', WAIT_MS);
      assert.equal(update.data.mode, 'demo');
      assert.match(server.log, /SIMULATED/);
      const health = (await json(server, '/api/health')).body;
      assert.equal(health.mode, 'demo');
      for (const m of await c.settle()) {
        if (m.data && m.mode) assert.equal(m.mode, m.data.mode ?? m.mode);
      }
      await c.close();
    } finally {
      await server.stop();
    }
  });

  test('with providers it stays with them', async () => {
    const upstream = await startUpstream();
    const server = await startServer({ source: 'auto', env: upstream.env });
    try {
      await until(async () => (await summary(server)).btc_price !== null, 'a price', WAIT_MS);
      assert.doesNotMatch(server.log, /NO PROVIDER ANSWERS/);
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });
});
