/* Clients that mean no good, or leave at the worst moment: the server says no, lets them go, and
 * goes on for everybody else. Polling is spoken by hand, for no library would do these things.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { json, mustPublish, request } from './lib/http.mjs';
import { PATH, Poller, RS } from './lib/poller.mjs';
import { backEnds, startServer, startUpstream, until } from './lib/server.mjs';
import { Sio } from './lib/socketio.mjs';

/* What a process has used of processors, ms: a busy machine makes it wait, not work. */
function processorMs({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10; /* ticks of user and system, 100 a second */
}
const numbers = (from, count) => Array.from({ length: count }, (_, i) => from + i);

for (const { io, skip } of await backEnds()) {
  describe(`hostile clients on ${io}`, { skip }, () => {
    let server;
    before(async () => {
      server = await startServer({ io, source: 'demo', env: { COINCAST_SHARDS: '2' } });
      await until(async () => (await json(server, '/api/v1/prices?symbols=BTC')).body.data?.BTC?.price,
        'the market is there', 60_000);
      await until(async () => (await json(server, '/api/v1/assets')).body.assets.length > 500, 'the exchanges\' lists', 60_000);
    });
    after(() => server?.stop());

    test('SIGTERM while sessions poll that nobody holds a connection for', async () => {
      const own = await startServer({ io, env: { COINCAST_SHARDS: '2' } });
      for (let i = 0; i < 5; i++) await Poller.open(own);
      await own.stop();
    });

    test('SIGTERM while a refresh is under way that is not answered', async () => {
      const upstream = await startUpstream();
      await upstream.control({ target: '*', fault: 'silence' });
      const own = await startServer({ io, source: 'live', args: ['--publish-log', 'publish.log'], env: {
        ...upstream.env, ...upstream.feeds, COINCAST_DRAIN_MS: '300', COINCAST_PRICE_TTL_MS: '0', COINCAST_SUMMARY_TTL_MS: '0' } });
      const before = await upstream.sent();
      const cut = request(own, '/api/crypto/dashboard-summary/refresh').catch(() => 'cut');
      await until(async () => await upstream.sent() > before || await upstream.sent() > 3, 'it asks');
      await own.stop();
      await cut;
      await upstream.stop();
    });

    test('who subscribes and never polls is let go in the middle of it', async () => {
      for (const event of ['subscribe', 'unsubscribe', 'stats', 'nonsense']) {
        const p = await Poller.open(server);
        const body = Array(4_000).fill(`420["${event}",{"symbols":["BTC","ETH"],"channels":["app:never"]}]`).join(RS);
        await p.post(body);
        for (let i = 0; i < 3 && (await p.post(body)).status === 200; i++);
        assert.equal((await p.get()).status, 400, `${event}: the session is gone`);
      }
      assert.equal((await request(server, '/healthz')).status, 200);
    });

    test('a sid of a shard that is not there is unknown like any other', async () => {
      const p = await Poller.open(server);
      const origin = 'http://app.example';
      const own = await startServer({ io, env: { COINCAST_SHARDS: '2', COINCAST_ORIGINS: origin } });
      const answer = await request(own, `${PATH}&sid=zz${p.sid.slice(2)}`, { headers: { origin } });
      assert.equal(answer.status, 400);
      assert.deepEqual(JSON.parse(answer.text), { code: 1, message: 'Session ID unknown' });
      assert.equal(answer.headers['access-control-allow-origin'], origin);
      assert.equal(answer.headers['access-control-allow-credentials'], 'true');
      await own.stop();
    });

    test('as many symbols and channels as may be, and not one more', async () => {
      const { body } = await json(server, '/api/v1/assets');
      const symbols = body.assets.map((a) => a.symbol).slice(0, 500);
      assert.equal(symbols.length, 500);
      const c = await Sio.connect(server.origin, { transports: ['websocket'], reconnection: true,
        reconnectionDelay: 300, reconnectionDelayMax: 300 });
      const first = await c.ask('subscribe', symbols.slice(0, 400));
      assert.equal(first.symbols.length, 400);
      const channels = numbers(0, 50).map((n) => `app:many-${n}`);
      const all = await c.ask('subscribe', { symbols: symbols.slice(300), channels });
      assert.deepEqual([all.symbols.length, all.channels.length], [500, 50]);
      assert.equal((await c.ask('subscribe', { channels: ['app:one-more'] })).code, 'too_many');
      const over = body.assets.map((a) => a.symbol)[500];
      assert.equal((await c.ask('subscribe', [over])).code, 'too_many');
      const left = await c.ask('unsubscribe', { symbols: symbols.slice(2), channels: channels.slice(1) });
      assert.deepEqual([[...left.symbols].sort(), left.channels], [symbols.slice(0, 2).sort(), ['app:many-0']]);

      /* the same again for who came back */
      await c.next('market_update');
      c.socket.io.engine.close();
      await until(() => c.connects === 2, 'back');
      assert.equal(c.socket.recovered, true);
      const none = await c.ask('unsubscribe', { channels: ['app:many-0'] });
      assert.deepEqual(none.channels, []);
      assert.deepEqual((await c.ask('subscribe', { channels })).channels, channels);
      assert.equal((await c.ask('subscribe', { channels: ['app:one-more'] })).code, 'too_many');
      c.close();
    });

    test('subscribing to hundreds of symbols over and over costs others little', async () => {
      const { body } = await json(server, '/api/v1/assets');
      const symbols = body.assets.map((a) => a.symbol).slice(0, 500);
      const c = await Sio.connect(server.origin, { transports: ['websocket'] });
      const calm = await Sio.connect(server.origin, { transports: ['websocket'] });
      const used = processorMs(server);
      for (let n = 0; n < 12; n++) {
        c.emit('subscribe', symbols);
        c.emit('unsubscribe', symbols);
        c.emit('subscribe', Array(20_000).fill(`nope`));
      }
      for (let n = 0; n < 5; n++) await calm.ask('stats');
      await c.ask('stats');
      const cost = processorMs(server) - used;
      assert.ok(cost < 4_000, `${cost} ms`);
      c.close();
      calm.close();
    });

    test('candle channels by Socket.IO, in any case', async () => {
      const c = await Sio.connect(server.origin, { transports: ['websocket'] });
      const ack = await c.ask('subscribe', { channels: ['candles:btc:1m'] });
      assert.deepEqual(ack.channels, ['candles:BTC:1m']);
      assert.equal((await c.next('candles', () => true, 60_000)).symbol ?? 'BTC', 'BTC');
      assert.match((await c.ask('subscribe', { channels: ['candles:NOPE:1m'] })).error, /unknown/);
      c.close();
    });

    for (const transports of [['polling'], ['websocket']]) {
      test(`who missed more than may wait for it gets all of it, by ${transports}`, async () => {
        const channel = `app:much-${transports}`;
        const c = await Sio.connect(server.origin, { transports, reconnection: true, reconnectionDelay: 300,
          reconnectionDelayMax: 300 });
        await c.ask('subscribe', { channels: [channel] });
        await mustPublish(server, { channel, data: -1 });
        await c.next('message', (m) => m.data === -1);
        c.socket.io.engine.close();
        await until(() => !c.socket.connected, 'away');
        for (const n of numbers(0, 30)) await mustPublish(server, { channel, data: `${n} ${'x'.repeat(100_000)}` });
        const got = await c.take('message', 30);
        assert.deepEqual(got.map((m) => Number(m.data.split(' ')[0])), numbers(0, 30));
        assert.equal(c.socket.recovered, true);
        assert.equal(c.connects, 2);
        await mustPublish(server, { channel, data: 'after' });
        await c.next('message', (m) => m.data === 'after');
        c.close();
      });
    }
  });
}
