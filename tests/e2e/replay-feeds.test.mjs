/* Replays of exchange feeds: the same bytes are published at any speed, on any number of shards,
 * whoever looks; the candles are those that a tool makes of the same file.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { json } from './lib/http.mjs';
import { readPublished, startMarket } from './lib/market.mjs';
import { run, startServer, startUpstream, until } from './lib/server.mjs';
import { Sio } from './lib/socketio.mjs';

const WAIT_MS = 60_000;
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

describe('a recording of our own', () => {
  const file = () => join(dir, 'own.jsonl');
  before(async () => {
    const upstream = await startUpstream({ args: ['--seed', '7', '--rate', '5'] });
    const server = await startMarket(upstream, { symbols: ['BTC', 'ETH'], env: { COINCAST_RECORD: file() } });
    const whole = () => {
      const text = readFileSync(file(), 'utf8');
      return text.slice(0, text.lastIndexOf('\n')).split('\n');
    };
    const ms = (line) => Number(/"t":(\d+)\d{6},/.exec(line)[1]);
    /* two seconds and a half from when all three speak on */
    const end = () => Math.max(...['binance', 'coinbase', 'kraken'].map((source) => {
      const frames = whole().filter((line) => line.includes('"ws_text"') && line.includes(`"source":"${source}"`));
      return frames.length > 20 ? ms(frames[20]) : Infinity;
    })) + 2_500;
    await until(() => ms(whole().at(-1)) > end(), 'a recording that is long enough', WAIT_MS);
    await server.stop();
    await upstream.stop();
    const [lines, end_ms] = [whole(), end()];
    const last = lines.findIndex((line) => ms(line) > end_ms);
    writeFileSync(file(), `${lines.slice(0, last + 1).join('\n')}\n`);
  });

  test('has frames of all three, and answers', () => {
    const items = readFileSync(file(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
    for (const source of ['binance', 'coinbase', 'kraken']) {
      assert.ok(items.filter((i) => i.source === source && i.kind === 'ws_text').length > 10, source);
      assert.ok(items.some((i) => i.source === source && i.kind === 'ws_open'), source);
    }
    assert.ok(items.some((i) => i.kind === 'http'));
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
      const items = readFileSync(file(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
      const last = Number(/"t":(\d+)\d{6},/.exec(readFileSync(file(), 'utf8').trim().split('\n').at(-1))[1]);
      assert.ok(items.length > 0 && body.data.BTC.price > 0);
      assert.ok(Math.abs(Date.parse(body.data.BTC.timestamp) - last) < 5_000, body.data.BTC.timestamp);
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
    const all = readPublished(log).filter((m) => m.channel === 'candles:BTC:1m').map((m) => JSON.parse(m.text).data.candle);
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
    const csv = (await run(['candles', files, '--interval', '1m'])).stdout.trim().split('\n').slice(1);
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
