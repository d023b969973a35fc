/* The two scripts of the page without a browser: backoff, the rule of five attempts, heartbeat, what
 * is counted as failed, merging and ageing. Time is a fake clock. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import vm from 'node:vm';
import FakeTimers from '@sinonjs/fake-timers';
import { summaryOf } from './lib/mock-server.mjs';

/* Debian 12's node 18 takes a .js file for CommonJS and can't fake Date: hence the URL and the package. */
const wordsText = readFileSync(new URL('../../web/light/words.js', import.meta.url), 'utf8');
const { words } = await import(`data:text/javascript,${encodeURIComponent(wordsText)}`);

for (const file of ['websocket-client.js', 'websocket-dashboard.js']) {
  vm.runInThisContext(readFileSync(new URL(`../../web/light/${file}`, import.meta.url), 'utf8'));
}
const { MarketDataWebSocket, DashboardWebSocket } = globalThis;

class FakeSocket {
  static all = [];
  sent = [];
  closed = false;
  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }
  static get last() {
    return FakeSocket.all.at(-1);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  say(message) {
    this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
  hangUp() {
    this.onclose({ code: 1006 });
  }
}

let fakeTime;
let clockMs = 0;
function newClient(options = {}) {
  return new MarketDataWebSocket('ws://test/ws', {
    WebSocket: FakeSocket, random: () => 1, now: () => clockMs, ...options,
  });
}
function pass(ms) {
  clockMs += ms;
  fakeTime.tick(ms);
}
/* Lets what is under way finish; setImmediate is not mocked. */
const settle = async () => {
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
};
const welcome = (changes) => ({ type: 'welcome', timestamp: new Date(Date.now()).toISOString(), data: summaryOf(changes, Date.now()) });

beforeEach(() => {
  FakeSocket.all = [];
  fakeTime = FakeTimers.install({
    toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date'], now: Date.UTC(2026, 10, 21, 10),
  });
});
afterEach(() => fakeTime.uninstall());

test('the wait doubles from 250 ms to a cap of 15 s', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((n) => MarketDataWebSocket.backoffMs(n, () => 1));
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
});

test('half of the wait is left to chance, so that clients do not come back in step', () => {
  for (const n of [1, 3, 9]) {
    assert.equal(MarketDataWebSocket.backoffMs(n, () => 0), MarketDataWebSocket.backoffMs(n, () => 1) / 2);
  }
  const seen = new Set(Array.from({ length: 50 }, () => MarketDataWebSocket.backoffMs(5)));
  assert.ok(seen.size > 40);
});

test('a client alone never gives up and waits as long as the backoff says', () => {
  const client = newClient();
  for (let n = 1; n <= 12; n++) {
    assert.equal(FakeSocket.all.length, n);
    FakeSocket.last.hangUp();
    const wait = MarketDataWebSocket.backoffMs(n, () => 1);
    pass(wait - 1);
    assert.equal(FakeSocket.all.length, n, `attempt ${n + 1} came early`);
    pass(1);
  }
  assert.equal(client.status.state, 'offline');
  client.disconnect();
});

test('a handshake that hangs counts as failed after 5 s', () => {
  const client = newClient();
  pass(5000);
  assert.equal(client.failures, 1);
  assert.ok(FakeSocket.last.closed);
  client.disconnect();
});

test('a server that accepts and hangs up before a message is not taken for well', () => {
  const client = newClient();
  FakeSocket.last.hangUp();
  pass(250);
  FakeSocket.last.hangUp();
  assert.equal(client.failures, 2);
  client.disconnect();
});

test('the first message makes it live, clears the failures and measures the round trip', () => {
  const client = newClient();
  FakeSocket.last.hangUp();
  pass(250);
  FakeSocket.last.say(welcome());
  assert.equal(client.status.state, 'live');
  assert.equal(client.failures, 0);
  const [ping] = FakeSocket.last.sent;
  assert.equal(ping.type, 'ping');
  assert.match(ping.timestamp, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  pass(12);
  FakeSocket.last.say({ type: 'pong', timestamp: ping.timestamp, echo: ping.timestamp });
  assert.equal(client.status.rttMs, 12);
  client.disconnect();
});

test('without a pong within 10 s the connection is given up and made anew', () => {
  const client = newClient();
  FakeSocket.last.say(welcome());
  pass(10e3);
  assert.ok(FakeSocket.all[0].closed);
  pass(250);
  assert.equal(FakeSocket.all.length, 2);
  client.disconnect();
});

test('it pings every 15 s', () => {
  const client = newClient();
  const socket = FakeSocket.last;
  socket.say(welcome());
  for (let i = 0; i < 3; i++) {
    socket.say({ type: 'pong' });
    pass(15e3);
  }
  assert.equal(socket.sent.filter((m) => m.type === 'ping').length, 4);
  client.disconnect();
});

test('server_shutdown puts off the first attempt as long as it asks for', () => {
  const client = newClient();
  FakeSocket.last.say(welcome());
  FakeSocket.last.say({ type: 'server_shutdown', reconnect_after_ms: 3000 });
  FakeSocket.last.hangUp();
  pass(2999);
  assert.equal(FakeSocket.all.length, 1);
  pass(1);
  assert.equal(FakeSocket.all.length, 2);
  client.disconnect();
});

test('handlers get their type until undone; what is not a message is counted and survived', () => {
  const client = newClient();
  const seen = [];
  const undo = client.on('price_updates', (m) => seen.push(m.data));
  FakeSocket.last.say({ type: 'price_updates', data: 1 });
  undo();
  FakeSocket.last.say({ type: 'price_updates', data: 2 });
  for (const bad of ['{', 'null', '[]', '7', '{"type":7}']) {
    FakeSocket.last.say(bad);
  }
  assert.deepEqual(seen, [1]);
  assert.equal(client.getStats().errors, 5);
  assert.equal(client.status.state, 'live');
  client.disconnect();
});

test('ages go on between messages and decide what is fresh', () => {
  const client = newClient();
  FakeSocket.last.say(welcome({ sources: { btc_price: { age_s: 20 } } }));
  assert.equal(client.freshness('btc_price'), 'fresh');
  pass(15e3);
  assert.equal(client.ageMs('btc_price'), 35e3);
  assert.equal(client.freshness('btc_price'), 'ageing');
  pass(30e3);
  assert.equal(client.freshness('btc_price'), 'stale');
  pass(300e3);
  assert.equal(client.freshness('btc_price'), 'old');
  assert.equal(client.freshness('rsi_14'), 'fresh');
  client.disconnect();
});

test('a number that is null, missing or no number is unknown, not zero', () => {
  const client = newClient();
  FakeSocket.last.say(welcome({ btc_price: null, market_cap: undefined, rsi_14: 'NaN', stale: ['btc_price'] }));
  for (const name of ['btc_price', 'market_cap', 'rsi_14']) {
    assert.equal(client.summary.fields[name].value, null);
    assert.equal(client.freshness(name), 'unknown');
  }
  assert.equal(client.freshness('fear_greed_index'), 'fresh');
  client.disconnect();
});

test('a price message renews its two numbers only, and an unchanged price does not get younger', () => {
  const client = newClient();
  FakeSocket.last.say(welcome());
  pass(8000);
  const at = () => new Date(Date.now()).toISOString();
  FakeSocket.last.say({ type: 'btc_price_update', mode: 'live', timestamp: at(), data: { btc_price: 91234.56, btc_change_24h: 1.5 } });
  assert.equal(client.ageMs('btc_price'), 10e3);
  assert.equal(client.ageMs('btc_change_24h'), 0);
  assert.equal(client.ageMs('market_cap'), 248e3);
  assert.equal(client.summary.fields.btc_change_24h.source.provider, 'binance');
  assert.equal(client.summary.data.btc_change_24h, 1.5);
  client.disconnect();
});

test('a price of another mode throws away what was known: modes never mix', () => {
  const client = newClient();
  FakeSocket.last.say(welcome());
  FakeSocket.last.say({ type: 'btc_price_update', mode: 'demo', timestamp: new Date(Date.now()).toISOString(), data: { btc_price: 5, btc_change_24h: 0 } });
  assert.equal(client.summary.mode, 'demo');
  assert.equal(client.summary.fields.market_cap.value, null);
  client.disconnect();
});

test('numbers: a real minus, sign after rounding, Vietnamese sums spelled out', () => {
  const of = (field, value, lang) => Object.values(MarketDataWebSocket.format(field, value, lang)).join('|');
  assert.equal(of('btc_price', 91234.5, 'en'), '$91,234.50|');
  assert.equal(of('btc_price', 91234.5, 'vi'), '91.234,50|USD');
  assert.equal(of('btc_change_24h', -1.234, 'en'), '\u22121.23%|');
  assert.equal(of('btc_change_24h', -0.004, 'en'), '0.00%|');
  assert.equal(of('btc_change_24h', 1.2, 'vi'), '+1,20%|');
  assert.equal(of('market_cap', 2.313e12, 'en'), '$2.31|trillion');
  assert.equal(of('market_cap', 2.313e12, 'vi'), '2,31|nghìn tỷ USD');
  assert.equal(of('volume_24h', 98.4e9, 'vi'), '98,40|tỷ USD');
});

test('a supervised client rests after five attempts in a row', () => {
  const client = newClient({ });
  client.maxAttempts = 5;
  let rests = 0;
  client.on('resting', () => (rests += 1));
  for (let n = 1; n <= 5; n++) {
    FakeSocket.last.hangUp();
    pass(15e3);
  }
  assert.equal(FakeSocket.all.length, 5);
  pass(3600e3);
  assert.equal(FakeSocket.all.length, 5);
  assert.equal(rests, 1);
  client.disconnect();
});

function newDashboard(client, answers) {
  const asked = [];
  const dashboard = new DashboardWebSocket({
    client,
    base: 'http://test/',
    random: () => 1,
    now: () => clockMs,
    fetch: async (url) => {
      asked.push(new URL(url).pathname);
      const answer = answers();
      if (answer instanceof Error) {
        throw answer;
      }
      return answer;
    },
  });
  return { dashboard, asked };
}
const ok = () => Response.json(summaryOf({}, Date.now()));

async function exhaust() {
  for (let n = 1; n <= 5; n++) {
    FakeSocket.last.hangUp();
    await settle();
    if (n < 5) {
      pass(MarketDataWebSocket.backoffMs(n, () => 1));
    }
  }
}

test('after five attempts it polls every 10 s, tries the socket every 30 s, and stops when that is live', async () => {
  const client = newClient();
  const { asked } = newDashboard(client, ok);
  await exhaust();
  assert.equal(FakeSocket.all.length, 5);
  assert.equal(client.status.state, 'polling');
  const before = asked.length;
  for (let s = 0; s < 29; s++) {
    pass(1000);
    await settle();
  }
  assert.equal(asked.length - before, 2);
  assert.equal(FakeSocket.all.length, 5);
  pass(1000);
  await settle();
  assert.equal(FakeSocket.all.length, 6, 'no attempt after 30 s');
  assert.equal(client.status.state, 'polling', 'polling goes on while the socket is tried');
  FakeSocket.last.say(welcome());
  assert.equal(client.status.state, 'live');
  const then = asked.length;
  for (let s = 0; s < 10; s++) {
    FakeSocket.last.say({ type: 'pong' });
    pass(10e3);
    await settle();
  }
  assert.equal(asked.length, then, 'still polling beside a live socket');
  client.disconnect();
});

test('a reader does not wait five attempts for the first numbers', async () => {
  const client = newClient();
  const { asked } = newDashboard(client, ok);
  FakeSocket.last.hangUp();
  await settle();
  assert.deepEqual(asked, ['/api/crypto/dashboard-summary']);
  assert.equal(client.summary.fields.btc_price.value, 91234.56);
  client.disconnect();
});

test('when HTTP answers again after it did not, the socket is tried at once', async () => {
  let up = false;
  const client = newClient();
  newDashboard(client, () => (up ? ok() : new Error('refused')));
  await exhaust();
  assert.equal(client.status.state, 'offline');
  const sockets = FakeSocket.all.length;
  up = true;
  pass(1000);
  await settle();
  assert.equal(FakeSocket.all.length, sockets + 1);
  client.disconnect();
});

test('failed polls come ever later, and Retry-After is obeyed', async () => {
  const client = newClient();
  const { asked } = newDashboard(client, () => new Response('{}', { status: 429, headers: { 'Retry-After': '25' } }));
  const notices = [];
  client.on('notice', (n) => notices.push(n));
  await exhaust();
  const before = asked.length;
  for (let s = 0; s < 24; s++) {
    pass(1000);
    await settle();
  }
  assert.equal(asked.length, before);
  pass(1000);
  await settle();
  assert.equal(asked.length, before + 1);
  assert.ok(notices.some((n) => n.code === 'rate_limited' && n.retryAfterS === 25));
  assert.match(client.sentence(notices.at(-1)), /try again in 25 s/);
  client.disconnect();
});

test('equal requests at the same time are one; a failed one gives null and can be asked again', async () => {
  let answers = ok;
  const client = newClient();
  FakeSocket.last.say(welcome());
  const { dashboard, asked } = newDashboard(client, () => answers());
  const both = await Promise.all([dashboard.fetchSummary(), dashboard.fetchSummary()]);
  assert.equal(both[0], both[1]);
  assert.equal(asked.length, 1);
  answers = () => new Error('refused');
  assert.equal(await dashboard.fetchSummary(), null);
  answers = ok;
  assert.equal((await dashboard.fetchSummary({ refresh: true })).rsi_14, 56.34);
  assert.equal(asked.at(-1), '/api/crypto/dashboard-summary/refresh');
  client.disconnect();
});

test('the Vietnamese catalogue has exactly the shape of the English one', () => {
  const shape = (value) => (typeof value === 'object'
    ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, shape(value[key])]))
    : typeof value);
  assert.deepEqual(shape(words.vi), shape(words.en));
});
