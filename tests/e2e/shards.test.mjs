/* Several I/O threads behind one port: clients do not notice where they are.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { json, mustPublish } from './lib/http.mjs';
import { backEnds, startServer, until } from './lib/server.mjs';

const CLIENTS = 36;
const numbers = (from, count) => Array.from({ length: count }, (_, i) => from + i);

for (const { io, skip } of await backEnds()) {
  describe(`three shards on ${io}`, { skip }, () => {
    let server;
    before(async () => {
      server = await startServer({ io, env: { COINCAST_SHARDS: '3' } });
    });
    after(() => server?.stop());
    const connections = async () => (await json(server, '/api/health')).body.components
      .filter((c) => /^shard-\d$/.test(c.name)).map((c) => c.connections);
    const crowd = (count = CLIENTS) =>
      Promise.all(Array.from({ length: count }, () => Client.connect(server.ws)));
    const leave = (clients) => Promise.all(clients.map((c) => c.close()));

    test('clients are on more than one shard, and health counts them', async () => {
      const clients = await crowd();
      const counts = await until(async () => {
        const now = await connections();
        return now.reduce((a, b) => a + b, 0) >= CLIENTS && now;
      }, `health shows ${CLIENTS} clients`);
      assert.equal(counts.length, 3);
      assert.ok(counts.filter((n) => n > 0).length >= 2, `${counts}`);
      await leave(clients);
      await until(async () => (await connections()).reduce((a, b) => a + b, 0) <= 2, 'and that they left');
    });

    test('what any shard takes in reaches the clients of all, in one order', async () => {
      const clients = await crowd();
      for (const c of clients) await c.subscribe('app:all');
      /* each request is a connection of its own, so the kernel spreads them over the shards */
      const cursors = [];
      for (const n of numbers(0, 30)) cursors.push((await mustPublish(server, { channel: 'app:all', data: n })).cursor);
      assert.equal(new Set(cursors).size, 30);
      for (const c of clients) {
        const got = await c.take('message', 30);
        assert.deepEqual(got.map((m) => m.data), numbers(0, 30));
        assert.deepEqual(got.map((m) => m.cursor), cursors);
      }
      await leave(clients);
    });

    test('publishers at the same time: every client has the same order', async () => {
      const clients = await crowd(12);
      for (const c of clients) await c.subscribe('app:race');
      await Promise.all(numbers(0, 40).map((n) => mustPublish(server, { channel: 'app:race', data: n })));
      const orders = [];
      for (const c of clients) orders.push((await c.take('message', 40)).map((m) => m.data));
      for (const order of orders) assert.deepEqual(order, orders[0]);
      assert.deepEqual([...orders[0]].sort((a, b) => a - b), numbers(0, 40));
      await leave(clients);
    });

    test('a cursor from one shard resumes on every other', async () => {
      const first = await Client.connect(server.ws);
      await first.subscribe('app:resume');
      await mustPublish(server, { channel: 'app:resume', data: 'seen' });
      const { cursor } = await first.next('message');
      await first.close();
      await mustPublish(server, numbers(0, 20).map((n) => ({ channel: 'app:resume', data: n })));
      /* of 24 connections no shard is left out but by a chance of one in ten thousand */
      const clients = await crowd(24);
      const places = await until(async () => {
        const now = await connections();
        return now.reduce((a, b) => a + b, 0) >= 24 && now;
      }, 'the shards count them');
      assert.ok(places.filter((n) => n > 0).length >= 2, `${places}`);
      for (const c of clients) {
        const answer = await c.subscribe('app:resume', { since: cursor });
        assert.equal(answer.type, 'subscribed', answer.text);
        assert.equal(answer.recovered, true, answer.text);
        assert.equal(answer.reset, false, answer.text);
        assert.deepEqual((await c.take('message', 20)).map((m) => m.data), numbers(0, 20));
      }
      await mustPublish(server, { channel: 'app:resume', data: 'live' });
      for (const c of clients) assert.equal((await c.next('message')).data, 'live');
      for (const c of clients) assert.equal((await c.settle()).filter((m) => m.type === 'message').length, 0);
      await leave(clients);
    });

    test('resuming while messages come: nothing twice, nothing missing', async () => {
      const { cursor } = await mustPublish(server, { channel: 'app:during', data: -1 });
      let next = 0;
      const end = 300;
      const clients = [];
      const publishing = (async () => {
        while (next < end) {
          /* three come in between, however late they are */
          await until(() => clients.length >= Math.floor(next / 75), 'a client', 60_000);
          const part = numbers(next, 5);
          next += 5;
          await mustPublish(server, part.map((n) => ({ channel: 'app:during', data: n })));
        }
      })();
      while (next < end) {
        const c = await Client.connect(server.ws);
        await c.subscribe('app:during', { since: cursor });
        clients.push(c);
      }
      await publishing;
      assert.ok(clients.length >= 3, `${clients.length} came in between`);
      for (const c of clients) {
        assert.deepEqual((await c.take('message', end)).map((m) => m.data), numbers(0, end));
      }
      await leave(clients);
    });

    test('poll and stream resume as well, wherever they arrive', async () => {
      const { cursor } = await mustPublish(server, { channel: 'app:both', data: 'a' });
      await mustPublish(server, { channel: 'app:both', data: 'b' });
      for (let i = 0; i < 12; i += 1) {
        const { body } = await json(server, `/api/v1/poll?channels=app:both&since=${cursor}`);
        assert.deepEqual(body.messages.map((m) => m.data), ['b']);
        assert.equal(body.reset, false);
        const stream = await fetch(`${server.origin}/api/v1/stream?channels=app:both`, {
          headers: { 'last-event-id': cursor } });
        const reader = stream.body.getReader();
        let text = '';
        await until(async () => {
          text += new TextDecoder().decode((await reader.read()).value);
          return /event: message\n/.test(text) && /"data":"b"/.test(text);
        }, 'the missed message');
        await reader.cancel();
      }
    });
  });
}
