/* The sentiment: each part says who said it and how old it is, or why it is missing; whatever of
 * CoinGecko's lists fails, nothing is made up. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { json } from './lib/http.mjs';
import { startServer, startUpstream, until } from './lib/server.mjs';

const root = process.env.COINCAST_FIXTURES;
const skip = root && existsSync(join(root, 'http')) ? false : 'COINCAST_FIXTURES is not set';
const WAIT_MS = 90_000; /* the machine may be slow, and shared */
const PARTS = ['fear_greed', 'breadth', 'momentum', 'market_cap', 'volatility'];
const get = async (server) => (await json(server, '/api/v1/sentiment')).body;
const untilSo = (server, check, what) => until(async () => {
  const s = await get(server);
  return s.parts && check(s) && s;
}, what, WAIT_MS);

/* What must hold of every sentiment. */
function assertHonest(s) {
  assert.deepEqual(Object.keys(s.parts), PARTS);
  assert.deepEqual(s.missing, PARTS.filter((p) => s.parts[p].value === null));
  for (const [name, p] of Object.entries(s.parts)) {
    if (p.value === null) {
      assert.ok(p.reason.length > 5, name);
    } else {
      assert.equal(p.reason, null);
      assert.ok(p.value >= -1 && p.value <= 1, `${name} ${p.value}`);
      assert.ok(p.source.length > 3, name);
      assert.ok(Math.abs(Date.parse(s.timestamp) - Date.parse(p.as_of) - p.age_s * 1000) < 2, name);
    }
  }
  assert.equal(s.missing.length === PARTS.length, s.overall_sentiment === null);
}

describe('sentiment', () => {
  test('all of its parts, from where they should be', async () => {
    const upstream = await startUpstream();
    const server = await startServer({ source: 'live', env: { ...upstream.env, ...upstream.feeds } });
    try {
      const s = await untilSo(server, (now) => now.missing.length === 0 &&
        now.parts.breadth.source.startsWith('coingecko') && now.trending_from.source?.startsWith('coingecko'),
      'all parts');
      assertHonest(s);
      assert.equal(s.mode, 'demo');
      assert.equal(s.parts.market_cap.source, 'coingecko global');
      assert.equal(s.parts.breadth.source, 'coingecko coins/markets');
      assert.equal(s.parts.fear_greed.source, 'alternative.me');
      assert.match(s.parts.momentum.source, /1d candles of BTC$/);
      assert.equal(s.trending.length, 9);
      assert.deepEqual(s.trending_topics, s.trending.map((t) => t.name));
      assert.equal(s.trending.filter((t) => t.symbol === null).length, 2, 'categories');
      assert.ok(s.trending.every((t) => Number.isFinite(t.change_24h)));

      /* the same numbers as the stand-in has them */
      const global = await (await fetch(`${upstream.origin}/api/v3/global`)).json();
      const change = global.data.market_cap_change_percentage_24h_usd;
      assert.ok(Math.abs(s.parts.market_cap.value - Math.max(-1, Math.min(1, change / 5))) < 0.02);
      assert.equal(await upstream.sent('coingecko/coins/markets'), 1);
      assert.equal(await upstream.sent('coingecko/search/trending'), 1);
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });

  test('lists that fail: the symbols followed here, said so; the rest is as it was', async () => {
    const upstream = await startUpstream();
    await upstream.control({ target: 'coingecko/coins/markets', fault: '5xx', times: 1000 });
    await upstream.control({ target: 'coingecko/search/trending', fault: 'garbage', times: 1000 });
    const server = await startServer({ source: 'live', env: { ...upstream.env, ...upstream.feeds } });
    try {
      const s = await untilSo(server, (now) => /CoinGecko|JSON/.test(now.trending_from.reason) &&
        now.parts.breadth.value !== null && now.parts.market_cap.value !== null && now.trending_from.source, 'what can be had');
      assertHonest(s);
      assert.equal(s.parts.breadth.source, 'symbols followed here');
      assert.equal(s.trending_from.source, 'symbols followed here');
      assert.ok(s.trending.every((t) => t.symbol));
      const gecko = await until(async () => {
        const { body } = await json(server, '/api/health');
        const said = body.components.find((c) => c.name === 'coingecko');
        return /coins\/markets: .*50[0-9].*search\/trending: /.test(said.reason) && said;
      }, 'both failures are told', WAIT_MS);
      assert.equal(gecko.status, 'ok');
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });

  test('recorded answers are as old as they are', { skip }, async () => {
    const upstream = await startUpstream({ args: ['--fixtures', join(root, 'http')] });
    const server = await startServer({ source: 'live', env: upstream.env });
    try {
      const s = await untilSo(server, (now) => now.trending_topics.length > 0 && now.parts.breadth.as_of &&
        now.parts.market_cap.as_of, 'recorded lists');
      assertHonest(s);
      assert.equal(s.mode, 'replay');
      assert.deepEqual(s.missing, PARTS);
      assert.equal(s.parts.breadth.as_of, '2022-01-06T06:57:30.121Z');
      assert.equal(s.parts.breadth.reason, 'too old');
      assert.equal(s.parts.market_cap.as_of, '2021-05-18T13:55:59.000Z');
      assert.deepEqual(s.trending_topics,
        ['Polygon', 'Shiba Inu', 'SafeMoon', 'Solana', 'PancakeSwap', 'XRP', 'Sushi']);
      assert.ok(s.trending.every((t) => t.change_24h === null));
    } finally {
      await server.stop();
      await upstream.stop();
    }
  });

  test('a replay of a capture fetches nothing, and says what is missing', { skip }, async () => {
    const tape = join(root, 'ws/binance/spot_btcusdt_20240808.txt.gz');
    const server = await startServer({ source: `replay:${tape}`, args: ['--speed', '60'] });
    try {
      const s = await untilSo(server, () => true, 'a sentiment');
      assertHonest(s);
      for (const part of ['fear_greed', 'breadth', 'market_cap']) {
        assert.equal(s.parts[part].reason, 'nothing is fetched in a replay');
      }
      assert.deepEqual(s.trending_topics, []);
      assert.equal(s.trending_from.reason, 'nothing is fetched in a replay');
    } finally {
      await server.stop();
    }
  });
});
