/* Replays of exchange feeds and of providers' answers: the same bytes are published at any speed, on
 * any number of shards, whoever looks; what is said is what the recording server said; the candles
 * are those that a tool makes of the same file.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Client } from './lib/client.mjs';
import { json } from './lib/http.mjs';
import { readPublished, startMarket } from './lib/market.mjs';
import { run, startServer, startUpstream, until } from './lib/server.mjs';
import { Sio } from './lib/socketio.mjs';

const WAIT_MS = 120_000; /* the machine may be slow, and shared */
const root = process.env.COINCAST_FIXTURES;
const missing = root && existsSync(join(root, 'ws')) ? false : 'COINCAST_FIXTURES is not set';
const tape = (...names) => names.map((name) => join(root, 'ws', name)).join(',');

let dir;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'coincast-replay-'));
});
after(() => rm(dir, { recursive: true, force: true }));

let logs = 0;
/* Plays `files`; `look` is with the server while it plays, `then` when the recording is over. Gives
 * the publish log. */
async function replay(files, { speed = 'max', shards = 1, symbols = 'BTC,ETH', look, then } = {}) {
  const log = join(dir, `published-${++logs}.log`);
  const server = await startServer({ source: `replay:${files}`, env: { COINCAST_SYMBOLS: symbols },
    args: ['--speed', String(speed), '--shards', String(shards), '--publish-log', log] });
  try {
    await look?.(server);
    await until(() => server.ended || /the recording has ended/.test(server.log), 'the end of the recording', WAIT_MS);
    assert.equal(server.ended, null);
    await then?.(server, log);
    await server.stop();
  } catch (error) {
    server.kill('SIGKILL');
    error.message += `\n${server.log}`;
    throw error;
  }
  return readFileSync(log);
}

function assertSame(a, b, what) {
  if (a.equals(b)) return;
  const [one, two] = [a, b].map((x) => x.toString().split('\n'));
  const at = one.findIndex((line, i) => line !== two[i]);
  assert.fail(`${what}: line ${at + 1} of ${one.length} and ${two.length}:\n${one[at]}\n${two[at]}`);
}

/* Clients of every kind that ask for all there is, also for what is not followed. */
async function crowd(server) {
  const clients = await Promise.all([1, 2, 3].map(() => Client.connect(server.ws)));
  for (const [i, c] of clients.entries()) {
    await c.subscribe('price_updates', { symbols: ['BTC', 'ETH', 'DOGE'].slice(i), delta: i === 1,
      ...(i === 2 ? { max_hz: 3 } : {}) });
    for (const channel of ['ticker', 'sentiment_update', 'trading_signal', 'candles:BTC:1m', 'candles:ETH:1h', 'app:x']) {
      await c.subscribe(channel);
    }
    c.send({ type: 'request_update' });
    c.send({ type: 'stats' });
  }
  const sio = await Sio.connect(server.origin);
  await sio.ask('subscribe', ['BTC', 'SOL']);
  for (const path of ['/api/v1/prices', '/api/v1/assets/BTC', '/api/v1/assets/BTC/candles', '/api/v1/ticker',
    '/api/v1/assets/ETH/indicators', '/api/v1/signals', '/api/health', '/api/crypto/dashboard-summary/refresh',
    '/api/v1/poll?channels=price_updates', '/metrics']) {
    await fetch(server.origin + path).then((r) => r.text());
  }
  return () => {
    sio.close();
    for (const c of clients) c.socket.terminate();
  };
}

/* Mode `replay`, wherever a mode stands. */
async function assertMode(server) {
  const c = await Client.connect(server.ws);
  const welcome = await c.next('welcome');
  assert.deepEqual([welcome.mode, welcome.data.mode], ['replay', 'replay']);
  for (const channel of ['price_updates', 'ticker', 'candles:BTC:1m']) {
    await c.subscribe(channel);
    const m = await c.next((x) => x.type !== 'subscribed' && (x.channel ?? x.type) === channel, WAIT_MS);
    assert.equal(m.mode, 'replay', m.text);
    assert.equal(m.data.mode ?? 'replay', 'replay', m.text);
  }
  for (const path of ['prices', 'ticker', 'assets', 'assets/BTC', 'assets/BTC/candles', 'assets/BTC/indicators',
    'signals']) {
    const { body } = await json(server, `/api/v1/${path}`);
    assert.equal(body.mode, 'replay', path);
  }
  assert.equal((await json(server, '/api/health')).body.mode, 'replay');
  assert.equal((await json(server, '/api/crypto/dashboard-summary')).body.mode, 'replay');
  for (const m of await c.settle()) assert.equal(m.mode ?? 'replay', 'replay', m.text);
  c.socket.terminate();
  assert.match(server.log, /RECORDED/);
}

const itemsOf = (file) => {
  const text = readFileSync(file, 'utf8');
  return text.slice(0, text.lastIndexOf('\n')).split('\n').map((line) => (
    { line, ms: Number(/"t":(\d+)\d{6},/.exec(line)[1]), ...JSON.parse(line) }));
};
const cut = (file, keep) => writeFileSync(file, itemsOf(file).filter(keep).map((i) => `${i.line}\n`).join(''));
const repaired = async (server) => Number(/^coincast_feed_repaired_trades_total\{provider="binance"\} (\d+)/m.exec(
  await (await fetch(`${server.origin}/metrics`)).text())?.[1]);

/* What a server says of all that answers brought, without what goes on by itself: ages, and candles
 * under way. The open minute of BTC is `minute`; it was so at `ms`. */
async function sayings(server) {
  const get = async (path) => (await json(server, path)).body;
  const ageless = ({ age_s, ...rest }) => rest;
  const { market_cap, volume_24h, fear_greed_index, rsi_14, sources } = await get('/api/crypto/dashboard-summary');
  const { parts, trending, trending_from: { as_of, ...from } } = await get('/api/v1/sentiment');
  const { assets } = await get('/api/v1/assets');
  const said = {
    numbers: { market_cap, volume_24h, fear_greed_index, rsi_14 },
    sources: ['market_cap', 'volume_24h', 'fear_greed_index', 'rsi_14'].map((f) => sources[f] && ageless(sources[f])),
    parts: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, ageless(part)])),
    trending: { trending, ...ageless(from) },
    received_ms: Date.parse(as_of), /* their provider gives no time: a recording's may be read an instant earlier */
    offered: assets.filter((a) => a.offered).map((a) => a.symbol).sort(),
    signal_of: (await get('/api/v1/signals')).data.BTC?.candles,
    repaired: await repaired(server),
  };
  for (const [symbol, interval] of [['ETH', '1m'], ['ETH', '4h'], ['SOL', '1h'], ['BTC', '1d'], ['BTC', '1h'], ['BTC', '1m']]) {
    const { candles = [], timestamp } = await get(`/api/v1/assets/${symbol}/candles?interval=${interval}&limit=1000`);
    said[`${symbol} ${interval}`] = candles.filter((k) => k.closed);
    const { closed, ...minute } = candles.at(-1) ?? {};
    said.minute = minute;
    said.ms = Date.parse(timestamp);
  }
  return said;
}

describe('a recording of our own', () => {
  const file = () => join(dir, 'own.jsonl');
  let said;
  before(async () => {
    const upstream = await startUpstream({ args: ['--seed', '7', '--rate', '5'] });
    const server = await startMarket(upstream, { symbols: ['BTC', 'ETH'], env: { COINCAST_RECORD: file() } });
    const client = await Client.connect(server.ws); /* SOL is followed for its sake, in no replay */
    await until(async () => (await client.subscribe('candles:SOL:1m')).type === 'subscribed', 'SOL is offered');
    await upstream.control({ target: 'binance/ws', fault: 'skip', value: 5, times: 1 });
    said = await until(async () => {
      const now = await sayings(server);
      const again = await sayings(server);
      const items = itemsOf(file());
      /* All of it was so at `ms`, as it still is; and then nothing came: what came later is cut off
       * below, when it is written. */
      return isDeepStrictEqual({ ...again, minute: 0, ms: 0 }, { ...now, minute: 0, ms: 0 })
        && ['binance', 'coinbase', 'kraken'].every((source) => items
          .filter((i) => i.source === source && i.kind === 'ws_text' && i.ms < now.ms).length > 20)
        && now.repaired >= 5 && Object.values(now.numbers).every((n) => n !== null)
        && Object.values(now.parts).every((part) => part.value !== null) && now.trending.source?.startsWith('coingecko')
        && now['ETH 4h'].length > 250 && now['SOL 1h'].length > 450 && now['BTC 1d'].length > 250
        && items.some((i) => i.ms > now.ms) && items.every((i) => i.ms !== now.ms) && now;
    }, 'all answers', WAIT_MS);
    await client.close();
    await server.stop();
    await upstream.stop();
    cut(file(), (i) => i.ms < said.ms);
  });

  test('has frames of all three, and answers', () => {
    const items = itemsOf(file());
    for (const source of ['binance', 'coinbase', 'kraken']) {
      assert.ok(items.filter((i) => i.source === source && i.kind === 'ws_text').length > 10, source);
      assert.ok(items.some((i) => i.source === source && i.kind === 'ws_open'), source);
    }
    const answers = items.filter((i) => i.kind === 'http');
    for (const source of ['coingecko', 'alternative.me', 'binance', 'coinbase', 'kraken']) {
      assert.ok(answers.some((i) => i.source === source && i.status === 200), source);
    }
    for (const what of [/^instruments$/, /^trades (BTC|ETH|SOL|USDC)USDT \d+ \d+$/, /^candles BTCUSDT 1h 0$/]) {
      assert.ok(answers.some((i) => what.test(i.for)), String(what));
    }
  });

  test('says what the recording server said, and as old as it was then', async () => {
    await replay(file(), { then: async (server) => {
      const { ms, received_ms, ...now } = await sayings(server);
      assert.match(server.log, /the recording has ended.*left_out=0 answers_of_no_use=0/);
      assert.doesNotMatch(server.log, /trades were missed/);
      for (const [name, candles] of Object.entries(now)) { /* its clock goes on: more may have closed */
        if (Array.isArray(said[name]) && name.includes(' ')) now[name] = candles.slice(0, said[name].length);
      }
      const { ms: said_ms, received_ms: said_received_ms, ...expected } = said;
      assert.deepEqual(now, expected);
      assert.ok(Math.abs(received_ms - said_received_ms) < 1_000);
      const { body } = await json(server, '/api/crypto/dashboard-summary');
      assert.equal(body.mode, 'replay');
      assert.deepEqual(body.stale, []);
      assert.ok(Math.abs(ms - said_ms) < 60_000);
    } });
  });

  test('is published the same at 1x, 100x and max, on 1 and 4 shards, alone and before a crowd', async () => {
    const leave = [];
    const look = async (server) => void leave.push(await crowd(server));
    const began = performance.now();
    const results = await Promise.all([
      { speed: 1, shards: 1 }, { speed: 1, shards: 4, look }, { speed: 100, shards: 1, look },
      { speed: 100, shards: 4 }, { speed: 'max', shards: 1 }, { speed: 'max', shards: 4, look },
    ].map(async (options) => ({ options, log: await replay(file(), { ...options, then: assertMode }) })));
    leave.forEach((go) => go());
    assert.ok(performance.now() - began > 2_000, '1x takes its time');
    const [first, ...others] = results;
    const channels = first.log.toString().split('\n').map((line) => line.split(' ')[1]);
    for (const channel of ['price_updates', 'candles:BTC:1m', 'candles:ETH:1h', 'ticker', 'dashboard_update']) {
      assert.ok(channels.includes(channel), channel);
    }
    assert.ok(channels.filter((x) => x === 'price_updates').length > 50);
    for (const { options, log } of others) assertSame(first.log, log, JSON.stringify({ ...options, look: !!options.look }));
    for (const line of first.log.toString().trim().split('\n')) {
      const message = JSON.parse(line.slice(line.indexOf(' ', line.indexOf(' ') + 1)));
      assert.equal(message.mode, 'replay', line);
    }
  });

  test('is said to be over: prices stand, as old as they are', async () => {
    await replay(file(), { then: async (server) => {
      const { body } = await json(server, '/api/v1/prices?symbols=BTC');
      const last = itemsOf(file()).at(-1).ms;
      assert.ok(body.data.BTC.price > 0);
      const before_end_ms = last - Date.parse(body.data.BTC.timestamp);
      assert.ok(before_end_ms > -5_000 && before_end_ms < 30_000, body.data.BTC.timestamp);
      assert.ok(Date.parse(body.timestamp) - last < 60_000, 'its clock goes on from the end');
    } });
  });
});

/* Trades of BTC at Binance: [ms of receipt, ms of the trade, id, price, quantity]. */
function writeTrades(path, trades) {
  const lines = trades.map(([at, time, id, price, quantity]) => {
    const body = JSON.stringify({ stream: 'btcusdt@trade', data: { e: 'trade', E: at, s: 'BTCUSDT', t: id, p: price,
      q: quantity, T: time, m: false, M: true } });
    return `{"v":1,"t":${at}000000,"source":"binance","kind":"ws_text","body":${JSON.stringify(body)}}`;
  });
  lines.unshift(`{"v":1,"t":${trades[0][0] - 10}000000,"source":"binance","kind":"ws_open",`
    + '"url":"wss://data-stream.binance.vision/stream"}');
  writeFileSync(path, `${lines.join('\n')}\n`);
}

const answer = (ms, source, url, { body, ...rest }) => `${JSON.stringify({ v: 1, t: 0, source, kind: 'http', url,
  ...(rest.error ? {} : { status: 200 }), ...rest, body: typeof body === 'object' ? JSON.stringify(body) : body }).replace('"t":0', `"t":${ms}000000`)}\n`;

test('an answer is given at its time; all that is said is of that time, whatever the year is now', async () => {
  const M = Date.parse('2026-03-01T12:00:00Z');
  const file = join(dir, 'answers.jsonl');
  const global = (ms, cap) => ({ body: { data: { total_market_cap: { usd: cap }, total_volume: { usd: 9e10 },
    market_cap_change_percentage_24h_usd: -1.5, updated_at: Math.floor(ms / 1000) } } });
  writeTrades(file, [[M, M, 1, '100.5', '1'], [M + 90_000, M + 90_000, 2, '101', '1']]);
  const [open, first, second] = readFileSync(file, 'utf8').split('\n');
  const gecko = 'https://api.coingecko.com/api/v3/global';
  const taapi = 'https://api.taapi.io/rsi?secret=***&exchange=binance&symbol=BTC/USDT&interval=1d';
  writeFileSync(file, [`${open}\n${first}\n`,
    answer(M + 10_000, 'coingecko', gecko, global(M + 4_000, 2e12)),
    answer(M + 20_000, 'taapi', taapi, { body: { value: 65.5 } }),
    answer(M + 30_000, 'alternative.me', 'https://api.alternative.me/fng/?limit=1', { error: 'timeout' }),
    answer(M + 40_000, 'coingecko', gecko, { status: 503, body: 'busy' }),
    answer(M + 50_000, 'coingecko', 'https://api.coingecko.com/api/v3/coins/list', { body: [] }),
    `${second}\n`].join(''));
  await replay(file, { symbols: 'BTC', then: async (server, log) => {
    assert.match(server.log, /items=8 left_out=0 answers_of_no_use=1/);
    const at = (from, seconds) => Math.abs(Date.parse(from) - M - seconds * 1000) < 30_000;
    const { body } = await json(server, '/api/crypto/dashboard-summary');
    assert.deepEqual([body.market_cap, body.volume_24h, body.rsi_14, body.fear_greed_index], [2e12, 9e10, 65.5, null]);
    assert.equal(body.sources.market_cap.as_of, '2026-03-01T12:00:04.000Z');
    assert.ok(Math.abs(body.sources.market_cap.age_s - 86) < 30, String(body.sources.market_cap.age_s));
    assert.ok(at(body.last_updated, 20));
    assert.match(body.sources.market_cap.reason, /CoinGecko answered with HTTP status 503/);
    assert.match(body.sources.fear_greed_index.reason, /Alternative.me: no complete answer within 10 s/);
    assert.deepEqual(['market_cap', 'volume_24h', 'fear_greed_index'].filter((f) => !body.stale.includes(f)), []);
    const { parts } = (await json(server, '/api/v1/sentiment')).body;
    assert.ok(Math.abs(parts.market_cap.value + 0.3) < 1e-9);
    assert.match(parts.fear_greed.reason, /no complete answer/);
    assert.equal(parts.breadth.reason, 'nothing is fetched in a replay');

    const capped = () => readPublished(log).filter((m) => m.channel === 'dashboard_update').map((m) => JSON.parse(m.text));
    await until(() => capped().some((m) => m.data.market_cap !== null), 'it is written', WAIT_MS);
    const dashboards = capped();
    const known = dashboards.findIndex((m) => m.data.market_cap !== null);
    const known_ms = Date.parse(dashboards[known].timestamp) - M;
    assert.ok(known_ms >= 10_000 && known_ms < 11_000, String(known_ms));
    assert.ok(dashboards.slice(known).every((m) => m.data.market_cap === 2e12));

    /* What a shard says by itself is of that time, too. */
    for (const path of ['prices', 'ticker', 'assets', 'assets/BTC/candles', 'signals', 'sentiment']) {
      const said = (await json(server, `/api/v1/${path}`)).body;
      assert.ok(at(said.timestamp, 90), `${path} ${said.timestamp}`);
    }
    const c = await Client.connect(server.ws);
    c.send({ type: 'ping' });
    for (const m of [await c.next('welcome'), await c.next('pong')]) assert.ok(at(m.timestamp, 90), m.text);
    c.socket.terminate();
  } });
});

test('candles open, close, and are amended by late trades: exactly', async () => {
  const M = Date.parse('2026-03-01T12:00:00Z');
  const file = join(dir, 'made.jsonl');
  writeTrades(file, [
    [M + 57_000, M + 57_000, 1, '100.5', '1'], /* began within a minute: a gap before it */
    [M + 60_100, M + 60_000, 2, '101', '0.5'],
    [M + 75_000, M + 74_990, 3, '99.25', '0.25'],
    [M + 119_000, M + 118_900, 4, '102', '0.125'],
    [M + 120_500, M + 120_400, 5, '103', '2'],
    [M + 121_000, M + 119_900, 6, '98', '0.0625'], /* late by 1.1 s: before its minute closes */
    [M + 130_000, M + 119_950, 7, '97', '1'], /* late by 10 s: after */
    [M + 200_000, M + 200_000, 8, '104', '1'],
    [M + 250_000, M + 250_000, 9, '105', '1'],
  ]);
  await replay(file, { symbols: 'BTC', then: async (server, log) => {
    const all = await until(() => {
      const found = readPublished(log).filter((m) => m.channel === 'candles:BTC:1m').map((m) => JSON.parse(m.text).data.candle);
      return found.some((k) => k.time === '2026-03-01T12:03:00.000Z') && found;
    }, 'all is written', WAIT_MS);
    const second = all.filter((k) => k.time === '2026-03-01T12:01:00.000Z');
    const values = (k) => [k.open, k.high, k.low, k.close, k.volume, k.trades, k.closed, k.amended, k.gap];
    assert.deepEqual(values(second[0]), [101, 101, 101, 101, 0.5, 1, false, false, false]);
    const closed = second.filter((k) => k.closed);
    assert.deepEqual(closed.map(values), [
      [101, 102, 98, 98, 0.9375, 4, true, false, false],
      [101, 102, 97, 97, 1.9375, 5, true, true, false]]);
    assert.ok(second.indexOf(closed[0]) > 1, 'it was open first');
    assert.ok(!second.slice(second.indexOf(closed[0])).some((k) => !k.closed), 'closed stays closed');
    const { body } = await json(server, '/api/v1/assets/btc/candles');
    assert.deepEqual(body.candles.map((k) => [k.time.slice(11, 16), ...values(k).slice(0, 6)]), [
      ['12:00', 100.5, 100.5, 100.5, 100.5, 1, 1], ['12:01', 101, 102, 97, 97, 1.9375, 5],
      ['12:02', 103, 103, 103, 103, 2, 1], ['12:03', 104, 104, 104, 104, 1, 1], ['12:04', 105, 105, 105, 105, 1, 1]]);
    assert.deepEqual(body.candles.map((k) => k.gap), [true, false, false, false, false]);
    assert.deepEqual([body.venue, body.quote], ['binance', 'USDT']);
    const indicators = (await json(server, '/api/v1/assets/btc/indicators?interval=1m')).body;
    assert.equal(indicators.indicators.rsi_14, null);
    assert.match(indicators.reasons.rsi_14, /too few/);
    const csv = (await run(['candles', file])).stdout.trim().split('\n');
    assert.equal(csv[2], '2026-03-01T12:01:00Z,101,102,97,97,1.9375,5');
    /* a client gets the newest closed one and the open one */
    const c = await Client.connect(server.ws);
    await c.subscribe('candles:BTC:1m');
    assert.ok((await c.next('candles')).data.candle.time <= '2026-03-01T12:04:00.000Z');
    c.socket.terminate();
  } });
});

describe('recorded tapes', { skip: missing }, () => {
  test('Binance, across midnight: twice the same at max, and REST has the candles of the tool', async () => {
    const files = tape('binance/spot_btcusdt_20240808.txt.gz', 'binance/spot_btcusdt_20240809.txt.gz');
    const csv = (await run(['candles', files, '--interval', '1m'], { timeout: WAIT_MS })).stdout.trim().split('\n').slice(1);
    assert.equal(csv.length, 12);
    const compare = async (server) => {
      const { body } = await json(server, '/api/v1/assets/BTC/candles?interval=1m&limit=1000');
      assert.deepEqual(body.candles.map((k) => `${k.time.replace('.000Z', 'Z')},${k.open},${k.high},${k.low},${k.close},${
        k.volume},${k.trades}`), csv);
      await assertMode(server);
    };
    const look = async (server) => void (await crowd(server))();
    const [one, two] = await Promise.all([replay(files, { symbols: 'BTC', then: compare }),
      replay(files, { symbols: 'BTC', shards: 4, look, then: compare })]);
    assert.ok(one.length > 1_000_000);
    assertSame(one, two, 'twice');
  });

  test('all three exchanges at once, in forms of their own: twice the same', async () => {
    const files = tape('coinbase/exchange_20260707_btc_eth.ndjson.gz', 'kraken/v2_20260707_btc_eth.ndjson.gz',
      'binance/session_20211012_4sym.jsonl.gz');
    const [one, two] = await Promise.all([replay(files, { shards: 4 }), replay(files, { shards: 1, then: assertMode })]);
    assertSame(one, two, 'twice');
    assert.ok(one.includes('"feed":"kraken"') && one.includes('"feed":"coinbase"'));
  });
});
