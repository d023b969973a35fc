/* The descriptions of HTTP (OpenAPI) and of the messages (AsyncAPI) against a running server on the
 * stand-in market: every path answers as described, every message seen fits its schema.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { decode, encode } from '@msgpack/msgpack';
import Ajv from 'ajv/dist/2020.js';
import WebSocket from 'ws';
import { Client } from './lib/client.mjs';
import { json, publish, request } from './lib/http.mjs';
import { startServer, TOKEN, until } from './lib/server.mjs';

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe('live markets and their descriptions', () => {
  let server, openapi, asyncapi, ajv;

  before(async () => {
    server = await startServer({ source: 'demo' });
    openapi = (await json(server, '/api/openapi.json')).body;
    asyncapi = (await json(server, '/api/asyncapi.json')).body;
    ajv = new Ajv({ strict: false, allErrors: true, formats: { 'date-time': RFC3339 } });
    ajv.addSchema(openapi, 'openapi.json');
    ajv.addSchema(asyncapi, 'asyncapi.json');
    await until(async () => {
      const { body } = await json(server, '/api/v1/prices?symbols=BTC,ETH');
      return Object.keys(body.data ?? {}).length === 2;
    }, 'prices of BTC and ETH', 60_000);
    await until(async () => (await request(server, '/api/v1/ticker')).status === 200, 'a ticker');
  });
  after(() => server?.stop());

  function fits(reference, value) {
    const check = ajv.getSchema(reference);
    assert.ok(check, `${reference} is described`);
    assert.ok(check(value), `${reference}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(value).slice(0, 600)}`);
  }

  function fitsMessage(message) {
    fits(`asyncapi.json#/components/messages/${message.type}/payload`, message);
  }

  /* The parameters that make a path a request. */
  const parameters = { '/api/v1/prices': '?symbols=btc,nope', '/api/v1/poll': '?channels=price_updates&symbols=BTC' };

  test('every path answers as it is described', async () => {
    const escape = (text) => text.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
    for (const [path, item] of Object.entries(openapi.paths)) {
      if (!item.get || path === '/api/v1/stream') continue;
      const { status, headers, text } = await request(server, path.replace('{symbol}', 'btc') + (parameters[path] ?? ''));
      const described = item.get.responses[status];
      assert.ok(described, `${path}: ${status} is described; ${text.slice(0, 200)}`);
      const place = described.$ref
        ? `openapi.json${described.$ref}`
        : `openapi.json#/paths/${escape(path)}/get/responses/${status}`;
      const [content] = Object.entries((described.$ref
        ? openapi.components.responses[described.$ref.split('/').at(-1)] : described).content ?? {});
      if (!content) continue;
      assert.equal(headers['content-type'].split(';')[0], content[0], path);
      if (!content[0].endsWith('json')) continue;
      fits(`${place}/content/${content[0].replace('/', '~1').replace('+', '%2B')}/schema`, JSON.parse(text));
    }
  });

  test('whatever has an ETag gives 304 to it, and HEAD the head alone', async () => {
    for (const path of ['/api/v1/assets', '/api/v1/assets/btc/indicators?interval=1d', '/api/v1/signals?symbols=eth']) {
      const get = await request(server, path);
      assert.equal(get.headers['cache-control'], 'no-cache');
      const again = await request(server, path, { headers: { 'if-none-match': get.headers.etag } });
      assert.ok(again.status === 304 || again.headers.etag !== get.headers.etag, path);
      const head = await request(server, path, { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.text, '');
    }
  });

  test('what is wrong with a request is said in a sentence', async () => {
    const cases = [
      ['/api/v1/prices?symbols=NOPE,zzz', 404, /"NOPE","ZZZ"/],
      ['/api/v1/assets/nope', 404, /"nope"/],
      ['/api/v1/assets/btc/candles?interval=2m', 422, /1m, 5m/],
      ['/api/v1/assets/btc/candles?limit=1001', 422, /1 to 1000/],
      ['/api/v1/assets/btc/candles?from=soon', 422, /from must be a time/],
      ['/api/v1/assets/btc/candles?from=2000&to=1000', 422, /before/],
      [`/api/v1/prices?symbols=${Array.from({ length: 501 }, (_, i) => `X${i}`)}`, 422, /500/],
      ['/api/v1/stream?channels=price_updates&symbols=nope', 404, /NOPE/],
    ];
    for (const [path, status, sentence] of cases) {
      const { status: given, headers, body } = await json(server, path);
      assert.equal(given, status, path);
      assert.equal(headers['content-type'], 'application/problem+json');
      assert.match(body.detail, sentence);
    }
    const wrong = await request(server, '/api/v1/prices', { method: 'DELETE' });
    assert.equal(wrong.status, 405);
    assert.match(wrong.headers.allow, /GET/);
  });

  test('every message seen fits its description', async () => {
    const c = await Client.connect(server.ws);
    const seen = new Set();
    const take = async (wanted, ms) => {
      const message = await c.next(wanted, ms);
      fitsMessage(message);
      seen.add(message.type);
      return message;
    };
    for (const type of ['welcome', 'dashboard_update', 'btc_price_update']) await take(type);
    for (const channel of ['ticker', 'trading_signal', 'sentiment_update', 'candles:btc:1m', 'app:x']) {
      c.send({ type: 'subscribe', id: channel, channel });
      assert.equal((await take((m) => m.id === channel)).type, 'subscribed');
    }
    c.send({ type: 'subscribe', id: 1, channel: 'price_updates', params: { symbols: ['btc', 'Eth', 'NOPE'], max_hz: 10, delta: true } });
    const reply = await take('subscribed');
    assert.deepEqual(reply.params, { symbols: ['BTC', 'ETH'], max_hz: 10, delta: true });
    assert.deepEqual(reply.unknown, ['NOPE']);
    const full = await take('price_updates');
    assert.deepEqual(Object.keys(full.data).sort(), ['BTC', 'ETH']);
    const delta = await take((m) => m.type === 'price_updates' && m.delta);
    assert.ok(Object.keys(delta.data).every((s) => s === 'BTC' || s === 'ETH'));
    await take('ticker');
    await take('candles');
    await publish(server, { channel: 'app:x', data: { any: [1] } });
    await take('message');
    c.send({ type: 'ping', timestamp: 1 });
    await take('pong');
    c.send({ type: 'auth', token: TOKEN });
    await take('authenticated');
    c.send({ type: 'unsubscribe', id: 2, channel: 'price_updates', params: { symbols: ['eth'] } });
    assert.deepEqual((await take('unsubscribed')).params.symbols, ['BTC']);
    c.send({ type: 'stats' });
    const { data } = await take('stats');
    assert.equal(data.subscriptions, 8);
    for (const message of c.messages) {
      if (message.data?.code === undefined) fitsMessage(message);
    }
    for (const type of Object.keys(asyncapi.components.messages)) {
      const rare = ['conflated', 'gap', 'error', 'server_shutdown', 'trading_signal', 'sentiment_update'];
      if (!type.startsWith('command_') && !rare.includes(type)) assert.ok(seen.has(type), `${type} was seen`);
    }
    c.socket.close();
  });

  test('a subscription that makes no sense is an error that names it', async () => {
    const c = await Client.connect(server.ws);
    const cases = [
      [{ channel: 'price_updates', params: { symbols: ['NOPE', 'x'] } }, 'unknown_symbol', /"NOPE","X"/],
      [{ channel: 'price_updates', params: { symbols: Array.from({ length: 501 }, (_, i) => `X${i}`) } }, 'too_many', /500/],
      [{ channel: 'price_updates', params: { symbols: [] } }, 'bad_json', /at least one/],
      [{ channel: 'candles:nope:1m' }, 'unknown_symbol', /nope/],
      [{ channel: 'candles:btc:2m' }, 'unknown_channel', /1m, 5m/],
      [{ channel: 'trading_signal:standing' }, 'unknown_channel', /trading_signal/],
    ];
    for (const [command, code, sentence] of cases) {
      c.send({ type: 'subscribe', id: code, ...command });
      const error = await c.next('error');
      fitsMessage(error);
      assert.equal(error.code, code);
      assert.match(error.error, sentence);
      assert.equal(error.id, code);
    }
    c.send({ type: 'subscribe', channel: 'price_updates' });
    await c.next('subscribed');
    c.send({ type: 'unsubscribe', channel: 'price_updates', params: { symbols: ['BTC'] } });
    assert.equal((await c.next('error')).code, 'unknown_symbol');
    c.socket.close();
  });

  test('subscriptions that come in one piece all get what comes', async () => {
    const c = await Client.connect(server.ws);
    await c.settle();
    c.socket._socket.cork();
    for (const channel of ['price_updates', 'ticker', 'app:one', 'app:two']) c.send({ type: 'subscribe', channel });
    c.socket._socket.uncork();
    for (let i = 0; i < 4; i++) await c.next('subscribed');
    const first = await c.next('price_updates');
    await c.next((m) => m.type === 'price_updates' && m.cursor !== first.cursor);
    await publish(server, { channel: 'app:one', data: 1 });
    assert.equal((await c.next('message')).data, 1);
    c.socket.close();
  });

  test('a MessagePack client says and hears the same objects', async () => {
    const socket = new WebSocket(server.ws, ['other', 'coincast.msgpack.v1']);
    const messages = [];
    socket.on('message', (bytes, binary) => {
      assert.equal(binary, true);
      messages.push(decode(bytes));
    });
    await new Promise((done, fail) => socket.once('open', done).once('error', fail));
    assert.equal(socket.protocol, 'coincast.msgpack.v1');
    socket.send(encode({ type: 'subscribe', id: 7, channel: 'price_updates', params: { symbols: ['SOL'] } }));
    socket.send(encode({ type: 'nonsense' }));
    socket.send(new Uint8Array([0xc1]));
    await until(() => messages.filter((m) => m.type === 'error').length === 2, 'two errors');
    await until(() => messages.some((m) => m.type === 'price_updates'), 'prices');
    for (const message of messages) fitsMessage(message);
    assert.equal(messages.find((m) => m.type === 'subscribed').id, 7);
    assert.deepEqual(Object.keys(messages.find((m) => m.type === 'price_updates').data), ['SOL']);
    socket.close();
  });

  test('a symbol that is only offered is watched while somebody wants it', async () => {
    const idle = await until(async () => (await json(server, '/api/v1/assets')).body.assets
      .find((a) => a.offered && !a.watched), 'there is one'); /* once an exchange's list is there */
    const { body: none } = await json(server, `/api/v1/prices?symbols=${idle.symbol}`);
    assert.match(none.missing[idle.symbol], /subscribes/);
    const c = await Client.connect(server.ws);
    c.send({ type: 'subscribe', channel: 'price_updates', params: { symbols: [idle.symbol] } });
    const update = await c.next((m) => m.type === 'price_updates' && m.data[idle.symbol]?.price > 0, 60_000);
    assert.equal(update.data[idle.symbol].symbol, idle.symbol);
    c.socket.close();
  });
});

describe('foreign pages', () => {
  const ORIGIN = 'https://page.example';
  let server;
  before(async () => {
    server = await startServer({ env: { COINCAST_ORIGINS: ORIGIN } });
  });
  after(() => server?.stop());

  test('a preflight is answered for allowed ones, and every answer may be read', async () => {
    const ask = (path, origin, options = {}) => request(server, path, { ...options, headers: { origin, ...options.headers } });
    for (const path of ['/api/v1/publish', '/api/v1/poll', '/api/v1/assets/btc/candles', '/api/crypto/dashboard-summary/refresh']) {
      const pre = await ask(path, ORIGIN, { method: 'OPTIONS', headers: { 'access-control-request-method': 'GET' } });
      assert.equal(pre.status, 204, path);
      assert.equal(pre.headers['access-control-allow-origin'], ORIGIN);
      assert.match(pre.headers['access-control-allow-methods'], path.endsWith('publish') ? /POST/ : /GET/);
      assert.match(pre.headers['access-control-allow-headers'], /Authorization/);
      assert.equal(pre.headers['access-control-allow-credentials'], undefined);
      assert.equal((await ask(path, 'https://other.example', { method: 'OPTIONS' })).status, 403);
    }
    const poll = await ask('/api/v1/poll', ORIGIN);
    const paths = ['/api/crypto/dashboard-summary', '/api/crypto/dashboard-summary/refresh', '/api/v1/prices',
      '/api/v1/assets/none', '/api/v1/ticker', '/api/health', '/nothing'];
    for (const answer of [poll, ...(await Promise.all(paths.map((path) => ask(path, ORIGIN))))]) {
      assert.equal(answer.headers['access-control-allow-origin'], ORIGIN);
      assert.match(answer.headers.vary, /Origin/);
    }
    const other = await ask('/api/v1/prices', 'https://other.example');
    assert.equal(other.headers['access-control-allow-origin'], undefined);
    assert.match(other.headers.vary, /Origin/);
  });
});
