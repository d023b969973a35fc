/* Socket.IO as its clients see it: three generations of the npm client over every transport, against
 * the simulated market. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';
import { json, mustPublish, request, TIME, untilDraining } from './lib/http.mjs';
import { Poller } from './lib/poller.mjs';
import { startProxy } from './lib/proxy.mjs';
import { backEnds, startServer, TOKEN, until } from './lib/server.mjs';
import { assertRow, GENERATIONS, Sio, WAYS } from './lib/socketio.mjs';

const BROWSER = '/usr/bin/chromium';
const PYTHON = '/usr/bin/python3';
const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const ORIGIN = 'https://app.example';
const sortedKeys = (o) => Object.keys(o).sort();
const numbers = (from, count) => Array.from({ length: count }, (_, i) => from + i);

for (const { io, skip } of await backEnds()) {
  describe(`Socket.IO on ${io}`, { skip, concurrency: 4 }, () => {
    let server;
    const open = [];
    const connect = async (options) => {
      const c = await Sio.connect(server.origin, options);
      open.push(c);
      return c;
    };
    before(async () => {
      server = await startServer({ io, source: 'demo', env: {
        COINCAST_SHARDS: '4', COINCAST_ORIGINS: ORIGIN, COINCAST_SYMBOLS: 'BTC,ETH,SOL,DOGE' } });
      await until(async () => (await json(server, '/api/v1/prices?symbols=BTC,ETH,SOL,DOGE')).body
        .data?.DOGE?.price, 'the market is there', WAIT_MS);
    });
    after(async () => {
      for (const c of open) c.close();
      await server?.stop();
    });

    for (const generation of GENERATIONS) {
      for (const way of WAYS) {
        test(`${generation.name} by ${way.name}: the whole life`, async () => {
          const c = await connect({ generation, transports: way.transports });
          const status = await c.next('connection_status');
          assert.equal(status.status, 'connected');
          assert.equal(status.mode, 'demo');
          assert.match(status.timestamp, TIME);
          if (way.transports.length > 1) await until(() => c.transport === 'websocket', 'the upgrade');
          assert.deepEqual((await c.settle()).map((e) => e.event), [], 'nothing else until it subscribes');

          const ack = await c.ask('subscribe', ['btc', 'Eth', 'NOPE']);
          assert.deepEqual([[...ack.symbols].sort(), ack.unknown], [['BTC', 'ETH'], ['NOPE']]);
          const subscribed = await c.next('subscribed');
          assert.deepEqual([[...subscribed.symbols].sort(), subscribed.unknown], [['BTC', 'ETH'], ['NOPE']]);

          /* at least every 2 s each symbol, changed or not; and nothing but these */
          const seen = {};
          const began = Date.now();
          const few = () => ['BTC', 'ETH'].some((symbol) => !(seen[symbol]?.length >= 4));
          while (Date.now() < began + 4_600 || (few() && Date.now() < began + WAIT_MS)) {
            for (const [symbol, row] of Object.entries(await c.next('market_update'))) {
              assertRow(symbol, row);
              (seen[symbol] ??= []).push(Date.now());
            }
          }
          assert.deepEqual(sortedKeys(seen), ['BTC', 'ETH']);
          for (const [symbol, times] of Object.entries(seen)) {
            const gaps = times.slice(1).map((t, i) => t - times[i]).sort((a, b) => a - b);
            /* a busy machine may be late now and then */
            assert.ok(gaps.length >= 3 && gaps[gaps.length >> 1] < 3_600 && gaps.at(-1) < 20_000, `${symbol}: ${gaps} ms`);
          }
          const signal = await c.next('trading_signal');
          assert.ok(['BTC', 'ETH'].includes(signal.symbol));
          assert.ok(['BUY', 'SELL', 'HOLD'].includes(signal.signal));
          assert.ok(signal.strength >= 0 && signal.strength <= 1);
          assert.ok(signal.reason.length > 5);
          assert.match(signal.timestamp, TIME);
          const mood = await c.next('sentiment_update', undefined, WAIT_MS);
          assert.ok(['BULLISH', 'NEUTRAL', 'BEARISH', null].includes(mood.overall_sentiment));
          assert.ok('market_fear_greed' in mood && 'market_mood' in mood && 'confidence' in mood);
          assert.ok(Array.isArray(mood.trending_topics));

          const less = await c.ask('unsubscribe', ['BTC']);
          assert.deepEqual(less.symbols, ['ETH']);
          await c.next('unsubscribed');
          assert.deepEqual(await c.next('subscribed'), { symbols: ['ETH'], unknown: [], channels: [] });
          await c.settle();
          for (let i = 0; i < 2; i++) {
            const update = await c.next('market_update');
            assert.deepEqual(Object.keys(update), ['ETH']);
          }
          const none = await c.ask('unsubscribe', ['eth']);
          assert.deepEqual(none.symbols, []);
          c.close();
        });
      }
    }

    test('subscribe takes a text, a list, an object; adds each time; two names are one symbol', async () => {
      const c = await connect();
      assert.deepEqual((await c.ask('subscribe', 'btc')).symbols, ['BTC']);
      assert.deepEqual([...(await c.ask('subscribe', { symbols: ['BTC', 'btc', 'SOL'], max_hz: 5 })).symbols].sort(),
        ['BTC', 'SOL']);
      assert.deepEqual((await c.ask('subscribe', { symbols: [], channels: ['app:x', 'ticker'] })).channels,
        ['app:x', 'ticker']);
      const stats = await c.ask('stats');
      for (const field of ['pending_bytes', 'conflated', 'dropped', 'subscriptions']) {
        assert.ok(Number.isInteger(stats[field]), `${field} ${stats[field]}`);
      }
      assert.ok('round_trip_ms' in stats && 'lag_ms' in stats && 'exchange_lag_ms' in stats);
      await c.next('ticker', (t) => Number.isFinite(t.totals?.symbols ?? t.data?.totals?.symbols));
      c.close();
    });

    test('the open candle comes while it is followed, with its symbol in any case', async () => {
      const c = await connect({ transports: ['websocket'] });
      assert.deepEqual((await c.ask('subscribe', { channels: ['candles:btc:15m'] })).channels, ['candles:BTC:15m']);
      const one = await c.next('candles', (d) => !d.candle.closed, WAIT_MS);
      assert.deepEqual([one.symbol, one.interval], ['BTC', '15m']);
      /* it grows, or a quarter of an hour has just begun */
      await c.next('candles', ({ candle: { time, trades } }) => time !== one.candle.time || trades > one.candle.trades, WAIT_MS);
      assert.deepEqual((await c.ask('unsubscribe', { channels: ['candles:Btc:15m'] })).channels, []);
      assert.equal((await c.ask('subscribe', { channels: ['candles:NOPE:15m'] })).code, 'unknown_symbol');
      assert.equal((await c.ask('subscribe', { channels: ['nope'] })).code, 'unknown_channel');
      assert.equal((await c.ask('subscribe', Array.from({ length: 501 }, (_, i) => `Q${i}`))).code, 'too_many');
      c.close();
    });

    test('max_hz is kept to, and what comes is the newest', async () => {
      const fast = await connect({ transports: ['websocket'] });
      const slow = await connect({ transports: ['websocket'] });
      await fast.ask('subscribe', ['BTC', 'ETH', 'SOL', 'DOGE']);
      const began = Date.now();
      await slow.ask('subscribe', { symbols: ['BTC', 'ETH', 'SOL', 'DOGE'], max_hz: 1 });
      const updates = () => slow.events.filter((e) => e.event === 'market_update' && e.data.BTC);
      await until(() => updates().length >= 5, 'five updates', WAIT_MS);
      /* the first came after `began`, however late it was read */
      const took = Date.now() - began;
      assert.ok(took > 1_000 * (updates().length - 1) - 300, `${updates().length} in ${took} ms`);
      /* what one of them knows the other has soon, not behind all that was left out */
      const { data } = await until(() => fast.events.findLast((e) => e.data?.BTC), 'a price', WAIT_MS);
      const known = data.BTC.timestamp;
      await slow.settle();
      await until(() => updates().length >= 4, 'four more', WAIT_MS);
      const rows = updates().map((e) => e.data.BTC.timestamp);
      assert.ok(rows.some((time) => time >= known), `${known} is newer than ${rows}`);
      fast.close();
      slow.close();
    });

    test('garbage is answered with a sentence; the connection and all others live on', async () => {
      const bystander = await connect();
      await bystander.ask('subscribe', ['BTC']);
      const c = await connect({ transports: ['websocket'] });
      const garbage = [null, 7, true, {}, { symbols: 5 }, { symbols: [1] }, { symbols: ['BTC'], max_hz: -1 },
        { symbols: ['BTC'], max_hz: 'x' }, { channels: ['nope'] }, { channels: 'app:x' },
        { channels: ['app:a,b'] }, ['\u0000'], [{}], [[]], [null], { __proto__: null, constructor: 1 }];
      for (const payload of garbage) {
        const answer = await c.ask('subscribe', payload);
        if (answer.symbols) continue; /* {} and the like ask for nothing */
        assert.equal(answer.type, 'error', JSON.stringify(payload));
        assert.ok(answer.error.length > 10 && answer.code, JSON.stringify(answer));
        await c.next('error');
      }
      for (const odd of ['', ' ', '"', 'B'.repeat(5000), 'BTC\n', '\ud83d\ude00', '../x', "';--"]) {
        const answer = await c.ask('subscribe', [odd, 'BTC']);
        assert.deepEqual(answer.symbols, ['BTC'], JSON.stringify(answer));
        assert.equal(answer.unknown.length, 1);
        assert.ok(answer.unknown[0].length < 100);
      }
      c.emit('subscribe', ...numbers(0, 50));
      assert.equal((await c.next('error')).code, 'bad_json');
      assert.equal((await c.ask('nobody-knows-this', 1)).code, 'unknown_type');
      const many = await c.ask('subscribe', numbers(0, 10_000).map((n) => `SYM${n}`));
      assert.equal(many.type, 'error');
      assert.match(many.error, /500/);
      assert.deepEqual(c.disconnects, []);
      assert.ok(bystander.socket.connected);
      await bystander.next('market_update');
      c.close();
      bystander.close();
    });

    test('500 symbols of one client, not one more', async () => {
      const c = await connect({ transports: ['websocket'] });
      const all = (await json(server, '/api/v1/assets')).body;
      const names = (all.assets ?? all.data).map((a) => a.symbol ?? a);
      assert.ok(names.length > 500, `${names.length}`);
      const ack = await c.ask('subscribe', names.slice(0, 500));
      assert.equal(ack.symbols?.length, 500, JSON.stringify(ack).slice(0, 300));
      const more = await c.ask('subscribe', [names[500]]);
      assert.equal(more.code, 'too_many');
      const again = await c.ask('unsubscribe', names.slice(1, 500));
      assert.deepEqual(again.symbols, [names[0]]);
      c.close();
    });

    test('a message over maxPayload ends its sender only', async () => {
      const bystander = await connect();
      const c = await connect({ transports: ['websocket'] });
      c.emit('subscribe', 'x'.repeat(1_100_000));
      await until(() => c.disconnects.length, 'disconnected');
      assert.ok(bystander.socket.connected);
      await bystander.ask('stats');
      bystander.close();
    });

    test('an unknown namespace is refused by name', async () => {
      await assert.rejects(connect({ nsp: '/nowhere' }), /Invalid namespace/);
    });

    test('a token is checked when one is given', async () => {
      for (const transports of [['polling'], ['websocket']]) {
        await assert.rejects(connect({ transports, auth: { token: 'wrong' } }), (error) => {
          assert.match(error.message, /token/);
          assert.equal(error.data.code, 'unauthorized');
          return true;
        });
        const c = await connect({ transports, auth: { token: TOKEN } });
        await c.next('connection_status');
        c.close();
      }
    });

    test('Origin: others are refused, allowed ones get CORS headers, also on preflight', async () => {
      const handshake = '/socket.io/?EIO=4&transport=polling';
      for (const origin of ['https://evil.example', 'null']) {
        const answer = await request(server, handshake, { headers: { origin } });
        assert.equal(answer.status, 403);
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
        const status = await new Promise((done) => {
          const ws = new WebSocket(`${server.origin.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`, { origin });
          ws.on('unexpected-response', (_, r) => done(r.statusCode));
          ws.on('open', () => done(101));
          ws.on('error', () => {});
        });
        assert.equal(status, 403);
      }
      const allowed = await request(server, handshake, { headers: { origin: ORIGIN } });
      assert.equal(allowed.status, 200);
      assert.equal(allowed.headers['access-control-allow-origin'], ORIGIN);
      assert.equal(allowed.headers['access-control-allow-credentials'], 'true');
      assert.match(allowed.headers.vary, /Origin/i);
      const preflight = await request(server, handshake, { method: 'OPTIONS', headers: {
        origin: ORIGIN, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers['access-control-allow-origin'], ORIGIN);
      assert.match(preflight.headers['access-control-allow-methods'] ?? '', /POST/);
      const foreign = await request(server, handshake, { method: 'OPTIONS', headers: {
        origin: 'https://evil.example', 'access-control-request-method': 'POST' } });
      assert.equal(foreign.headers['access-control-allow-origin'], undefined);
      const open = await startServer({ io, env: { COINCAST_ORIGINS: '*' } });
      const anybody = await request(open, handshake, { headers: { origin: ORIGIN } });
      await open.stop();
      assert.equal(anybody.headers['access-control-allow-origin'], ORIGIN);
      assert.equal(anybody.headers['access-control-allow-credentials'], undefined, 'never for everybody');
    });

    for (const way of WAYS) {
      test(`recovery by ${way.name}: what was missed comes once, in order, on any shard`, async () => {
        const channel = `app:recover-${way.name.replace(/\W/g, '')}`;
        for (let round = 0; round < 3; round++) {
          const proxy = await startProxy(server.port);
          const c = await connect({ transports: way.transports, reconnection: true, reconnectionDelay: 20,
            reconnectionDelayMax: 40 });
          c.socket.io.uri = `http://127.0.0.1:${proxy.port}`;
          c.close();
          const r = new Sio(`http://127.0.0.1:${proxy.port}`, { transports: way.transports, reconnection: true,
            reconnectionDelay: 20, reconnectionDelayMax: 40 });
          open.push(r);
          await until(() => r.socket.connected, 'connected');
          if (way.transports.length > 1) await until(() => r.transport === 'websocket', 'the upgrade');
          await r.ask('subscribe', { channels: [channel], symbols: ['BTC'] });
          await mustPublish(server, { channel, data: -1 });
          const id = r.socket.id;
          assert.equal((await r.next('message')).data, -1);
          proxy.cut();
          await until(() => r.disconnects.length, 'noticed');
          await mustPublish(server, numbers(0, 30).map((n) => ({ channel, data: n })));
          const refused = r.connects;
          proxy.resume();
          await until(() => r.connects > refused, 'back');
          assert.equal(r.socket.recovered, true);
          assert.equal(r.socket.id, id);
          await mustPublish(server, numbers(30, 5).map((n) => ({ channel, data: n })));
          assert.deepEqual((await r.take('message', 35)).map((m) => m.data), numbers(0, 35));
          const now = await r.ask('subscribe', []);
          assert.deepEqual([now.symbols, now.channels], [['BTC'], [channel]], 'it is still subscribed');
          await r.next('market_update');
          assert.deepEqual((await r.settle()).filter((e) => e.event === 'message'), []);
          await r.ask('unsubscribe', { channels: [channel] });
          assert.deepEqual((await r.ask('subscribe', { channels: ['app:another'] })).channels, ['app:another']);
          r.close();
          await proxy.stop();
        }
      });
    }

    test('40 polling clients without keep-alive on four shards: no client notices', async () => {
      const clients = await Promise.all(numbers(0, 40).map(() => connect({ transports: ['polling'], agent: false })));
      await Promise.all(clients.map((c) => c.ask('subscribe', { symbols: ['BTC'], channels: ['app:crowd'] })));
      for (let n = 0; n < 20; n++) await mustPublish(server, { channel: 'app:crowd', data: n });
      for (const c of clients) {
        assert.deepEqual((await c.take('message', 20)).map((m) => m.data), numbers(0, 20));
        assert.deepEqual(c.disconnects, []);
        c.close();
      }
    });

    test('a flood of events delays nobody else', async () => {
      const calm = await connect({ transports: ['websocket'] });
      await calm.ask('subscribe', ['BTC']);
      const took = [];
      while (!(took.at(-1) < 3_000)) { /* a busy machine may be late now and then, not each time */
        assert.ok(took.length < 4, `ms: ${took}`);
        const c = await connect({ transports: ['websocket'] });
        for (let n = 0; n < 5_000; n++) c.emit('subscribe', ['BTC', 'ETH', `X${n}`]);
        calm.events.splice(0);
        const began = Date.now();
        await calm.ask('stats');
        await calm.next('market_update');
        took.push(Date.now() - began);
        c.close();
      }
      calm.close();
    });

    test('compressed where the client offers it', async () => {
      const c = await connect({ transports: ['websocket'], perMessageDeflate: { threshold: 0 } });
      assert.match(c.socket.io.engine.transport.ws.extensions ?? '', /permessage-deflate/);
      await c.ask('subscribe', ['BTC', 'ETH', 'SOL', 'DOGE']);
      const got = new Set();
      while (got.size < 4) Object.keys(await c.next('market_update')).forEach((s) => got.add(s));
      c.close();
    });

    test('the client is served, and works in a browser', { skip: !existsSync(BROWSER) && `no ${BROWSER}` }, async () => {
      const script = await request(server, '/socket.io/socket.io.js');
      assert.equal(script.status, 200);
      assert.match(script.headers['content-type'], /javascript/);
      assert.ok(script.headers.etag);
      const npm = readFileSync(new URL('node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url), 'utf8');
      assert.equal(script.text.trimEnd(), npm.replace(/\/\/# sourceMappingURL=.*/, '').trimEnd(), 'the client of npm');
      const same = await request(server, '/socket.io/socket.io.js', { headers: { 'if-none-match': script.headers.etag } });
      assert.equal(same.status, 304);

      const page = `<!doctype html><title>t</title><script src="${server.origin}/socket.io/socket.io.js"></script>
        <script>window.rows = {}; window.ok = false;
        const s = io(${JSON.stringify(server.origin)});
        s.on('connect', () => s.emit('subscribe', ['BTC'], (a) => { window.ok = a.symbols[0] === 'BTC'; }));
        s.on('connect_error', (e) => { window.refused = e.message; });
        s.on('market_update', (m) => Object.assign(window.rows, m));</script>`;
      let html = page;
      const host = createServer((_, response) => {
        response.setHeader('content-type', 'text/html');
        response.end(html);
      });
      await new Promise((done) => host.listen(0, '127.0.0.1', done));
      const origin = `http://127.0.0.1:${host.address().port}`;
      const own = await startServer({ io, source: 'demo', env: { COINCAST_ORIGINS: origin } });
      const browser = await chromium.launch({ executablePath: BROWSER, args: ['--headless', '--no-sandbox',
        '--disable-gpu', '--no-first-run', '--disable-background-networking'] });
      try {
        const tab = await browser.newPage();
        await tab.goto(origin); /* of an origin that `server` does not allow */
        await tab.waitForFunction(() => window.refused, undefined, { timeout: WAIT_MS });
        html = page.replaceAll(server.origin, own.origin);
        await tab.goto(`${origin}/`);
        await tab.waitForFunction(() => window.ok && window.rows.BTC?.price > 0, undefined, { timeout: WAIT_MS });
        await tab.waitForFunction(() => s.io.engine.transport.name === 'websocket', undefined, { timeout: WAIT_MS });
      } finally {
        await browser.close();
        host.closeAllConnections();
        host.close();
        await own.stop();
      }
    });

    const python = existsSync(PYTHON)
      && spawnSync(PYTHON, ['-c', 'import socketio, websocket, requests']).status === 0;
    for (const transport of ['polling', 'websocket']) {
      test(`python-socketio by ${transport}`, { skip: !python && 'python3-socketio is not installed' }, async () => {
        const script = fileURLToPath(new URL('lib/socketio_client.py', import.meta.url));
        const output = await new Promise((done, fail) => execFile(PYTHON, [script, server.origin, transport],
          { timeout: WAIT_MS }, (error, out, err) => (error ? fail(new Error(`${error.message}\n${out}${err}`)) : done(out))));
        const said = JSON.parse(output);
        assert.deepEqual(said.ack.symbols, ['BTC']);
        assert.deepEqual(said.ack.unknown, ['NOPE']);
        assert.equal(said.status.mode, 'demo');
        assertRow('BTC', said.row);
        assert.equal(said.binary.code, 'unknown_type', 'binary events are read as any other');
        assert.equal(said.transport, transport);
      });
    }
  });

  describe(`Socket.IO comes and goes on ${io}`, { skip, concurrency: 4 }, () => {
    test('SIGTERM tells clients on every transport, and the server ends', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '60000' } }); /* it ends when all know */
      const clients = await Promise.all(WAYS.map((way) => Sio.connect(server.origin, { transports: way.transports })));
      await until(() => clients[2].transport === 'websocket', 'the upgrade');
      for (const c of clients) await c.ask('subscribe', { channels: ['app:x'] });
      await server.stop();
      for (const c of clients) {
        const told = await c.next('server_shutdown');
        assert.ok(told.reconnect_after_ms > 0);
        await until(() => c.disconnects.length, 'disconnected');
        c.close();
      }
    });

    for (const keep of [true, false]) {
      test(`SIGTERM between two polls: told at the next, ${keep ? 'on the same' : 'by a new'} connection`, async () => {
        const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '30000', COINCAST_SHARDS: '3' } });
        const agents = numbers(0, 6).map(() => keep && new http.Agent({ keepAlive: true, maxSockets: 1 }));
        const pollers = await Promise.all(agents.map((agent) => Poller.open(server, { agent })));
        for (const p of pollers) assert.equal((await p.get()).packets.length, 2, 'connected, and its status');
        server.kill('SIGTERM');
        await untilDraining(server);

        const stranger = await request(server, '/socket.io/?EIO=4&transport=polling');
        assert.equal(stranger.status, 503, 'no new session');
        const summary = await json(server, '/api/crypto/dashboard-summary');
        assert.equal(summary.status, 503);
        assert.equal(summary.headers.connection, 'close');
        assert.equal((await request(server, '/healthz')).status, 200);

        for (const p of pollers) {
          const told = await p.get();
          assert.equal(told.status, 200);
          assert.match(told.packets.join(), /^42\["server_shutdown",\{"reconnect_after_ms":\d+,"timestamp":"[^"]+"\}\]$/);
          assert.equal(server.ended, null, 'it waits for the others');
          assert.deepEqual(await p.get(), { status: 200, packets: ['1'] });
        }
        /* Nobody is left: long before the drain time is over. */
        assert.deepEqual(await server.exit(), { code: 0, signal: null }, server.log);
        for (const agent of agents) if (agent) agent.destroy();
        await rm(server.dir, { recursive: true, force: true });
      });
    }

    test('SIGTERM: who does not poll any more holds it up for the drain time only', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '400', COINCAST_SHARDS: '2' } });
      const gone = await Poller.open(server);
      await gone.get();
      await server.stop();
    });

    test('after a restart nothing is pretended: not recovered, and subscribing works', async () => {
      const first = await startServer({ io, env: { COINCAST_SHARDS: '2' } });
      const c = await Sio.connect(first.origin, { transports: ['websocket'], reconnection: true,
        reconnectionDelay: 50, reconnectionDelayMax: 100 });
      await c.ask('subscribe', { channels: ['app:x'] });
      await mustPublish(first, { channel: 'app:x', data: 1 });
      await c.next('message');
      const id = c.socket.id;
      await first.stop();
      const second = await startServer({ io, port: first.port, env: { COINCAST_SHARDS: '2' } });
      try {
        await until(() => c.connects === 2 && c.socket.connected, 'back');
        assert.equal(c.socket.recovered, false);
        assert.notEqual(c.socket.id, id);
        const ack = await c.ask('subscribe', { channels: ['app:x'] });
        assert.deepEqual(ack.channels, ['app:x']);
        await mustPublish(second, { channel: 'app:x', data: 2 });
        assert.equal((await c.next('message')).data, 2);
      } finally {
        c.close();
        await second.stop();
      }
    });

    test('over TLS, by every way', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'coincast-sio-'));
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
        '-days', '2', '-subj', '/CN=localhost', '-keyout', join(dir, 'key.pem'), '-out', join(dir, 'cert.pem')],
      { stdio: 'ignore' });
      const server = await startServer({ io, tls: true, source: 'demo', env: { COINCAST_SHARDS: '2',
        COINCAST_TLS_CERT: join(dir, 'cert.pem'), COINCAST_TLS_KEY: join(dir, 'key.pem') } });
      try {
        for (const way of WAYS) {
          const c = await Sio.connect(server.origin, { transports: way.transports, rejectUnauthorized: false });
          if (way.transports.length > 1) await until(() => c.transport === 'websocket', 'the upgrade');
          await c.ask('subscribe', { symbols: ['BTC'], channels: ['app:t'] });
          await mustPublish(server, numbers(0, 20).map((n) => ({ channel: 'app:t', data: n })));
          assert.deepEqual((await c.take('message', 20)).map((m) => m.data), numbers(0, 20));
          await c.next('market_update');
          await c.next('market_update');
          c.close();
        }
      } finally {
        await server.stop();
        await rm(dir, { recursive: true, force: true });
      }
    });

    test('clients of an address over the rate are told, and when to come again', async () => {
      const server = await startServer({ io, env: { COINCAST_LIMIT_LOOPBACK: '1', COINCAST_COMMANDS_PER_SECOND: '10' } });
      const c = await Sio.connect(server.origin, { transports: ['websocket'] });
      for (let n = 0; n < 200; n++) c.emit('subscribe', { channels: ['app:x'] });
      const error = await c.next('error');
      assert.equal(error.code, 'rate_limited');
      assert.ok(error.retry_after >= 1);
      assert.ok(c.socket.connected);
      c.close();
      await server.stop();
    });
  });
}
