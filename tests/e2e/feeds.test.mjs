/* Bad days of the exchanges: the stand-in is told to misbehave, and prices and candles stay true or
 * say that they are not. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { startFeedProxy } from './lib/feed-proxy.mjs';
import { json, TIME } from './lib/http.mjs';
import { Rows, seqOf, startMarket } from './lib/market.mjs';
import { startUpstream, until } from './lib/server.mjs';

const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const FEEDS = ['binance', 'coinbase', 'kraken'];
const rate = (perSecond) => ['--seed', '7', '--rate', `${perSecond}`]; /* trades of a symbol */

/* A stand-in, a proxy before its sockets, and a server, all of the test alone: what is ordered of one
 * must not hurt another. `options` may be a function of the proxy. */
async function withMarket(options, body, perSecond = 3) {
  const upstream = await startUpstream({ args: rate(perSecond) });
  const proxy = await startFeedProxy(upstream);
  let server;
  try {
    server = await startMarket(upstream, typeof options === 'function' ? options(proxy) : options);
    await body(server, upstream, proxy);
    await server.stop();
  } catch (error) {
    server?.kill('SIGKILL');
    error.message += `\n${server?.log}`;
    throw error;
  } finally {
    await proxy.stop();
    if (!upstream.ended) await upstream.stop();
  }
}

const feedOf = async (server, symbol, name) => (await server.asset(symbol)).feeds.find((f) => f.feed === name);
/* BTC, and what one feed says of it, once it is so: the machine may be late with all of it. */
const rowWhen = (server, check) => until(async () => {
  const row = await server.row('BTC');
  return row && check(row) && row;
}, `BTC: ${check}`, WAIT_MS);
const feedWhen = (server, name, check) => until(async () => {
  const feed = await feedOf(server, 'BTC', name);
  return feed && check(feed) && feed;
}, `BTC at ${name}: ${check}`, WAIT_MS);
const recordingOf = (server) => join(server.dir, 'recorded.jsonl');
/* Its candles are Binance's for sure: nobody else can be reached. */
const BINANCE = { symbols: ['BTC'], feeds: 1, env: { COINCAST_RECORD: 'recorded.jsonl',
  COINCAST_COINBASE_WS_URL: 'ws://127.0.0.1:9', COINCAST_KRAKEN_WS_URL: 'ws://127.0.0.1:9/v2' } };

/* The ids of the trades that Binance's connections brought, as they came. */
function binanceIds(server) {
  const text = readFileSync(recordingOf(server), 'utf8');
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map((line) => JSON.parse(line))
    .filter((item) => item.kind === 'ws_text' && item.source === 'binance' && item.body.includes('@trade"'))
    .map((item) => JSON.parse(item.body).data.t);
}

/* Waits until the open candle is exactly what the exchange's own list of trades sums to, from the
 * first trade on that came over the feed: none lost, none twice. */
async function candleIsExact(server, upstream, atLeast) {
  const [first] = binanceIds(server);
  let seen = 'none';
  return until(async () => {
    const { candles } = (await json(server, '/api/v1/assets/BTC/candles?interval=1m&limit=1')).body;
    const k = candles.at(-1);
    if (!k || k.history) return false;
    const trades = [];
    for (let from = first; trades.length < k.trades;) {
      const part = await (await fetch(`${upstream.origin}/api/v3/historicalTrades?symbol=BTCUSDT&fromId=${
        from}&limit=1000`)).json();
      if (part.length === 0) return false;
      trades.push(...part.filter((t) => t.time >= Date.parse(k.time)));
      from = part.at(-1).id + 1;
    }
    if (trades[0].id === first && k.trades < atLeast) return false;
    const own = trades.slice(0, k.trades);
    const price = own.map((t) => Number(t.price));
    const volume = own.reduce((sum, t) => sum + BigInt(Math.round(Number(t.qty) * 1e8)), 0n);
    const want = [price[0], Math.max(...price), Math.min(...price), price.at(-1), Number(volume) / 1e8];
    const have = [k.open, k.high, k.low, k.close, k.volume];
    seen = `${k.time} of ${k.trades} trades from ${own[0].id} on is ${have}, should be ${want}`;
    return have.every((x, i) => x === want[i]) && k;
  }, 'a candle of all trades and no other', WAIT_MS).catch((error) => {
    error.message += `; ${seen}`;
    throw error;
  });
}

/* No row says that a price is fresh which is older than one that came before. */
function assertTimesRise(rows, symbol) {
  let newest = 0;
  for (const { row } of rows.all.get(symbol)) {
    if (row.timestamp === null) continue;
    assert.match(row.timestamp, TIME);
    const at = Date.parse(row.timestamp);
    assert.ok(row.stale || at >= newest - 5_000, `${row.timestamp} after ${new Date(newest).toISOString()}`);
    newest = Math.max(newest, at);
  }
}

describe('bad days', { concurrency: 6 }, () => {
  /* those that wait longest come first */
  test('silent feeds are stale in their time: Coinbase 5 s, Kraken 10 s; the price goes on without', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server, upstream) => {
      await upstream.control({ target: 'coinbase/ws', fault: 'stall' });
      await upstream.control({ target: 'kraken/ws', fault: 'stall' });
      const silent = Date.now();
      const staleAfter = async (name) => {
        const h = await until(async () => {
          const feed = await server.feed(name);
          return feed.status === 'down' && feed.reason !== 'not connected yet' && feed;
        }, `${name} is down`, WAIT_MS);
        assert.match(h.reason, name === 'coinbase' ? /no heartbeat for 5 s/ : /no message for 10 s/);
        const f = await feedWhen(server, name, (x) => !x.fresh && !x.used && x.reason.length > 10);
        const isStale = ({ at, row }) => at > silent && !row.sources.find((x) => x.feed === name).fresh;
        const told = await until(() => new Rows(server.published()).all.get('BTC').find(isStale), 'told', WAIT_MS);
        return told.at - Date.parse(f.confirmed); /* since its last sign of life */
      };
      const [coinbase, kraken] = await Promise.all([staleAfter('coinbase'), staleAfter('kraken')]);
      assert.ok(coinbase < 20_000, `${coinbase} ms`);
      assert.ok(kraken < 25_000, `${kraken} ms`);
      const row = await rowWhen(server, (r) => r.feeds === 1 && r.sources[0].fresh);
      assert.deepEqual([row.stale, row.feeds, row.spread_pct], [false, 1, null]);
      assert.deepEqual(row.sources.map((s) => s.fresh), [true, false, false]);
    });
  });

  test('a clock that is wrong: behind is told, far ahead is refused and does not look alive', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server, upstream) => {
      await upstream.control({ target: 'coinbase/ws', fault: 'skew', value: -1270 });
      await until(async () => (await server.feed('coinbase')).lag_ms > 1_200, 'the lag shows', WAIT_MS);
      await feedWhen(server, 'coinbase', (f) => f.fresh);
      await rowWhen(server, (r) => r.feeds === 3);
      await upstream.control({ target: 'coinbase/ws', fault: 'skew', value: 700_000 });
      await feedWhen(server, 'coinbase', (f) => !f.fresh && /plausible/.test(f.reason));
      const row = await rowWhen(server, (r) => r.feeds === 2);
      assert.ok(Date.parse(row.timestamp) < Date.now() + 60_000, row.timestamp);
      for (const { row: r } of new Rows(server.published()).all.get('BTC')) {
        assert.ok(r.timestamp === null || Date.parse(r.timestamp) < Date.now() + 60_000);
      }
      await upstream.control({ target: 'coinbase/ws', fault: 'none' });
      await feedWhen(server, 'coinbase', (f) => f.fresh);
    });
  });

  test('what an exchange refuses is said of that symbol alone', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server, upstream) => {
      await until(async () => (await json(server, '/api/v1/assets')).body.assets.length > 400, 'the lists', WAIT_MS);
      await until(() => (server.log.match(/list of instruments/g) ?? []).length === 3, 'all lists', WAIT_MS);
      await upstream.control({ target: 'kraken/ws', fault: 'refuse' });
      await upstream.control({ target: 'coinbase/ws', fault: 'refuse' });
      const c = await Client.connect(server.ws);
      await c.subscribe('price_updates', { symbols: ['AVAX', 'BTC'] });
      await c.next((m) => m.type === 'price_updates' && m.data.AVAX?.price > 0 && !m.data.AVAX.stale, WAIT_MS);
      await until(async () => {
        const { feeds } = await server.asset('AVAX');
        return FEEDS.slice(1).every((name) => feeds.find((f) => f.feed === name)?.reason === 'not offered there')
          && feeds.find((f) => f.feed === 'binance')?.fresh;
      }, 'the reason', WAIT_MS);
      await rowWhen(server, (r) => r.feeds === 3);
      for (const name of FEEDS) {
        await until(async () => (await server.feed(name)).status === 'ok', `${name} is well`, WAIT_MS);
      }
      c.socket.terminate();
    });
  });

  test('a symbol that somebody asks for is followed while one client is left, on any transport', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server) => {
      await until(async () => (await json(server, '/api/v1/assets')).body.assets.length > 400, 'the lists', WAIT_MS);
      const watched = async (symbol) => (await server.asset(symbol)).watched;
      const hasLtc = (m) => m.type === 'price_updates' && m.data.LTC?.price > 0;
      assert.equal(await watched('LTC'), false);
      const [a, b] = [await Client.connect(server.ws), await Client.connect(server.ws)];
      await a.subscribe('price_updates', { symbols: ['ltc'] });
      await b.subscribe('price_updates', { symbols: ['LTC', 'DOT'] });
      await a.next(hasLtc, WAIT_MS);
      assert.equal(await watched('LTC'), true);
      await until(async () => (await server.feed('binance')).symbols === 3, 'three at Binance', WAIT_MS);
      a.socket.terminate();
      await b.settle();
      await b.next(hasLtc, WAIT_MS);
      const aborter = new AbortController();
      const answer = await fetch(`${server.origin}/api/v1/stream?channels=price_updates&symbols=XRP`,
        { signal: aborter.signal });
      let text = '';
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (/"XRP":\{[^}]*"price":[0-9]/.test(text)) break;
      }
      assert.equal(await watched('XRP'), true);
      aborter.abort();
      /* who has left is not forgotten at once: who comes back finds it running */
      b.socket.terminate();
      const again = await Client.connect(server.ws);
      await again.subscribe('price_updates', { symbols: ['LTC', 'XRP'] });
      const first = await again.next((m) => m.type === 'price_updates', WAIT_MS);
      assert.ok(first.data.LTC.price > 0 && first.data.XRP.price > 0, 'at once');
      again.socket.terminate();
    });
  });

  test('a connection that drops is made anew; what was missed comes from REST', async () => {
    await withMarket(BINANCE, async (server, upstream) => {
      await until(() => binanceIds(server).length > 20, 'trades', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'drop', times: 1 });
      const down = await until(async () => {
        const f = await server.feed('binance');
        return f.reconnects >= 1 && f;
      }, 'the connection broke', WAIT_MS);
      assert.ok(['down', 'ok'].includes(down.status));
      const up = await until(async () => {
        const f = await server.feed('binance');
        return f.status === 'ok' && f.repaired > 0 && f;
      }, 'it is back and repaired', WAIT_MS);
      assert.ok(up.gaps >= 1);
      const ids = binanceIds(server);
      assert.ok(ids.some((id, i) => i > 0 && id > ids[i - 1] + 1), 'there was a hole');
      const k = await candleIsExact(server, upstream, ids.length);
      assert.ok(k.trades > 20 || ids.length > 20);
      assertTimesRise(new Rows(server.published()), 'BTC');
      await rowWhen(server, (r) => !r.stale);
    }, 20); /* so many that some are missed while it is away */
  });

  for (const venue of FEEDS) test(`${venue} skips ids: the hole is seen and filled`, async () => {
    await withMarket(venue === 'binance' ? BINANCE : { symbols: ['BTC'] }, async (server, upstream) => {
      await until(async () => (await server.feed(venue)).ticks > 50, 'ticks', WAIT_MS);
      await upstream.control({ target: `${venue}/ws`, fault: 'skip', value: 5, times: 1 });
      const f = await until(async () => {
        const feed = await server.feed(venue);
        return feed.repaired >= 5 && feed.status === 'ok' && feed;
      }, 'a repair', WAIT_MS);
      assert.ok(f.gaps >= 1);
      if (f.reconnects === 0) {
        assert.equal(f.repaired, 5);
        /* where heartbeats say what trade was the last, part of a slow hole may have been seen before the rest */
        assert.ok(f.gaps <= (venue === 'coinbase' ? 5 : 1), `${f.gaps} gaps`);
      }
      if (venue === 'binance') {
        const ids = binanceIds(server);
        await candleIsExact(server, upstream, ids.length + 5);
      }
      assert.doesNotMatch(server.log, /trades were missed/);
    });
  });

  test('a hole that REST cannot fill is a gap, and said', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server, upstream) => {
      await until(async () => (await server.feed('binance')).ticks > 50, 'ticks', WAIT_MS);
      await upstream.control({ target: 'binance', fault: '5xx' });
      await upstream.control({ target: 'binance/ws', fault: 'skip', value: 5, times: 1 });
      await until(() => /trades were missed.*venue=binance/.test(server.log), 'it is said', WAIT_MS);
      const f = await until(async () => {
        const feed = await server.feed('binance');
        return /REST/.test(feed.reason) && feed;
      }, 'the reason', WAIT_MS);
      assert.deepEqual([f.gaps, f.repaired], [1, 0]);
      const { candles } = (await json(server, '/api/v1/assets/BTC/candles?interval=1m&limit=5')).body;
      assert.ok(candles.some((k) => k.gap), JSON.stringify(candles));
    });
  });

  test('frames that come twice count once', async () => {
    await withMarket(BINANCE, async (server, upstream) => {
      await until(() => binanceIds(server).length > 5, 'trades', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'double' });
      await until(async () => (await server.feed('binance')).doubled > 20, 'doubles', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'none' });
      await candleIsExact(server, upstream, new Set(binanceIds(server)).size);
      assert.equal((await server.feed('binance')).gaps, 0);
    });
  });

  test('a venue that is late by 2 s: the lag is told, the candles are the same', async () => {
    await withMarket(BINANCE, async (server, upstream) => {
      await until(() => binanceIds(server).length > 5, 'trades', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'latency', value: 2_000 });
      await until(async () => (await server.feed('binance')).lag_ms > 1_900, 'the lag shows', WAIT_MS);
      await candleIsExact(server, upstream, binanceIds(server).length + 10);
      await upstream.control({ target: 'binance/ws', fault: 'none' });
      await candleIsExact(server, upstream, binanceIds(server).length + 10);
      await rowWhen(server, (r) => !r.stale);
    });
  });

  test('garbage is counted and said; ten in a row end the connection, and the next is well', async () => {
    await withMarket(BINANCE, async (server, upstream) => {
      await until(() => binanceIds(server).length > 5, 'trades', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'garbage', times: 3 });
      const bad = await until(async () => {
        const f = await server.feed('binance');
        return f.rejected >= 3 && f;
      }, 'three refused', WAIT_MS);
      assert.equal(bad.status, 'degraded'); /* it is said for a minute */
      assert.match(bad.reason, /frame/);
      await upstream.control({ target: 'binance/ws', fault: 'garbage' });
      await until(async () => (await server.feed('binance')).reconnects > bad.reconnects, 'given up', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'none' });
      await feedWhen(server, 'binance', (f) => f.fresh);
      await candleIsExact(server, upstream, 5);
    });
  });

  test('a shutdown notice: the next connection delivers before the old one ends; none lost, none twice', async () => {
    await withMarket(BINANCE, async (server, upstream) => {
      await until(() => binanceIds(server).length > 20, 'trades', WAIT_MS);
      await upstream.control({ target: 'binance/ws', fault: 'shutdown', value: 50_000, times: 1 });
      const f = await until(async () => {
        const feed = await server.feed('binance');
        return feed.turnovers === 1 && feed;
      }, 'a turnover', WAIT_MS);
      assert.deepEqual([f.reconnects, f.status, f.connections], [0, 'ok', 1]);
      assert.ok(f.doubled > 0, 'both delivered for a while');
      const count = new Set(binanceIds(server)).size;
      await candleIsExact(server, upstream, count + 10);
      assert.equal((await server.feed('binance')).gaps, 0);
      const rows = new Rows(server.published()).all.get('BTC');
      const first = rows.findIndex(({ row }) => row.feeds === 1);
      assert.ok(rows.slice(first).every(({ row }) => row.feeds === 1 && !row.stale), 'it was never stale');
    }, 20); /* so many that in any second there is one */
  });

  test('HTTP 451 is said as blocked by region, and not tried again at once', async () => {
    const began = Date.now();
    await withMarket((proxy) => {
      proxy.status = 451;
      return { symbols: ['BTC'], feeds: 2, env: { COINCAST_BINANCE_WS_URL: proxy.ws, COINCAST_BINANCE_URL: proxy.origin } };
    }, async (server, upstream, proxy) => {
      const f = await until(async () => {
        const feed = await server.feed('binance');
        return /region/.test(feed.reason) && feed;
      }, 'the reason', WAIT_MS);
      assert.deepEqual([f.status, f.reason, f.connections], ['down', 'blocked by region', 0]);
      assert.ok(Date.parse(f.next_try) - began > 300_000, f.next_try);
      const health = await until(async () => {
        const { body } = await json(server, '/api/health');
        return /region/.test(body.components.find((c) => c.name === 'binance').reason) && body;
      }, 'the provider says so too', WAIT_MS);
      assert.notEqual(health.status, 'ok');
      await feedWhen(server, 'binance', (x) => /region/.test(x.reason));
      const asset = await until(async () => {
        const a = await server.asset('BTC');
        return a.candle_venue === 'coinbase' && a.price.feeds === 2 && a;
      }, 'prices and candles of the others', WAIT_MS);
      assert.equal(asset.price.stale, false);
      assert.equal(proxy.handshakes, 1);
    });
  });

  test('a venue whose price is off is left out and counted', async () => {
    let factor = 1;
    const change = (text) => {
      const m = JSON.parse(text);
      for (const d of Array.isArray(m.data) ? m.data : []) {
        if (d.symbol !== 'BTC/USD') continue;
        for (const k of ['price', 'bid', 'ask', 'last']) {
          if (typeof d[k] === 'number') d[k] = Math.round(d[k] * factor * 10) / 10;
        }
      }
      return JSON.stringify(m);
    };
    await withMarket((proxy) => {
      proxy.change = change;
      return { symbols: ['BTC'], env: { COINCAST_KRAKEN_WS_URL: `${proxy.ws}/v2` } };
    }, async (server) => {
      const good = await until(async () => {
        const row = await server.row('BTC');
        return row.feeds === 3 && row.sources.every((s) => s.used) && row;
      }, 'three agree', WAIT_MS);
      assert.equal(good.outliers, 0);
      factor = 1.05;
      const off = await until(async () => {
        const row = await server.row('BTC');
        const kraken = row.sources.find((x) => x.feed === 'kraken');
        return row.outliers > 0 && row.spread_pct > 3 && kraken.fresh && !kraken.used && row;
      }, 'one is off', WAIT_MS);
      assert.ok(Math.abs(off.price / good.price - 1) < 0.02, `${off.price} after ${good.price}`);
      await feedWhen(server, 'kraken', (x) => x.outlier);
      factor = 1;
      await until(async () => (await server.row('BTC')).sources.every((x) => x.used), 'it is back', WAIT_MS);
      assert.ok((await server.row('BTC')).outliers >= off.outliers, 'they stay counted');
    });
  });

  test('all venues gone: stale with the reason, never said again as new; back when they are', async () => {
    let again;
    await withMarket({ symbols: ['BTC', 'ETH'] }, async (server, upstream) => {
      const c = await Client.connect(server.ws);
      await c.subscribe('price_updates', { symbols: ['BTC'] });
      await c.subscribe('ticker');
      await c.next((m) => m.type === 'price_updates', WAIT_MS);
      await c.settle();
      upstream.kill('SIGKILL');
      await upstream.exited;
      const gone = Date.now();
      const stale = await c.next((m) => m.type === 'price_updates' && m.data.BTC?.stale, WAIT_MS);
      const row = stale.data.BTC;
      assert.ok(row.price > 0 && row.reason.length > 10, row.reason);
      assert.deepEqual([row.feeds, row.bid, row.ask, row.spread_pct], [0, null, null, null]);
      assert.ok(Date.parse(row.timestamp) <= gone + 100);
      const quiet = await until(async () => {
        const { body } = await json(server, '/api/v1/ticker');
        return body.totals?.fresh === 0 && body.totals.known === 2 && body;
      }, 'the ticker says so', WAIT_MS);
      assert.equal(quiet.breadth.advancers + quiet.breadth.decliners + quiet.breadth.unchanged, 0);
      for (const name of FEEDS) {
        await until(async () => {
          const f = await server.feed(name);
          return f.status === 'down' && f.reason.length > 5 && f.next_try;
        }, `${name} is down`, WAIT_MS);
      }
      const rest = await server.row('BTC');
      assert.deepEqual([rest.price, rest.stale, rest.timestamp], [row.price, true, row.timestamp]);
      await c.settle();
      await until(() => (server.log.match(/no connection venue=kraken/g) ?? []).length >= 2, 'two tries', WAIT_MS);
      assert.ok(!(await c.settle()).some((m) => m.type === 'price_updates'), 'nothing is said again');
      again = await startUpstream({ args: rate(3), port: upstream.port });
      await until(async () => (await server.row('BTC')).feeds === 3, 'all are back', 2 * WAIT_MS); /* the wait for the next try has doubled several times */
      const said = await c.next((m) => m.type === 'price_updates' && m.data.BTC?.feeds === 3, WAIT_MS);
      const later = (await Rows.upTo(server, seqOf(said.cursor))).all.get('BTC').filter(({ seq }) => seq > seqOf(stale.cursor));
      assert.ok(later.length > 0);
      for (const { row: r } of later) {
        assert.ok(r.stale || Date.parse(r.timestamp) > gone, `${r.timestamp} is said as new`);
      }
      c.socket.terminate();
    }).finally(() => again?.stop());
  });

  test('a symbol that nobody offers has no price, and a reason', async () => {
    await withMarket({ symbols: ['BTC', 'NOPE'], feeds: 0 }, async (server) => {
      await until(async () => (await server.row('BTC'))?.price > 0, 'a price', WAIT_MS);
      await until(() => (server.log.match(/list of instruments/g) ?? []).length === 3, 'all lists', WAIT_MS);
      const { body } = await json(server, '/api/v1/prices?symbols=NOPE');
      const said = body.data.NOPE?.reason ?? body.missing.NOPE;
      assert.ok(said.length > 10, JSON.stringify(body));
      assert.equal(body.data.NOPE?.price ?? null, null);
      for (const name of FEEDS) {
        await until(async () => (await server.feed(name)).status === 'ok', `${name} is well`, WAIT_MS);
      }
    });
  });

  test('a symbol that nobody trades has its history all the same, and its trades follow on', async () => {
    let quiet = true;
    await withMarket((proxy) => {
      proxy.change = (text) => (quiet && text.includes('@trade"') ? null : text);
      return { ...BINANCE, env: { ...BINANCE.env, COINCAST_BINANCE_WS_URL: proxy.ws } };
    }, async (server) => {
      const candles = async (interval) =>
        (await json(server, `/api/v1/assets/BTC/candles?interval=${interval}&limit=100`)).body.candles ?? [];
      for (const interval of ['1m', '1h', '1d']) {
        await until(async () => (await candles(interval)).filter((k) => k.history).length >= 99,
          `candles of ${interval}`, WAIT_MS);
      }
      assert.deepEqual(binanceIds(server), [], 'nobody traded');
      await until(() => Date.now() % 60_000 < 40_000, 'a minute that is not nearly over', WAIT_MS); /* it is to be seen open */
      quiet = false;
      const open = await until(async () => (await candles('1m')).find((k) => !k.closed), 'an open one', WAIT_MS);
      assert.equal(open.gap, true, 'it began before we heard of trades');
    });
  });

  test('a symbol that was not followed is, for who subscribes to its candles', async () => {
    await withMarket({ symbols: ['BTC'] }, async (server) => {
      const path = '/api/v1/assets/S007/candles?limit=5';
      const before = await until(async () => {
        const answer = await json(server, path); /* once the exchanges' lists are there */
        return answer.status === 200 && answer.body;
      }, 'it is offered', WAIT_MS);
      assert.deepEqual(before.candles, []);
      assert.match(before.reason, /only while a client subscribes/);
      const c = await Client.connect(server.ws);
      assert.equal((await c.subscribe('candles:s007:1m')).type, 'subscribed');
      const [first] = await c.take((m) => m.channel === 'candles:S007:1m', 1, WAIT_MS);
      assert.ok(first.data.candle.close > 0, first.text); /* a closed one, or its first trade */
      assert.equal((await server.asset('S007')).watched, true);
      await c.close();
    });
  });

  test('Coinbase alone: four-hour candles are its hours summed up, whole ones only', async () => {
    const env = { COINCAST_BINANCE_WS_URL: 'ws://127.0.0.1:9', COINCAST_KRAKEN_WS_URL: 'ws://127.0.0.1:9/v2' };
    await withMarket({ symbols: ['BTC'], feeds: 1, env }, async (server, upstream) => {
      const HOUR = 3_600_000;
      const closed = await until(async () => {
        const { candles } = (await json(server, '/api/v1/assets/BTC/candles?interval=4h&limit=1000')).body;
        const done = candles?.filter((c) => c.closed && c.history) ?? []; /* one may end here meanwhile */
        return done.length >= 299 && done;
      }, '299 closed candles of history', WAIT_MS);
      const hours = new Map(); /* [time s, low, high, open, close, volume] */
      const first = Date.parse(closed[0].time);
      const end = Date.parse(closed.at(-1).time) + 4 * HOUR;
      for (let from = first; from < end; from += 300 * HOUR) {
        const to = Math.min(from + 299 * HOUR, end - HOUR);
        const rows = await (await fetch(`${upstream.origin}/products/BTC-USD/candles?granularity=3600&start=${
          new Date(from).toISOString()}&end=${new Date(to).toISOString()}`)).json();
        for (const row of rows) hours.set(row[0] * 1000, row);
      }
      closed.forEach((c, i) => {
        const open = Date.parse(c.time);
        assert.equal(open, first + i * 4 * HOUR, 'none is missing');
        assert.equal(open % (4 * HOUR), 0);
        const parts = [0, 1, 2, 3].map((h) => hours.get(open + h * HOUR));
        const volume = parts.reduce((sum, p) => sum + BigInt(Math.round(p[5] * 1e8)), 0n);
        assert.deepEqual([c.open, c.high, c.low, c.close, c.volume, c.gap, c.repaired, c.history],
          [parts[0][3], Math.max(...parts.map((p) => p[2])), Math.min(...parts.map((p) => p[1])), parts[3][4],
            Number(volume) / 1e8, false, false, true], c.time);
      });
    });
  });

  test("what Binance says of its limit to a provider's request holds the feed's REST too", async () => {
    const daily = '/api/v3/klines?symbol=BTCUSDT&interval=1d&limit=500'; /* the candles of RSI-14 */
    const minute = () => Math.floor(Date.now() / 60_000);
    let seen = false;
    for (let i = 0; i < 3 && !seen; i++) { /* it counts by minutes, and one may end before we have looked */
      let said; /* in which minute */
      await until(() => Date.now() % 60_000 < 45_000, 'a minute that is not nearly over', WAIT_MS);
      await withMarket((proxy) => {
        proxy.headers = ({ 'x-mbx-used-weight': _, 'x-mbx-used-weight-1m': __, ...others }, path) => {
          if (path !== daily) return others;
          said = minute();
          return { ...others, 'x-mbx-used-weight-1m': '5000' };
        };
        return { ...BINANCE, env: { ...BINANCE.env, COINCAST_BINANCE_URL: proxy.origin } };
      }, async (server) => {
        const found = await until(async () => {
          const { components } = (await json(server, '/api/health')).body;
          const [feed, provider] = ['binance feed', 'binance'].map((name) => components.find((c) => c.name === name));
          if (feed?.weight?.used > 0 && feed.reason?.startsWith('REST') && provider?.next_try) return { feed, provider };
          return said < minute() && 'over';
        }, 'both know of it', 2 * WAIT_MS);
        if (found === 'over') return;
        seen = true;
        assert.deepEqual(found.feed.weight, { used: 5000, limit: 6000 });
        assert.match(found.feed.reason, /REST waits for the next minute: 5000 of 6000 used up/);
        assert.match(found.provider.reason, /limit for this address .*5000 of 6000/);
        assert.equal(Date.parse(found.provider.next_try) % 60_000, 1_000);
      });
    }
    assert.ok(seen, 'the feed and the provider say so within that minute');
  });
});
