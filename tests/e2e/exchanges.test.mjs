/* The stand-in's exchange WebSockets over real sockets: the fields of their frames, trades without a
 * hole that REST has too, duties, and orders to misbehave. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { startUpstream, until } from './lib/server.mjs';

const keys = (o) => Object.keys(o).sort().join(' ');

/* Opens a socket and keeps what comes. */
async function connect(url, options = {}) {
  const c = { texts: [], pings: [], socket: new WebSocket(url, options) };
  c.closed = new Promise((done) => c.socket.once('close', (code) => done(code)));
  c.socket.on('upgrade', (response) => (c.mark = response.headers['x-coincast-upstream']));
  c.socket.on('message', (bytes) => c.texts.push(bytes.toString()));
  c.socket.on('error', () => {});
  await new Promise((done) => c.socket.once('open', done));
  c.say = (message) => c.socket.send(JSON.stringify(message));
  c.find = (check) => until(() => c.texts.map((text) => {
    try { return JSON.parse(text); } catch { return {}; }
  }).find(check), 'a frame', 60_000);
  return c;
}

describe('exchanges', () => {
  let upstream;
  let ws;
  const open = [];
  const go = async (path, options) => {
    const c = await connect(ws + path, options);
    open.push(c);
    return c;
  };
  before(async () => {
    upstream = await startUpstream({ args: ['--seed', '7', '--rate', '20'] });
    ws = upstream.origin.replace('http', 'ws');
  });
  after(async () => {
    for (const c of open) c.socket.terminate();
    await upstream?.stop();
  });
  const get = async (path) => (await fetch(upstream.origin + path)).json();
  const order = async (o) => {
    const answer = await fetch(`${upstream.origin}/_control`, { method: 'POST', body: JSON.stringify(o) });
    assert.equal(answer.status, 200, await answer.text());
  };

  test('Binance: wrapped frames with the real fields', async () => {
    const c = await go('/stream?streams=btcusdt@trade/btcusdt@bookTicker/btcusdt@miniTicker/nopeusdt@trade');
    assert.equal(c.mark, 'simulated');
    const trade = await c.find((m) => m.stream === 'btcusdt@trade');
    assert.equal(keys(trade.data), 'E M T e m p q s t');
    assert.equal(keys((await c.find((m) => m.stream === 'btcusdt@bookTicker')).data), 'A B a b s u');
    assert.equal(keys((await c.find((m) => m.stream === 'btcusdt@miniTicker')).data), 'E c e h l o q s v');
    c.say({ method: 'SUBSCRIBE', params: ['ethusdt@aggTrade'], id: 1 });
    assert.deepEqual(await c.find((m) => m.id === 1), { result: null, id: 1 });
    assert.equal(keys((await c.find((m) => m.stream === 'ethusdt@aggTrade')).data), 'E M T a e f l m p q s');
  });

  test('Binance: trades have no hole and are those of REST', async () => {
    const c = await go('/ws/btcusdt@trade');
    await until(() => c.texts.length > 100, '100 trades', 60_000);
    const trades = c.texts.map((text) => JSON.parse(text));
    trades.forEach((t, i) => assert.equal(t.t, trades[0].t + i));
    const rest = await get(`/api/v3/historicalTrades?symbol=BTCUSDT&fromId=${trades[0].t}&limit=100`);
    rest.forEach((r, i) => {
      const t = trades[i];
      assert.deepEqual([r.id, r.price, r.qty, r.time, r.isBuyerMaker], [t.t, t.p, t.q, t.T, t.m]);
    });
  });

  test('Coinbase: acknowledged, last_match, then matches; REST has them too', async () => {
    const c = await go('/');
    c.say({ type: 'subscribe', product_ids: ['BTC-USD', 'XXX-USD'], channels: ['matches'] });
    assert.deepEqual(await c.find((m) => m.type === 'error'), {
      type: 'error', message: 'Failed to subscribe', reason: 'XXX-USD is not a valid product' });
    c.say({ type: 'subscribe', product_ids: ['BTC-USD'], channels: ['matches', 'heartbeat'] });
    const ack = await c.find((m) => m.type === 'subscriptions');
    assert.deepEqual(ack.channels.map((x) => x.name), ['matches', 'heartbeat']);
    const last = await c.find((m) => m.type === 'last_match');
    const first = await c.find((m) => m.type === 'match');
    assert.equal(first.trade_id, last.trade_id + 1);
    assert.equal(keys(first), 'maker_order_id price product_id sequence side size taker_order_id time trade_id type');
    const [r] = await get(`/products/BTC-USD/trades?after=${first.trade_id + 1}&limit=1`);
    assert.deepEqual([r.trade_id, Number(r.price), Number(r.size), r.side, r.time],
      [first.trade_id, Number(first.price), Number(first.size), first.side, first.time]);
    assert.equal(keys(await c.find((m) => m.type === 'heartbeat')), 'last_trade_id product_id sequence time type');
  });

  test('Kraken: status first, an answer a symbol, trades as numbers', async () => {
    const c = await go('/v2');
    c.say({ method: 'subscribe', params: { channel: 'trade', symbol: ['BTC/USD', 'XXX/USD'], snapshot: false } });
    const bad = await c.find((m) => m.success === false);
    assert.equal(bad.error, 'Currency pair not supported XXX/USD');
    assert.equal(JSON.parse(c.texts[0]).channel, 'status');
    const frame = await c.find((m) => m.channel === 'trade');
    assert.equal(keys(frame.data[0]), 'ord_type price qty side symbol timestamp trade_id');
    assert.equal(typeof frame.data[0].price, 'number');
  });

  test('garbage and a cut frame, as ordered', async () => {
    const c = await go('/ws/btcusdt@trade');
    await until(() => c.texts.length > 0, 'a trade', 60_000);
    await order({ target: 'binance/ws', fault: 'garbage', times: 1 });
    await until(() => c.texts.some((text) => text.startsWith('<html>'))
      || open.some((o) => o.texts.some((text) => text.startsWith('<html>'))), 'garbage', 60_000);
    const k = await go('/v2');
    await order({ target: 'kraken/ws', fault: 'half', times: 1 });
    k.say({ method: 'ping' });
    /* one of the two that are open there is cut within a frame */
    assert.equal(await Promise.race([k.closed, ...open.filter((o) => o.socket.url.endsWith('/v2'))
      .map((o) => o.closed)]), 1006);
    const state = await get('/_control');
    assert.ok(state.misbehaved['kraken/ws'] >= 1);
    assert.ok(state.requests['kraken/ws'] >= 2);
  });

  test('500 symbols are listed by all three', async () => {
    const info = await get('/api/v3/exchangeInfo');
    const products = await get('/products');
    const pairs = await get('/0/public/AssetPairs');
    assert.ok(info.symbols.length >= 500 && products.length >= 500);
    assert.ok(Object.keys(pairs.result).length >= 500);
    assert.equal(pairs.result.XXBTZUSD.wsname, 'XBT/USD');
  });

  test('candles of closed minutes are what the trades sum to', async () => {
    const minute = Math.floor(Date.now() / 60_000) * 60_000 - 120_000; /* not one that ends just now */
    const [row] = await get(`/api/v3/klines?symbol=SHIBUSDT&interval=1m&startTime=${minute}&limit=1`);
    const trades = await get(`/api/v3/aggTrades?symbol=SHIBUSDT&startTime=${minute}&endTime=${minute + 59_999}&limit=1000`);
    assert.equal(row[0], minute);
    assert.equal(row[8], trades.length);
    assert.equal(row[1], trades[0].p);
    assert.equal(row[4], trades.at(-1).p);
    const sum = trades.reduce((s, t) => s + Number(t.q), 0);
    assert.ok(Math.abs(sum - Number(row[5])) < 1e-6 * sum);
  });
});
