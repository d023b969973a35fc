/* What an address may, over all I/O threads: requests a second and connections. Loopback counts here
 * because COINCAST_LIMIT_LOOPBACK says so. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import { assertProblem, json, publish, request } from './lib/http.mjs';
import { PATH, Poller } from './lib/poller.mjs';
import { backEnds, startServer, TOKEN, until } from './lib/server.mjs';

const ASSETS = '/api/v1/assets';
const many = (count, fn) => Promise.all(Array.from({ length: count }, (_, i) => fn(i)));

/* Answers to so many requests at once; each by a connection of its own, so by any I/O thread. `seconds`
 * is what they took at most: on a busy machine an address gains requests meanwhile. */
async function statuses(server, count, options = () => ({})) {
  const began = performance.now();
  const answers = await many(count, (i) => request(server, ASSETS, options(i)));
  return { fine: answers.filter((a) => a.status === 200).length,
    refused: answers.filter((a) => a.status === 429).length,
    seconds: Math.ceil((performance.now() - began) / 1000), answers };
}

for (const { io, skip } of await backEnds()) {
  describe(`limits of an address on ${io}`, { skip, concurrency: 4 }, () => {
    const start = (env) => startServer({ io, env: { COINCAST_SHARDS: '3', ...env } });

    test('requests: a burst of twice the rate, then 429 with the time to wait, then again', async () => {
      const server = await start({ COINCAST_LIMIT_LOOPBACK: '1', COINCAST_REQUESTS_PER_SECOND: '3' });
      const began = performance.now();
      const { fine, refused, answers } = await statuses(server, 80);
      const gained = Math.ceil((performance.now() - began) / 333) + 1;
      assert.equal(fine + refused, 80);
      assert.ok(fine >= 6 && fine <= 6 + gained, `${fine} of 80, ${gained} gained meanwhile`);
      const hasty = answers.find((a) => a.status === 429);
      assertProblem(hasty, 429);
      const wait = JSON.parse(hasty.text).retry_after;
      assert.ok(Number.isInteger(wait) && wait >= 1, hasty.text);
      assert.equal(hasty.headers['retry-after'], String(wait));
      assert.equal((await request(server, '/healthz')).status, 200, 'a probe is never refused');
      await until(async () => (await request(server, ASSETS)).status === 200, 'one is gained');
      await server.stop();
    });

    test('requests: loopback is exempt, as is a limit of 0', async () => {
      for (const env of [{ COINCAST_REQUESTS_PER_SECOND: '1' },
        { COINCAST_REQUESTS_PER_SECOND: '0', COINCAST_LIMIT_LOOPBACK: '1' }]) {
        const server = await start(env);
        assert.equal((await statuses(server, 30)).fine, 30);
        await server.stop();
      }
    });

    test('requests: behind a trusted proxy it is the client that counts', async () => {
      const server = await start({ COINCAST_TRUSTED_PROXY: '1', COINCAST_REQUESTS_PER_SECOND: '1' });
      const from = (address) => ({ headers: { 'x-forwarded-for': address } });
      const one = await statuses(server, 40, () => from('192.0.2.1, 203.0.113.5'));
      assert.ok(one.refused > 0 && one.fine <= 2 + one.seconds, `${one.fine} in ${one.seconds} s`);
      assert.equal((await request(server, ASSETS, from('192.0.2.1, 203.0.113.6'))).status, 200, 'another client');
      assert.equal((await statuses(server, 20)).fine, 20, 'the proxy itself is on loopback');
      await server.stop();
      /* Whom nobody trusts can't name others, and so itself cannot hide. */
      const open = await start({ COINCAST_LIMIT_LOOPBACK: '1', COINCAST_REQUESTS_PER_SECOND: '1' });
      const all = await statuses(open, 40, (i) => from(`203.0.113.${i}`));
      assert.ok(all.refused > 0 && all.fine <= 2 + all.seconds, `${all.fine} in ${all.seconds} s`);
      await open.stop();
    });

    test('requests: sessions go on, and so does who has brought the token', async () => {
      const server = await start({ COINCAST_LIMIT_LOOPBACK: '1', COINCAST_REQUESTS_PER_SECOND: '1', COINCAST_DRAIN_MS: '200' });
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const poller = await Poller.open(server);
      await poller.get();
      const message = (n) => ({ channel: 'app:x', data: n });
      const post = (n, token) => json(server, '/api/v1/publish', { method: 'POST', agent, body: JSON.stringify(message(n)),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` } });
      const first = await publish(server, message(0));
      assert.ok([200, 429].includes(first.status));
      await until(async () => (await post(1, TOKEN)).status === 200, 'it is known');
      const others = await statuses(server, 40);
      assert.ok(others.refused > 0 && others.fine <= 2 + others.seconds, `${others.fine} in ${others.seconds} s`);
      for (let n = 0; n < 20; n++) assert.equal((await post(n, TOKEN)).status, 200);
      const guesses = [];
      for (let n = 0; n < 40 && !guesses.includes(429); n++) guesses.push((await post(n, `wrong-${n}`)).status);
      assert.ok(guesses.includes(429), 'guessing is held to the rate');
      for (let n = 0; n < 20; n++) assert.equal((await poller.post('420["subscribe",{"channels":["app:x"]}]')).status, 200);
      assert.equal((await poller.get()).status, 200);
      const sessions = await many(20, () => request(server, PATH));
      assert.ok(sessions.some((a) => a.status === 429), 'a new session is a request');
      agent.destroy();
      await poller.post('1');
      await server.stop();
    });

    test('connections: as many as it may have, whichever threads they come to', async () => {
      const server = await start({ COINCAST_LIMIT_LOOPBACK: '1', COINCAST_MAX_CONNS_PER_IP: '6', COINCAST_SHARDS: '4' });
      const open = Array.from({ length: 24 }, () => {
        const socket = net.connect(server.port, '127.0.0.1');
        socket.text = '';
        socket.on('error', () => {});
        socket.on('data', (part) => (socket.text += part));
        socket.on('close', () => (socket.gone = true));
        return socket;
      });
      const stay = () => open.filter((s) => !s.gone);
      const refused = () => open.filter((s) => s.gone && /^HTTP\/1.1 429 /.test(s.text));
      await until(() => stay().length <= 6, 'the others are refused');
      for (const s of stay()) s.write(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n\r\n`);
      await until(() => stay().every((s) => s.text.startsWith('HTTP/1.1 200 ')), 'those that stay are served');
      assert.equal(stay().length + refused().length, 24);
      /* the one that asked for /healthz may still be there */
      assert.ok(stay().length === 6 || stay().length === 5, `${stay().length} of 6`);
      for (const s of open) s.destroy();
      /* who is refused may be cut off before it has read so */
      const room = () => publish(server, { channel: 'app:x', data: 1 }).then((answer) => answer.status === 200, () => false);
      await until(async () => (await many(3, room)).every(Boolean), 'room again');
      await server.stop();
    });
  });
}
