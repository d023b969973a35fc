/* Live prices on every transport, against the stand-in's exchanges: whatever a client asked for, what
 * it has is what the server published last. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { decode, encode } from '@msgpack/msgpack';
import WebSocket from 'ws';
import { Client } from './lib/client.mjs';
import { assertProblem, json, mustPublish, request, TIME } from './lib/http.mjs';
import { Rows, seqOf, startMarket } from './lib/market.mjs';
import { backEnds, sleep, startServer, startUpstream, until } from './lib/server.mjs';

const SYMBOLS = ['BTC', 'ETH', 'SOL', 'DOGE'];
const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const prices = (m) => m.type === 'price_updates';
const manyNames = (count) => Array.from({ length: count }, (_, i) => (i + 1296).toString(36).toUpperCase());

/* Reads a stream of events until `enough`; gives the events as {event, id, data}. */
async function readEvents(server, path, enough, headers = {}) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(new Error('the events did not come')), WAIT_MS);
  const events = [];
  let text = '';
  try {
    const answer = await fetch(server.origin + path, { headers, signal: aborter.signal });
    assert.equal(answer.status, 200);
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const blocks = text.split('\n\n');
      text = blocks.pop();
      for (const block of blocks) {
        const one = {};
        for (const [, name, value] of block.matchAll(/^(event|id|data): ?(.*)$/gm)) one[name] = value;
        if (one.data) events.push({ ...one, data: JSON.parse(one.data) });
      }
      if (enough(events)) break;
    }
  } finally {
    clearTimeout(timer);
    aborter.abort();
  }
  return events;
}

/* Subscribes, takes the first message, reads nothing until what it is spared is told, then wakes. */
async function sleepThrough(server, c, params) {
  await c.subscribe('app:fill');
  await c.subscribe('price_updates', params);
  const asked = await c.next(prices, WAIT_MS);
  c.socket.pause();
  const filler = 'x'.repeat(8000);
  for (let n = 0; n < 2400; n += 200) { /* 19 MB: more than sockets hold */
    await mustPublish(server, Array.from({ length: 200 }, () => ({ channel: 'app:fill', data: filler })));
  }
  const asleepAt = server.published().at(-1).seq;
  await until(() => new Rows(server.published()).count(params.symbols, asleepAt, Infinity) > 60,
    'prices while it sleeps', WAIT_MS);
  c.send({ type: 'stats', id: 'asleep' });
  c.socket.resume();
  return asked;
}

const both = await backEnds();
describe('prices', { concurrency: both.length }, () => {
  let upstream;
  before(async () => {
    upstream = await startUpstream({ args: ['--seed', '7', '--rate', '20'] });
  });
  after(() => upstream?.stop());

  for (const { io, skip } of both) describe(`on ${io}`, { skip, concurrency: 4 }, () => {
    let server;
    const open = [];
    const connect = async () => {
      const c = await Client.connect(server.ws);
      open.push(c);
      return c;
    };
    before(async () => {
      server = await startMarket(upstream, { io, args: ['--shards', '2'],
        env: { COINCAST_PING_INTERVAL_MS: '500', COINCAST_PING_TIMEOUT_MS: '120000', /* some sleep long */
          COINCAST_HISTORY_BYTES: '1000000' } });
    });
    after(async () => {
      for (const c of open) c.socket.terminate();
      await server?.stop();
    });

    test('the first message has all that was asked for, the next only what changed', async () => {
      const c = await connect();
      const reply = await c.subscribe('price_updates', { symbols: ['btc', 'Eth', 'NOPE', 'eth'] });
      assert.deepEqual([reply.params.symbols, reply.unknown], [['BTC', 'ETH'], ['NOPE']]);
      const all = [await c.next(prices, WAIT_MS)];
      assert.deepEqual(Object.keys(all[0].data).sort(), ['BTC', 'ETH']);
      for (const [symbol, row] of Object.entries(all[0].data)) {
        assert.equal(row.symbol, symbol);
        assert.ok(row.price > 0 && row.bid <= row.ask && row.feeds >= 1);
        assert.equal(row.stale, false);
        assert.match(row.timestamp, TIME);
      }
      while (all.length < 40) all.push(await c.next(prices, WAIT_MS));
      const rows = await Rows.upTo(server, seqOf(all.at(-1).cursor));
      for (const [i, m] of all.entries()) {
        rows.assertNewest(m);
        assert.ok(i === 0 || seqOf(m.cursor) > seqOf(all[i - 1].cursor), 'cursors rise');
      }
      /* nothing is left out: a client that reads gets every row's newest state */
      const [from, to] = [all[0], all.at(-1)].map((m) => seqOf(m.cursor));
      for (const symbol of ['BTC', 'ETH']) {
        const last = all.findLast((m) => m.data[symbol]);
        assert.deepEqual(last.data[symbol], rows.at(symbol, to), symbol);
        assert.ok(rows.count([symbol], from, to) > 0);
      }
      assert.ok(!all.some((m) => Object.keys(m.data).some((s) => s !== 'BTC' && s !== 'ETH')));
    });

    test('10,000 symbols are too many, said in a sentence', async () => {
      const c = await connect();
      const reply = await c.subscribe('price_updates', { symbols: manyNames(10_000) });
      assert.deepEqual([reply.type, reply.code], ['error', 'too_many']);
      assert.match(reply.error, /500/);
      const known = await c.subscribe('price_updates', { symbols: [...manyNames(480), ...SYMBOLS] });
      assert.deepEqual([...known.params.symbols].sort(), [...SYMBOLS].sort());
      assert.equal(known.unknown.length, 480);
      const list = manyNames(10_000).join(',');
      for (const path of ['prices', 'stream', 'poll', 'signals']) {
        assertProblem(await request(server, `/api/v1/${path}?symbols=${list}`), 414);
        assertProblem(await request(server, `/api/v1/${path}?symbols=${manyNames(501)}`), 422);
      }
    });

    test('max_hz 2: at most two a second, and always the newest', async () => {
      const c = await connect();
      const began = performance.now();
      await c.subscribe('price_updates', { symbols: SYMBOLS, max_hz: 2 });
      const all = [await c.next(prices, WAIT_MS)];
      while (all.length < 10) all.push(await c.next(prices, WAIT_MS));
      const seconds = (performance.now() - began) / 1000;
      const rows = await Rows.upTo(server, seqOf(all.at(-1).cursor));
      for (const m of all) rows.assertNewest(m);
      for (const symbol of SYMBOLS) {
        const updates = all.filter((m) => m.data[symbol]).length; /* what it was given first counts */
        assert.ok(updates <= 2 * seconds + 1, `${symbol}: ${updates} in ${seconds} s`);
      }
      const [from, to] = [all[0], all.at(-1)].map((m) => seqOf(m.cursor));
      const sent = all.reduce((sum, m) => sum + Object.keys(m.data).length, 0);
      assert.ok(rows.count(SYMBOLS, from, to) > sent, 'more was published than was sent');
      /* it was no loss: nobody is told of it */
      assert.ok(!(await c.settle()).some((m) => m.channel === 'price_updates' && m.type === 'conflated'));
    });

    test('max_hz holds from the first message on, whenever one joins those who ask for the same', async () => {
      const join = async (_, i) => {
        await sleep(130 * i);
        const c = await connect();
        const at = [performance.now()]; /* the first comes after this, however late we read it */
        await c.subscribe('price_updates', { symbols: ['BTC', 'ETH'], max_hz: 2 });
        while (at.length < 5) {
          const m = await c.next(prices, WAIT_MS);
          if (m.data.BTC) at.push(performance.now());
        }
        /* the server's clock stands still for as long as it is at work */
        assert.ok(at[4] - at[0] > 3 * 500 - 250, `client ${i}: ${at.map((t) => Math.round(t - at[0]))} ms`);
      };
      await Promise.all(Array.from({ length: 6 }, join));
    });

    test('deltas applied give the rows that full messages have', async () => {
      const c = await connect();
      await c.subscribe('price_updates', { symbols: ['BTC', 'DOGE'], delta: true });
      const first = await c.next(prices, WAIT_MS);
      assert.equal(first.delta, undefined, 'a full one first');
      const all = [];
      while (all.length < 100) all.push(await c.next(prices, WAIT_MS));
      const rows = await Rows.upTo(server, seqOf(all.at(-1).cursor));
      const have = structuredClone(first.data);
      let base = first.cursor;
      let small = 0;
      for (const m of all) {
        if (m.delta) {
          assert.equal(m.base, base, 'it builds on the message before');
          for (const [symbol, change] of Object.entries(m.data)) Object.assign(have[symbol], change);
          small += m.text.length < 400;
        } else {
          Object.assign(have, structuredClone(m.data));
        }
        base = m.cursor;
        for (const symbol of ['BTC', 'DOGE']) {
          assert.deepEqual(have[symbol], rows.at(symbol, seqOf(m.cursor)), `${symbol} at ${m.cursor}`);
        }
      }
      assert.ok(small > all.length / 2, `${small} of ${all.length} are small`);
    });

    for (const perMessageDeflate of [false, true]) {
      test(`MessagePack has the same values, ${perMessageDeflate ? 'compressed' : 'plain'}`, async () => {
        const socket = new WebSocket(server.ws, ['coincast.msgpack.v1'], { perMessageDeflate });
        open.push({ socket });
        const all = [];
        let unpacked = 0;
        socket.on('message', (bytes) => {
          unpacked += bytes.length;
          all.push(decode(bytes));
        });
        await new Promise((done, fail) => socket.once('open', done).once('error', fail));
        socket.send(encode({ type: 'subscribe', channel: 'price_updates', params: { symbols: SYMBOLS } }));
        await until(() => all.filter(prices).length >= 40, 'forty messages', WAIT_MS);
        const wire = socket._socket;
        socket.close();
        await new Promise((done) => socket.once('close', done)); /* all that came is unpacked */
        assert.equal(wire.bytesRead < unpacked, perMessageDeflate, `${wire.bytesRead} bytes came, ${unpacked} of messages`);
        const got = all.filter(prices);
        const rows = await Rows.upTo(server, seqOf(got.at(-1).cursor));
        for (const m of got) rows.assertNewest(m);
      });
    }

    test('who did not read gets one newest row a symbol, and is told what it was spared', async () => {
      const c = await connect();
      const asked = await sleepThrough(server, c, { symbols: ['BTC', 'ETH'] });
      const isNotice = (m) => m.type === 'conflated' && m.channel === 'price_updates';
      const spared = () => c.messages.filter(isNotice).reduce((sum, m) => sum + m.n, 0);
      await until(() => spared() > 30 && prices(c.messages.findLast((m) => isNotice(m) || prices(m))),
        'a notice, and prices behind it', WAIT_MS);
      const got = c.messages.filter((m) => isNotice(m) || prices(m));
      const rows = await Rows.upTo(server, seqOf(got.findLast(prices).cursor));
      let from = seqOf(asked.cursor);
      for (const [i, m] of got.entries()) {
        if (isNotice(m)) continue;
        const to = seqOf(m.cursor);
        rows.assertNewest(m);
        assert.deepEqual(Object.keys(m.data).sort(), ['BTC', 'ETH'].filter((s) => rows.count([s], from, to) > 0));
        /* of what lies between two messages all but the rows that came was spared, and told */
        const missed = rows.count(['BTC', 'ETH'], from, to) - Object.keys(m.data).length;
        if (isNotice(got[i - 1] ?? {})) assert.ok(got[i - 1].n <= missed && got[i - 1].n > missed / 2, `${got[i - 1].n} of ${missed}`);
        from = to;
      }
      const told = { n: spared() };
      const newest = got.findLast(prices);
      await c.next((m) => m.type === 'gap' && m.channel === 'app:fill', WAIT_MS);
      assert.equal((await c.next('stats', WAIT_MS)).id, 'asleep');
      c.send({ type: 'stats', id: 'awake' });
      const { data } = await c.next((m) => m.type === 'stats' && m.id === 'awake', WAIT_MS);
      assert.ok(data.conflated >= told.n, `${data.conflated} of ${told.n}`);
      assert.ok(data.dropped >= 1);
      /* and from here on it is a client like any other */
      const next = await c.take((m) => prices(m) && seqOf(m.cursor) > seqOf(newest.cursor), 10, WAIT_MS);
      const later = await Rows.upTo(server, seqOf(next.at(-1).cursor));
      for (const m of next) later.assertNewest(m);
      c.socket.terminate();
    });

    test('deltas begin anew behind what was spared', async () => {
      const c = await connect();
      const asked = await sleepThrough(server, c, { symbols: ['BTC', 'ETH'], delta: true });
      const isNotice = (m) => m.type === 'conflated' && m.channel === 'price_updates';
      const mine = () => c.messages.filter((m) => isNotice(m) || prices(m));
      await until(() => mine().some(isNotice) && mine().length - mine().findLastIndex(isNotice) > 20,
        'deltas behind the notice', WAIT_MS);
      const got = mine();
      const rows = await Rows.upTo(server, seqOf(got.findLast(prices).cursor));
      const have = structuredClone(asked.data);
      let base = asked.cursor;
      for (const [i, m] of got.entries()) {
        if (isNotice(m)) continue;
        if (m.delta) {
          assert.ok(!isNotice(got[i - 1] ?? {}), 'a full one first');
          assert.equal(m.base, base);
          for (const [symbol, change] of Object.entries(m.data)) Object.assign(have[symbol], change);
        } else {
          Object.assign(have, structuredClone(m.data));
        }
        base = m.cursor;
        for (const symbol of Object.keys(m.data)) {
          assert.deepEqual(have[symbol], rows.at(symbol, seqOf(m.cursor)), `${symbol} at ${m.cursor}`);
        }
      }
      c.socket.terminate();
    });

    test('stats: bytes pending, spared, lost, round trip, lag', async () => {
      const c = await connect();
      await c.subscribe('price_updates');
      const data = await until(async () => {
        c.send({ type: 'stats', id: 's' });
        const stats = (await c.next('stats', WAIT_MS)).data;
        return stats.round_trip_ms !== null && stats.lag_ms !== null && stats;
      }, 'a round trip and a lag', WAIT_MS);
      for (const name of ['pending_bytes', 'conflated', 'gaps', 'dropped']) {
        assert.ok(Number.isInteger(data[name]) && data[name] >= 0, `${name} ${data[name]}`);
      }
      assert.equal(data.dropped, 0);
      assert.equal(data.subscriptions, 3);
      assert.ok(data.round_trip_ms >= 0 && data.round_trip_ms < 60_000);
      assert.ok(data.lag_ms >= 0 && data.lag_ms < 60_000, `${data.lag_ms}`);
      assert.ok(Math.abs(data.exchange_lag_ms) < 60_000, `${data.exchange_lag_ms}`);
      assert.equal(data.deflate, false);
    });

    test('candles: the last closed one, then the open one as it grows', async () => {
      const c = await connect();
      const channel = 'candles:BTC:1m';
      await until(async () => (await json(server, '/api/v1/assets/BTC/candles?limit=5')).body.candles
        ?.some((x) => x.closed), 'closed candles', WAIT_MS);
      const began = performance.now();
      assert.equal((await c.subscribe(channel)).type, 'subscribed');
      const got = await c.take((m) => m.channel === channel, 10, WAIT_MS);
      const seconds = (performance.now() - began) / 1000;
      assert.ok(got.some((m) => m.data.candle.closed), 'a closed one is there at once');
      const open_ = got.filter((m) => !m.data.candle.closed);
      assert.ok(open_.length <= 4 * seconds + 2, `${open_.length} in ${seconds} s`);
      for (const { data } of got) {
        assert.deepEqual([data.symbol, data.interval, data.venue, data.quote], ['BTC', '1m', 'binance', 'USDT']);
        const k = data.candle;
        assert.ok(k.low <= Math.min(k.open, k.close) && k.high >= Math.max(k.open, k.close) && k.volume > 0);
        assert.equal(Date.parse(k.time) % 60_000, 0);
      }
      for (let i = 1; i < open_.length; i++) {
        const [a, b] = [open_[i - 1].data.candle, open_[i].data.candle];
        if (a.time !== b.time) continue;
        assert.ok(b.trades >= a.trades && b.volume >= a.volume && b.high >= a.high && b.low <= a.low);
        assert.equal(b.open, a.open);
      }
    });

    test('closed candles are those of the exchange', async () => {
      const to = Math.floor(Date.now() / 60_000) * 60_000;
      const path = `/api/v1/assets/btc/candles?interval=1m&from=${new Date(to - 1_200_000).toISOString()}&to=${to}`;
      let ours;
      let theirs;
      await until(async () => { /* late trades amend a closed one; a gap is asked for when its last minute is over */
        const { body } = await json(server, path);
        ours = (body.candles ?? []).map((k) =>
          [Date.parse(k.time), k.open, k.high, k.low, k.close, k.volume, k.trades, k.closed, k.gap]);
        const rest = await (await fetch(`${upstream.origin}/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=${
          to - 1_200_000}&endTime=${to - 1}&limit=20`)).json();
        theirs = rest.map((r) => [r[0], ...r.slice(1, 6).map(Number), r[8], true, false]);
        return theirs.length === 20 && isDeepStrictEqual(ours, theirs);
      }, 'twenty closed candles, the same', 3 * WAIT_MS).catch((error) => {
        assert.deepEqual(ours, theirs);
        throw error;
      });
    });

    test('ticker: totals, breadth, movers, at most once a second', async () => {
      const c = await connect();
      await c.subscribe('ticker');
      const got = await c.take('ticker', 4, WAIT_MS);
      const at = got.slice(1).map((m) => Date.parse(m.timestamp));
      assert.ok(at[2] - at[0] >= 1_900, `${at}`);
      /* a feed that is made anew is not fresh, and a change may be known later than a price */
      const { data } = await c.next((m) => m.type === 'ticker' && m.data.totals.fresh === 4
        && m.data.breadth.advancers + m.data.breadth.decliners + m.data.breadth.unchanged === 4, WAIT_MS);
      assert.deepEqual([data.totals.symbols, data.totals.known, data.totals.fresh], [4, 4, 4]);
      assert.ok(data.totals.volume_24h > 0);
      const { advancers, decliners, unchanged, value } = data.breadth;
      assert.equal(advancers + decliners + unchanged, 4);
      assert.ok(advancers + decliners === 0 || Math.abs(value - (advancers - decliners) / (advancers + decliners)) < 1e-4);
      assert.ok(data.gainers.every((g) => g.change_24h > 0) && data.losers.every((g) => g.change_24h < 0));
      assert.ok(data.gainers.length + data.losers.length <= 4);
    });

    test('SSE: the same rows, named and resumed', async () => {
      const path = '/api/v1/stream?channels=price_updates&symbols=btc,SOL,nope&max_hz=20';
      const one = await readEvents(server, path, (all) => all.filter((e) => e.event === 'price_updates').length >= 8);
      const reply = one.find((e) => e.event === 'subscribed');
      assert.deepEqual(reply.data.unknown, ['NOPE']);
      const rowsOf = (all) => all.filter((e) => e.event === 'price_updates');
      assert.deepEqual(Object.keys(rowsOf(one)[0].data.data).sort(), ['BTC', 'SOL']);
      const { id } = one.findLast((e) => e.id);
      const two = await readEvents(server, path, (all) => rowsOf(all).length >= 3, { 'last-event-id': id });
      assert.equal(two.find((e) => e.event === 'subscribed').data.reset, false);
      const rows = await Rows.upTo(server, seqOf(rowsOf(two).at(-1).data.cursor));
      for (const e of rowsOf([...one, ...two])) rows.assertNewest(e.data);
    });

    test('polling: the same rows, from the cursor on', async () => {
      const path = '/api/v1/poll?channels=price_updates&symbols=ETH,DOGE';
      let { body } = await json(server, path);
      assert.deepEqual(Object.keys(body.messages.find(prices).data).sort(), ['DOGE', 'ETH']);
      const all = [];
      for (let i = 0; i < 6; i++) {
        all.push(...body.messages);
        const { cursor } = body;
        ({ body } = await json(server, `${path}&since=${cursor}`));
        assert.equal(body.reset, false);
        assert.ok(body.messages.length > 0);
        for (const m of body.messages) assert.ok(seqOf(m.cursor) > seqOf(cursor), `${m.cursor} after ${cursor}`);
      }
      const rows = await Rows.upTo(server, seqOf(all.at(-1).cursor));
      for (const m of all) rows.assertNewest(m);
    });

    test('REST: prices are the rows, ETag gives 304 until something changes', async () => {
      const { body, headers } = await json(server, '/api/v1/prices?symbols=BTC,eth,NOPE');
      assert.equal(headers['cache-control'], 'no-cache');
      assert.deepEqual(Object.keys(body.data).sort(), ['BTC', 'ETH']);
      assert.deepEqual(body.unknown, ['NOPE']);
      assert.equal(body.mode, 'demo');
      const rows = await Rows.upTo(server, seqOf(body.cursor));
      rows.assertNewest(body);
      const closed = Math.floor(Date.now() / 60_000) * 60_000 - 60_000;
      for (const path of ['prices?symbols=BTC', 'ticker', 'assets', 'assets/btc', 'sentiment', 'signals',
        `assets/btc/candles?to=${closed}&limit=10`, 'assets/btc/indicators?interval=1d']) {
        const get = await until(async () => {
          const answer = await request(server, `/api/v1/${path}`);
          return answer.status === 200 && answer;
        }, path, WAIT_MS);
        assert.equal(get.headers['cache-control'], 'no-cache', path);
        const again = await request(server, `/api/v1/${path}`, { headers: { 'if-none-match': get.headers.etag } });
        if (again.status === 304) {
          assert.equal(again.text, '', path);
          assert.equal(again.headers.etag, get.headers.etag, path);
        } else {
          assert.notEqual(again.headers.etag, get.headers.etag, path);
        }
      }
      /* what does not move is 304 in any case */
      const still = `/api/v1/assets/btc/candles?to=${closed}&limit=10`;
      await until(async () => {
        const { headers: h } = await request(server, still);
        return (await request(server, still, { headers: { 'if-none-match': h.etag } })).status === 304;
      }, '304 for closed candles', WAIT_MS);
    });

    test('REST: an asset says what each feed says; too little history is an answer', async () => {
      const asset = await until(async () => { /* a feed that is made anew is not fresh */
        const said = await server.asset('btc');
        return said.feeds.every((f) => f.fresh) && said.candle_venue && said;
      }, 'all feeds are fresh', WAIT_MS);
      assert.deepEqual(asset.feeds.map((f) => f.feed), ['binance', 'coinbase', 'kraken']);
      for (const f of asset.feeds) {
        assert.ok(f.price > 0 && Math.abs(f.age_s) < 60);
        assert.equal(f.fresh, true);
        assert.equal(f.reason, null);
      }
      const used = asset.feeds.filter((f) => f.used).map((f) => f.price_usd);
      assert.ok(asset.price.price >= Math.min(...used) * 0.999 && asset.price.price <= Math.max(...used) * 1.001);
      const idle = await until(async () => (await json(server, '/api/v1/assets')).body.assets
        .find((a) => a.offered && !a.watched), 'a symbol that is offered and not followed', WAIT_MS);
      const { body } = await json(server, `/api/v1/assets/${idle.symbol}/indicators`);
      assert.equal(body.candles, 0);
      assert.equal(body.venue, null);
      const known = (await json(server, '/api/v1/assets/BTC/indicators?interval=1m')).body;
      assert.equal(known.venue, asset.candle_venue);
      assert.equal(known.quote, asset.feeds.find((f) => f.feed === known.venue).quote);
      assert.ok(Object.keys(body.indicators).length > 10);
      for (const [name, value] of Object.entries(body.indicators)) {
        assert.equal(value, null, name);
        assert.match(body.reasons[name], /too few/, name);
      }
      for (const list of [`BTC,${idle.symbol}`, `${idle.symbol},BTC`]) {
        const signals = await until(async () => {
          const answer = await json(server, `/api/v1/signals?symbols=${list}`);
          return answer.status === 200 && answer.body.data.BTC && answer.body;
        }, 'a signal', WAIT_MS);
        assert.equal(signals.data.BTC.symbol, 'BTC');
        assert.equal(signals.data[idle.symbol], null);
        assert.match(signals.reason, /^no signal of some/, list);
      }
      const none = await json(server, `/api/v1/assets/${idle.symbol}/candles`);
      assert.deepEqual(none.body.candles, []);
      assert.ok(none.body.reason.length > 10);
      const { body: quiet } = await json(server, `/api/v1/assets/${idle.symbol}`);
      assert.deepEqual([quiet.watched, quiet.offered, quiet.price, quiet.feeds], [false, true, null, []]);
      assert.match(quiet.reason, /subscribes/);
      const { body: unseen } = await json(server, `/api/v1/prices?symbols=${idle.symbol}`);
      assert.deepEqual(Object.keys(unseen.missing), [idle.symbol]);
    });

    test('REST: bad parameters are said, one by one', async () => {
      for (const [path, status, sentence] of [
        ['assets/btc/candles?interval=', 422, /1m, 5m/], ['assets/btc/candles?limit=0', 422, /1 to 1000/],
        ['assets/btc/candles?limit=ten', 422, /1 to 1000/], ['assets/btc/candles?to=yesterday', 422, /to must be a time/],
        ['assets/btc/indicators?interval=7h', 422, /1m, 5m/], ['assets/%ff', 404, /Unknown/],
        ['assets/btc/nothing', 404, /./], ['prices?symbols=%zz', 422, /percent/],
        ['signals?symbols=NOPE', 404, /NOPE/], ['stream?channels=price_updates&max_hz=0', 422, /max_hz/],
        ['stream?channels=price_updates&max_hz=1001', 422, /max_hz/], ['poll?channels=candles:BTC:2m', 422, /1m, 5m/],
        ['poll?channels=price_updates&symbols=NOPE', 404, /NOPE/]]) {
        const answer = await json(server, `/api/v1/${path}`);
        assertProblem(answer, status);
        assert.match(answer.body.detail, sentence, path);
      }
      const c = await connect();
      for (const params of [{ max_hz: 0 }, { max_hz: -1 }, { max_hz: '2' }, { max_hz: 1001 }, { symbols: 'BTC,ETH' },
        { symbols: [1] }, { delta: 'yes' }, { symbols: {} }]) {
        const reply = await c.subscribe('price_updates', params);
        assert.equal(reply.type, 'error', JSON.stringify(params));
        assert.ok(reply.error.length > 10);
        const name = Object.keys(params)[0];
        assert.match(reply.error, new RegExp(name), reply.error);
      }
      assert.ok(!(await c.settle()).some(prices), 'none of them subscribed');
    });
  });
});

test('a server without sources says so, and makes nothing up', async () => {
  const server = await startServer({ source: 'none' });
  try {
    const { body } = await json(server, '/api/v1/prices');
    assert.deepEqual([body.data, body.missing], [{}, {}]);
    assert.deepEqual((await json(server, '/api/v1/assets')).body.assets, []);
    for (const path of ['ticker', 'sentiment', 'signals']) {
      assertProblem(await request(server, `/api/v1/${path}`), 503);
    }
    for (const path of ['prices?symbols=BTC', 'assets/BTC', 'assets/BTC/candles', 'assets/BTC/indicators']) {
      assertProblem(await request(server, `/api/v1/${path}`), 404);
    }
    const c = await Client.connect(server.ws);
    assert.equal((await c.subscribe('price_updates')).type, 'subscribed');
    for (const [channel, params] of [['price_updates', { symbols: ['BTC'] }], ['candles:BTC:1m', undefined]]) {
      assert.equal((await c.subscribe(channel, params)).code, 'unknown_symbol');
    }
    assert.ok(!(await c.settle()).some(prices));
    await c.close();
  } finally {
    await server.stop();
  }
});
