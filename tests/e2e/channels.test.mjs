/* Published channels: byte for byte to subscribers, and one cursor that recovers what was missed on
 * WebSocket, SSE and polling alike. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import { Client } from './lib/client.mjs';
import { assertCursor, json, mustPublish, TIME } from './lib/http.mjs';
import { startProxy } from './lib/proxy.mjs';
import { backEnds, sleep, startServer, until } from './lib/server.mjs';

let names = 0;
const fresh = () => `app:e2e-${process.pid}-${++names}`;
const seqOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

/* Values whose every byte matters: digits beyond a double, escapes, spaces, key order, depth. */
const EXACT = [
  '{"price":1.10,"big":12345678901234567890.000100,"small":1E-400,"neg":-0.0}',
  '{ "spaces" :\t[ 1 , 2 ]\n}',
  '"\\u00e9 é \\/ \\ud83d\\ude00 😀"',
  '{"b":1,"a":2,"b":3}',
  'null', 'true', '0', '""', '[]', '{}',
  `${'['.repeat(30)}${']'.repeat(30)}`,
];

const dataText = (message) => {
  const from = message.text.indexOf('"data":') + 7;
  const to = message.text.lastIndexOf(',"timestamp":');
  return message.text.slice(from, to);
};

/* Two tests wait for what takes its time by contract (15 s, 25 s), so the back ends go side by side. */
const both = await backEnds();
describe('channels', { concurrency: both.length }, () => {
  for (const { io, skip } of both) describe(`on ${io}`, { skip, concurrency: 1 }, () => {
    let server;
    let idleStream; /* an SSE stream that nothing is published to, for the comment lines */
    let idlePoll;
    before(async () => {
      server = await startServer({ io, args: ['--shards', '2'] });
      const channel = fresh();
      const aborter = new AbortController();
      idleStream = { aborter, text: '', began: Date.now(), commented: null };
      const answer = await fetch(`${server.origin}/api/v1/stream?channels=${channel}`,
        { signal: aborter.signal });
      (async () => {
        for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
          idleStream.text += part;
          if (/^:/m.test(part)) idleStream.commented ??= Date.now() - idleStream.began;
        }
      })().catch(() => {});
      const { body } = await json(server, `/api/v1/poll?channels=${channel}`);
      idlePoll = { began: Date.now() };
      idlePoll.answer = json(server, `/api/v1/poll?channels=${channel}&since=${body.cursor}`)
        .then((a) => ({ ...a, ms: Date.now() - idlePoll.began }));
      idlePoll.answer.catch(() => {});
    });
    after(async () => {
      idleStream.aborter.abort();
      await server?.stop();
    });

    test('data reaches subscribers byte for byte', async () => {
      const channel = fresh();
      const c = await Client.connect(server.ws);
      assert.equal((await c.subscribe(channel)).type, 'subscribed');
      for (const data of EXACT) {
        const { accepted } = await mustPublish(server, `{"channel":"${channel}","data":${data}}`);
        assert.equal(accepted, 1);
        const m = await c.next('message');
        assert.equal(dataText(m), data);
        assert.equal(m.channel, channel);
        assert.match(m.timestamp, TIME);
        assertCursor(m.cursor);
      }
      await c.close();
    });

    test('a list of 1,000 arrives whole and in order, at every subscriber', async () => {
      const channel = fresh();
      const clients = await Promise.all(Array.from({ length: 5 }, () => Client.connect(server.ws)));
      for (const c of clients) assert.equal((await c.subscribe(channel)).type, 'subscribed');
      const list = Array.from({ length: 1000 }, (_, n) => `{"channel":"${channel}","data":{"n":${n}.0}}`);
      const { accepted, cursor } = await mustPublish(server, `[${list.join(',')}]`);
      assert.equal(accepted, 1000);
      for (const c of clients) {
        const got = await c.take('message', 1000);
        got.forEach((m, n) => assert.equal(dataText(m), `{"n":${n}.0}`));
        const seqs = got.map((m) => seqOf(m.cursor));
        assert.ok(seqs.every((seq, i) => i === 0 || seq > seqs[i - 1]), 'cursors rise');
        assert.equal(got.at(-1).cursor, cursor);
        await c.close();
      }
    });

    test('only subscribers of a channel get it, and none after unsubscribe', async () => {
      const [a, b] = [fresh(), fresh()];
      const c = await Client.connect(server.ws);
      await c.subscribe(a);
      await mustPublish(server, { channel: b, data: 'not for you' });
      await mustPublish(server, { channel: a, data: 'for you' });
      assert.equal((await c.next('message')).data, 'for you');
      c.send({ type: 'unsubscribe', id: 'u', channel: a });
      assert.equal((await c.next('unsubscribed')).id, 'u');
      await mustPublish(server, { channel: a, data: 'too late' });
      const rest = await c.settle();
      assert.ok(!rest.some((m) => m.type === 'message'), JSON.stringify(rest));
      await c.close();
    });

    test('since: what was missed comes between subscribed and the live ones, once', async () => {
      const channel = fresh();
      const { cursor } = await mustPublish(server, { channel, data: 1 });
      await mustPublish(server, [{ channel, data: 2 }, { channel: fresh(), data: 'other' },
        { channel, data: 3 }]);
      const c = await Client.connect(server.ws);
      const m = await c.subscribe(channel, { since: cursor });
      assert.equal(m.recovered, true, m.text);
      assert.equal(m.reset, false);
      assert.equal(m.params.since, cursor);
      await mustPublish(server, { channel, data: 4 });
      assert.deepEqual((await c.take('message', 3)).map((x) => x.data), [2, 3, 4]);
      assert.ok(!(await c.settle()).some((x) => x.type === 'message'));
      await c.close();
    });

    test('since the newest: recovered, and nothing comes twice', async () => {
      const channel = fresh();
      const { cursor } = await mustPublish(server, { channel, data: 1 });
      const c = await Client.connect(server.ws);
      const m = await c.subscribe(channel, { since: cursor });
      assert.equal(m.recovered, true, m.text);
      assert.equal(m.reset, false);
      assert.ok(!(await c.settle()).some((x) => x.type === 'message'));
      await c.close();
    });

    test('an unknown cursor is told with reset, never with silence', async () => {
      const channel = fresh();
      const { cursor } = await mustPublish(server, { channel, data: 1 });
      const epoch = cursor.slice(0, cursor.lastIndexOf('-'));
      const c = await Client.connect(server.ws);
      for (const since of ['nonsense', 'other-1', `${epoch}-999999999`, `${epoch}-`, '', `${epoch}--1`,
        `${epoch}-99999999999999999999999`]) {
        const m = await c.subscribe(channel, { since });
        assert.equal(m.type, 'subscribed', m.text);
        assert.equal(m.reset, true, `${since}: ${m.text}`);
        assert.equal(m.recovered, false);
        const poll = await json(server,
          `/api/v1/poll?channels=${channel}&since=${encodeURIComponent(since || 'x')}`);
        assert.equal(poll.body.reset, true, since);
      }
      await mustPublish(server, { channel, data: 'live' });
      assert.equal((await c.next((x) => x.data === 'live')).data, 'live');
      await c.close();
    });

    test('one cursor serves any set of channels on any transport', async () => {
      const [a, b] = [fresh(), fresh()];
      const c = await Client.connect(server.ws);
      await c.subscribe(a);
      await mustPublish(server, { channel: a, data: 'first' });
      const { cursor } = await c.next('message');
      await c.close();
      await mustPublish(server, [{ channel: b, data: 1 }, { channel: a, data: 2 }, { channel: b, data: 3 }]);
      const { messages } = await pollFor(server, [a, b], cursor, 3);
      assert.deepEqual(messages.map((m) => m.data), [1, 2, 3]);
      const es = await openStream(server, `channels=${a},${b}&since=${messages[0].cursor}`);
      await until(() => es.got.length >= 2, 'two events');
      assert.deepEqual(es.got.map((e) => e.data.data), [2, 3]);
      es.close();
    });

    test('poll: waits for the next message and goes on from its cursor', async () => {
      const channel = fresh();
      const first = await json(server, `/api/v1/poll?channels=${channel}`);
      assert.equal(first.status, 200);
      assertCursor(first.body.cursor);
      assert.deepEqual(first.body.messages, []);
      let cursor = first.body.cursor;
      for (let n = 0; n < 3; n++) {
        const waiting = json(server, `/api/v1/poll?channels=${channel}&since=${cursor}`);
        await sleep(50);
        await mustPublish(server, { channel, data: n });
        const { status, body } = await waiting;
        assert.equal(status, 200);
        assert.equal(body.reset, false);
        assert.deepEqual(body.messages.map((m) => m.data), [n]);
        assert.equal(body.messages[0].type, 'message');
        assert.ok(seqOf(body.cursor) >= seqOf(body.messages[0].cursor));
        cursor = body.cursor;
      }
    });

    test('poll: exact bytes as well', async () => {
      const channel = fresh();
      const first = await json(server, `/api/v1/poll?channels=${channel}`);
      for (const data of EXACT) await mustPublish(server, `{"channel":"${channel}","data":${data}}`);
      const { text } = await pollFor(server, [channel], first.body.cursor, EXACT.length);
      for (const data of EXACT) assert.ok(text.includes(`"data":${data},"timestamp"`), data);
    });

    test('SSE: named events with ids, the head says how to be read', async () => {
      const channel = fresh();
      const aborter = new AbortController();
      const answer = await fetch(`${server.origin}/api/v1/stream?channels=${channel}`,
        { signal: aborter.signal });
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
      assert.match(answer.headers.get('cache-control'), /no-cache|no-store/);
      const { cursor } = await mustPublish(server, { channel, data: { line: 'a\nb' } });
      let text = '';
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (/^data:.*\n\n/m.test(text)) break;
      }
      aborter.abort();
      assert.match(text, /^retry: ?\d+$/m);
      assert.match(text, /^event: ?message$/m);
      assert.ok(new RegExp(`^id: ?${cursor}$`, 'm').test(text), text);
    });

    test('SSE: the stock client gets what came while it was cut off, by Last-Event-ID', async () => {
      const channel = fresh();
      const proxy = await startProxy(server.port);
      const es = await openStream({ origin: `http://127.0.0.1:${proxy.port}` }, `channels=${channel}`);
      try {
        await mustPublish(server, { channel, data: 1 });
        await until(() => es.got.length === 1, 'the first event');
        assert.equal(es.got[0].id, es.got[0].data.cursor);
        proxy.cut();
        await mustPublish(server, [{ channel, data: 2 }, { channel, data: 3 }]);
        proxy.resume();
        await until(() => es.got.length >= 3, 'what was missed');
        await mustPublish(server, { channel, data: 4 });
        await until(() => es.got.length >= 4, 'the live one');
        assert.deepEqual(es.got.map((e) => e.data.data), [1, 2, 3, 4]);
      } finally {
        es.close();
        await proxy.stop();
      }
    });

    test('more than a client is kept for at once comes back whole and in order', async () => {
      const channel = fresh();
      const { cursor } = await mustPublish(server, { channel, data: -1 });
      const pad = 'x'.repeat(300);
      for (let n = 0; n < 3000; n += 500) {
        await mustPublish(server, Array.from({ length: 500 }, (_, i) => ({ channel, data: [n + i, pad] })));
      }
      const wanted = Array.from({ length: 3001 }, (_, i) => i);
      const client = await Client.connect(server.ws);
      const told = await client.subscribe(channel, { since: cursor });
      assert.equal(told.recovered, true);
      await mustPublish(server, { channel, data: [3000, pad] });
      const got = await client.take('message', 3001);
      assert.deepEqual(got.map((m) => m.data[0]), wanted);
      await client.close();
      const aborter = new AbortController();
      const answer = await fetch(`${server.origin}/api/v1/stream?channels=${channel}&since=${cursor}`,
        { signal: aborter.signal });
      let text = '';
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.includes('"data":[3000,')) break;
      }
      aborter.abort();
      assert.deepEqual([...text.matchAll(/"data":\[(\d+),/g)].map((m) => Number(m[1])), wanted);
    });

    test('SSE: also a client that had seen no event yet has an id to come back with', async () => {
      const channel = fresh();
      const read = async (headers, enough) => {
        const aborter = new AbortController();
        const answer = await fetch(`${server.origin}/api/v1/stream?channels=${channel}`,
          { signal: aborter.signal, headers });
        let text = '';
        for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
          text += part;
          if (enough.test(text)) break;
        }
        aborter.abort();
        return text;
      };
      const id = /^id: (.*)$/m.exec(await read({}, /^id: .*\n\n/m))[1];
      await mustPublish(server, { channel, data: 'missed' });
      const text = await read({ 'last-event-id': id }, /^event: message\n[^]*\n\n/m);
      assert.match(text, /"recovered":true,"reset":false/);
      assert.match(text, /"data":"missed"/);
    });

    test('SSE: an unknown Last-Event-ID is told', async () => {
      const channel = fresh();
      await mustPublish(server, { channel, data: 1 });
      const aborter = new AbortController();
      const answer = await fetch(`${server.origin}/api/v1/stream?channels=${channel}`,
        { signal: aborter.signal, headers: { 'last-event-id': 'gone-5' } });
      let text = '';
      for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
        text += part;
        if (text.includes('"reset":true')) break;
      }
      aborter.abort();
      assert.match(text, /"reset":true/);
    });

    test('unknown channels and bad parameters are problems, not silence', async () => {
      for (const path of ['stream?channels=nonsense', 'poll?channels=nonsense', 'poll?channels=app:%20',
        'stream?max_hz=x', 'poll?channels=%zz']) {
        const answer = await json(server, `/api/v1/${path}`);
        assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
        assert.match(answer.headers['content-type'], /problem/);
      }
    });

    test('a publisher and a subscriber on every shard: nothing is lost, order holds', async () => {
      const channel = fresh();
      const clients = await Promise.all(Array.from({ length: 8 }, () => Client.connect(server.ws)));
      for (const c of clients) await c.subscribe(channel);
      for (let n = 0; n < 200; n += 20) {
        await mustPublish(server, Array.from({ length: 20 }, (_, i) => ({ channel, data: n + i })));
      }
      for (const c of clients) {
        const got = await c.take('message', 200);
        assert.deepEqual(got.map((m) => m.data), Array.from({ length: 200 }, (_, i) => i));
        await c.close();
      }
    });

    /* A busy machine may be late by seconds, not by another 15 s. */
    test('SSE: a comment line at least every 15 s', { timeout: 60_000 }, async () => {
      const ms = await until(() => idleStream.commented, 'a comment line', 40_000);
      assert.ok(ms <= 28_000, `${ms} ms`);
    });

    test('poll: an empty one ends after 25 s with 200', { timeout: 90_000 }, async () => {
      const { status, body, ms } = await idlePoll.answer;
      assert.equal(status, 200);
      assert.deepEqual(body.messages, []);
      assert.equal(body.reset, false);
      assertCursor(body.cursor);
      assert.ok(ms > 20_000 && ms < 40_000, `${ms} ms`);
    });
  });
});

/* As many messages, by as many polls as that takes: one answers as soon as it has any. */
async function pollFor(server, channels, since, count) {
  const got = { messages: [], text: '' };
  for (let cursor = since; got.messages.length < count;) {
    const { status, body, text } = await json(server, `/api/v1/poll?channels=${channels}&since=${cursor}`);
    assert.equal(status, 200);
    assert.equal(body.reset, false);
    assert.ok(body.messages.length > 0, `${got.messages.length} of ${count} within 25 s`);
    got.messages.push(...body.messages);
    got.text += text;
    cursor = body.cursor;
  }
  return got;
}

/* An EventSource that keeps its `message` events as {id, data}. */
async function openStream(server, query) {
  const source = new EventSource(`${server.origin}/api/v1/stream?${query}`);
  const got = [];
  source.addEventListener('message', (e) => got.push({ id: e.lastEventId, data: JSON.parse(e.data) }));
  await new Promise((done, fail) => {
    source.addEventListener('open', done, { once: true });
    source.addEventListener('error', (e) => fail(new Error(`stream: ${e.message ?? e.code}`)), { once: true });
  });
  return { got, close: () => source.close() };
}

