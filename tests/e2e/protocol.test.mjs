/* The examples of docs/PROTOCOL.md have the members that the server's messages have, in their order.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { json, publish } from './lib/http.mjs';
import { startServer, TOKEN, until } from './lib/server.mjs';

const PAGE = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8');
const WAIT_MS = 60_000; /* dashboard_update comes every 30 s */
const MORE = '__more'; /* stands where the page shortens with … */

/* All objects in the page's JSON blocks; one begins where a line begins with a brace. */
const examples = [...PAGE.matchAll(/^( *)```json\n([\s\S]*?)^\1```/gm)].flatMap(([, indent, block]) =>
  block
    .replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    .split(/\n(?=\{)/)
    .map((text) => JSON.parse(text.replaceAll(/([,{])…/g, `$1"${MORE}":1`))));
const ofType = (type) => {
  const found = examples.find((e) => e.type === type);
  assert.ok(found, `the page has an example of ${type}`);
  return found;
};

/* What is written is what came: the same members in the same order, of the same kinds. */
function assertLike(written, came, where) {
  if (written === null || came === null || typeof written !== 'object') {
    if (written !== null && came !== null) assert.equal(typeof came, typeof written, where);
    return;
  }
  if (Array.isArray(written)) {
    assert.ok(Array.isArray(came), where);
    if (written.length && came.length) assertLike(written[0], came[0], `${where}[0]`);
    return;
  }
  const names = Object.keys(written).filter((name) => name !== MORE);
  const there = Object.keys(came);
  assert.deepEqual(MORE in written ? there.filter((name) => names.includes(name)) : there, names, where);
  for (const name of names) assertLike(written[name], came[name], `${where}.${name}`);
}

describe('the examples of the protocol page', () => {
  let server, client;
  before(async () => {
    server = await startServer({ source: 'demo' });
    await until(async () => (await fetch(`${server.origin}/readyz`)).ok, 'all numbers are known', WAIT_MS);
    client = await Client.connect(server.ws);
  });
  after(async () => {
    if (!server.ended) await server.stop();
  });

  test('what comes at once', async () => {
    for (const type of ['welcome', 'dashboard_update', 'btc_price_update']) {
      assertLike(ofType(type), await client.next(type, WAIT_MS), type);
    }
  });

  test('each command gets the reply that stands with it', async () => {
    const replies = { ping: 'pong', subscribe: 'subscribed', unsubscribe: 'unsubscribed', auth: 'authenticated', stats: 'stats' };
    await client.settle();
    for (const [type, reply] of Object.entries(replies)) {
      const command = { ...ofType(type), ...(type === 'auth' ? { token: TOKEN } : {}) };
      const written = examples.filter((e) => e.type === reply).at(-1);
      client.send(command);
      const came = await client.next(reply);
      assertLike(written, came, reply);
      if ('id' in command) assert.deepEqual(came.id, command.id);
    }
    client.send({ type: 'subscribe', channel: 'dashboard_update' });
    await client.settle();
    client.send(ofType('request_update'));
    await client.next((m) => m.type === 'dashboard_update' && m.source === 'force_update'); /* one may be due by itself */
    client.send({ type: 'nonsense', id: 9 });
    const error = await client.next('error');
    assertLike(ofType('error'), error, 'error');
    assert.equal(error.error, ofType('error').error);
  });

  test('prices, whole and by what changed, the ticker and candles', async () => {
    const [whole, delta] = examples.filter((e) => e.type === 'price_updates');
    client.send({ type: 'subscribe', channel: 'ticker' });
    assertLike(ofType('ticker'), await client.next('ticker'), 'ticker');
    client.send({ type: 'subscribe', channel: 'candles:BTC:1m' });
    assertLike(ofType('candles'), await client.next('candles'), 'candles');
    client.send({ type: 'subscribe', channel: 'price_updates', params: { symbols: ['BTC'], delta: true } });
    assertLike(whole, await client.next((m) => m.type === 'price_updates' && !m.delta), 'price_updates');
    const came = await client.next((m) => m.delta);
    assert.ok(Object.keys(came.data.BTC).every((name) => name in whole.data.BTC));
    assertLike({ ...delta, data: {} }, { ...came, data: {} }, 'delta');
    for (const channel of ['price_updates', 'candles:BTC:1m', 'ticker']) client.send({ type: 'unsubscribe', channel });
    await client.settle();
  });

  test('a published message, and polling for it', async () => {
    const polled = examples.find((e) => e.messages);
    const written = ofType('message');
    await publish(server, polled.messages.map(({ channel, data }) => ({ channel, data })));
    await client.subscribe(written.channel);
    await publish(server, { channel: written.channel, data: written.data });
    assertLike(written, await client.next('message'), 'message');
    const body = await until(async () => { /* it may come to a shard that hears of it last */
      const answer = await json(server, '/api/v1/poll?channels=app:news&since=other-1');
      return answer.body.messages.length > polled.messages.length && answer.body;
    }, 'all messages');
    assertLike(polled, body, 'poll');
    assert.equal(body.messages.length, polled.messages.length + 1);
  });

  test('the summary, the refresh, a problem', async () => {
    const [summary, refreshed] = examples.filter((e) => 'btc_price' in e && !e.type);
    const path = '/api/crypto/dashboard-summary';
    const { body } = await json(server, path);
    assertLike(summary, body, 'summary');
    const forced = (await json(server, `${path}/refresh`)).body;
    assertLike(refreshed, { ...forced, [MORE]: 1 }, 'refresh');
    const refused = await json(server, '/api/v1/poll', { headers: { origin: 'http://other.example' } });
    const problem = examples.find((e) => e.title);
    assert.equal(refused.status, problem.status);
    assert.deepEqual(refused.body, problem);
  });

  test('the last words', async () => {
    server.kill('SIGTERM');
    assertLike(ofType('server_shutdown'), await client.next('server_shutdown'), 'server_shutdown');
    assert.equal((await client.closed).code, 1001);
    assert.deepEqual(await server.exit(), { code: 0, signal: null }, server.log);
  });
});
