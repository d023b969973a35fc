/* A soak: the real server under clients of every kind that come and go, stall, send garbage and come
 * back, for some minutes. It fails on a sanitizer's report, on memory that grows, on a server that
 * dies, and on one that does not drain in time. Loopback only; clients and time are bounded.
 *
 *   COINCAST_BIN=build/asan/coincast node tests/soak/soak.mjs --minutes 4 --source demo --shards 4
 *   ... --source live     against `coincast upstream`, which misbehaves on command
 *   ... --tls             with a certificate of its own
 *   ... --calm 80         seconds without clients before the end: then no session may be left
 *
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { parseArgs } from 'node:util';
import { sleep, startServer, startUpstream, TOKEN, until } from '../e2e/lib/server.mjs';

const require = createRequire(new URL('../e2e/package.json', import.meta.url));
const WebSocket = require('ws');
const { io } = require('socket.io-client');
const { encode } = require('@msgpack/msgpack');

const { values: args } = parseArgs({ options: {
  minutes: { type: 'string', default: '4' }, source: { type: 'string', default: 'demo' },
  shards: { type: 'string', default: '4' }, clients: { type: 'string', default: '60' },
  rate: { type: 'string', default: '10' }, calm: { type: 'string', default: '0' }, seed: { type: 'string', default: '1' },
  io: { type: 'string' }, tls: { type: 'boolean', default: false } } });
const MINUTES = Number(args.minutes);
const CLIENTS = Number(args.clients);
assert.ok(MINUTES > 0 && MINUTES <= 60 && CLIENTS > 0 && CLIENTS <= 1000, '--minutes up to 60, --clients up to 1000');
const REPORT = /AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion/;
/* Above this the memory of the second half may not lie over that of the first. */
const GROWTH = 1.25;
const SLACK = 32 << 20;

/* The same clients in the same order every time; when they act is up to the machine. */
let state = BigInt(args.seed) * 0x9E3779B97F4A7C15n & 0xFFFFFFFFFFFFFFFFn | 1n;
function random(below) {
  state ^= state << 13n & 0xFFFFFFFFFFFFFFFFn;
  state ^= state >> 7n;
  state ^= state << 17n & 0xFFFFFFFFFFFFFFFFn;
  return Number((state >> 11n) % BigInt(below));
}
const one = (list) => list[random(list.length)];
const some = (list, most) => Array.from({ length: 1 + random(most) }, () => one(list));

const SYMBOLS = 'BTC,ETH,XRP,BNB,SOL,TRX,DOGE,ADA,BCH,LINK,XLM,LTC,AVAX,SUI,DOT,UNI,NEAR,NOPE,btc,Sol'.split(',');
const CHANNELS = ['dashboard_update', 'btc_price_update', 'price_updates', 'ticker', 'sentiment_update',
  'trading_signal', 'candles:BTC:1m', 'candles:ETH:5m', 'app:soak', 'app:other', 'nonsense'];
const PATHS = ['/api/crypto/dashboard-summary', '/api/crypto/dashboard-summary/refresh', '/api/v1/prices',
  '/api/v1/prices?symbols=BTC,ETH', '/api/v1/assets', '/api/v1/assets/BTC', '/api/v1/assets/nope', '/api/v1/ticker',
  '/api/v1/sentiment', '/api/v1/signals', '/api/v1/assets/BTC/candles?interval=1m&limit=500',
  '/api/v1/assets/BTC/candles?interval=1h&from=2020-01-01T00:00:00Z', '/api/v1/assets/ETH/indicators?interval=1h',
  '/healthz', '/readyz', '/api/health', '/metrics', '/', '/api/openapi.json', '/nowhere', '/socket.io/socket.io.js'];

const counts = {};
const count = (what) => (counts[what] = (counts[what] ?? 0) + 1);

/* ---- clients: each lives for a while and ends by itself; what goes wrong with it is its own ---- */

function opened(socket) {
  return new Promise((done, fail) => {
    socket.once('open', done);
    socket.once('error', fail);
  });
}

async function websocket(server) {
  const packed = random(3) === 0;
  const s = new WebSocket(server.ws, packed ? ['coincast.msgpack.v1'] : [],
    { perMessageDeflate: random(2) === 0, rejectUnauthorized: false });
  s.on('error', () => {});
  await opened(s);
  const say = (m) => s.readyState === WebSocket.OPEN && s.send(packed ? encode(m) : JSON.stringify(m));
  for (let n = 1 + random(8); n > 0 && s.readyState === WebSocket.OPEN; n--) {
    const params = { ...(random(2) && { symbols: some(SYMBOLS, 12) }), ...(random(2) && { delta: true }),
      ...(random(2) && { max_hz: one([0.5, 1, 5, 50]) }), ...(random(5) === 0 && { since: 'x-1' }) };
    say({ type: 'subscribe', id: n, channel: random(3) ? 'price_updates' : one(CHANNELS), params });
    if (random(3) === 0) say({ type: 'unsubscribe', channel: one(CHANNELS) });
    if (random(3) === 0) say({ type: one(['ping', 'stats', 'request_update', 'auth', 'nonsense']), token: TOKEN });
    if (random(6) === 0) {
      s._socket?.pause(); /* stalls */
      count('stalls');
      await sleep(500 + random(3_000));
      s._socket?.resume();
    }
    await sleep(random(1_500));
  }
  if (random(2)) s.close();
  else s.terminate();
}

async function garbage(server) {
  const junk = [() => '{"type":', () => 'x'.repeat(random(70_000)), () => '[]', () => JSON.stringify({ type: 'subscribe',
    channel: 'price_updates', params: { symbols: Array(2_000).fill('A') } }), () => Buffer.alloc(random(2_000), 7)];
  if (random(2)) {
    const s = new WebSocket(server.ws, { perMessageDeflate: random(2) === 0, rejectUnauthorized: false });
    s.on('error', () => {});
    await opened(s);
    for (let n = random(20); n > 0 && s.readyState === WebSocket.OPEN; n--) s.send(one(junk)());
    if (random(2)) s._socket?.write(Buffer.from(Array.from({ length: 50 }, () => random(256))));
    await sleep(random(500));
    s.terminate();
    return;
  }
  const to = { port: server.port, host: '127.0.0.1', rejectUnauthorized: false };
  const raw = server.tls && random(3) ? tls.connect(to) : net.connect(to);
  raw.on('error', () => {});
  raw.write(one(['GET / HTTP/1.1\r\nHost: x\r\n', 'GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n',
    '\x16\x03\x01\x00\x05hello', 'POST /socket.io/?EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAAAAAAAA HTTP/1.1\r\n'
    + 'Host: localhost\r\nContent-Length: 3\r\n\r\nabc', 'GET /api/v1/stream?channels=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n']));
  await sleep(random(800));
  raw.destroy();
}

async function socketio(server) {
  const transports = one([['polling'], ['websocket'], ['polling', 'websocket']]);
  const s = io(server.origin, { forceNew: true, transports, rejectUnauthorized: false, reconnectionDelay: 100,
    reconnectionDelayMax: 300, perMessageDeflate: random(2) ? { threshold: 0 } : false });
  try {
    for (let n = 1 + random(10); n > 0; n--) {
      if (random(3)) s.emit('subscribe', random(2) ? some(SYMBOLS, 15) : { symbols: some(SYMBOLS, 5),
        channels: some(CHANNELS.slice(3), 3), max_hz: one([0.5, 2, 20]) }, () => count('acks'));
      if (random(3) === 0) s.emit('unsubscribe', some(SYMBOLS, 10));
      if (random(6) === 0) s.emit(one(['stats', 'nonsense']), 'x'.repeat(random(50_000)), Buffer.from('abc'));
      if (random(5) === 0) {
        s.io.engine?.close(); /* comes back, and resumes */
        count('resumes');
      }
      if (random(12) === 0) s.io.engine?.write?.(one(['4abc', '452-["x"]', '41', '2', '9']));
      await sleep(random(1_500));
    }
  } finally {
    if (random(3)) s.disconnect();
    else s.io._close();
  }
}

function ask(server, path, { method = 'GET', headers = {}, body, ms = 3_000, part = () => {} } = {}) {
  return new Promise((done) => {
    const r = (server.tls ? https : http).request({ host: '127.0.0.1', port: server.port, path, method, headers,
      agent: false, rejectUnauthorized: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (t) => part(answer, (text = (text + t).slice(-200_000))));
      answer.on('close', () => done({ status: answer.statusCode, text }));
      answer.on('error', () => {});
    });
    const timer = setTimeout(() => r.destroy(), ms);
    r.on('error', () => done({ status: 0, text: '' }));
    r.on('close', () => clearTimeout(timer));
    r.end(body);
  });
}

/* Polls that are opened and posted to, and never fetched. */
async function halfPolling(server) {
  const path = '/socket.io/?EIO=4&transport=polling';
  const { status, text } = await ask(server, path);
  if (status !== 200) return;
  const { sid } = JSON.parse(text.slice(1));
  const post = (body) => ask(server, `${path}&sid=${sid}`, { method: 'POST', body });
  await post('40');
  for (let n = random(20); n > 0; n--) {
    await post(Array(1 + random(60)).fill(`42${random(2) ? '7' : ''}["subscribe",${JSON.stringify(some(SYMBOLS, 9))}]`).join('\x1e'));
  }
  if (random(2)) ask(server, `${path}&sid=${sid}`, { ms: random(300) });
  if (random(3) === 0) await post('1');
}

async function sse(server) {
  const query = `channels=${some(CHANNELS.slice(0, 10), 4).join(',')}${random(2) ? `&symbols=${some(SYMBOLS.slice(0, 10), 5)}` : ''}`;
  let last = '';
  for (let n = 1 + random(3); n > 0; n--) {
    await ask(server, `/api/v1/stream?${query}`, { ms: 500 + random(4_000), headers: last ? { 'last-event-id': last } : {},
      part: (answer, text) => {
        last = /.*id: ([^\n]+)/s.exec(text)?.[1] ?? last;
        if (random(40) === 0) {
          answer.pause();
          setTimeout(() => answer.resume(), 700);
        }
      } });
  }
}

async function poll(server) {
  let since = '';
  for (let n = 1 + random(5); n > 0; n--) {
    const { text } = await ask(server, `/api/v1/poll?channels=price_updates,app:soak,ticker&symbols=BTC,ETH${since}`);
    try {
      since = `&since=${JSON.parse(text).cursor}`;
    } catch {
      return;
    }
  }
}

async function rest(server) {
  for (let n = 1 + random(10); n > 0; n--) {
    await ask(server, one(PATHS));
    if (random(3) === 0) {
      await ask(server, '/api/v1/publish', { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json' }, body: JSON.stringify(Array.from({ length: 1 + random(20) }, () =>
        ({ channel: one(['app:soak', 'app:other']), data: 'x'.repeat(random(2_000)) }))) });
    }
  }
}

const KINDS = { websocket, socketio, garbage, halfPolling, sse, poll, rest };
const WEIGHTS = [...Array(5).fill('websocket'), ...Array(6).fill('socketio'), 'garbage', 'halfPolling', 'sse', 'sse',
  'poll', 'rest', 'rest'];

async function keepComing(server, end) {
  while (Date.now() < end()) {
    const kind = one(WEIGHTS);
    count(kind);
    await KINDS[kind](server).catch(() => count('refused'));
    await sleep(random(300));
  }
}

/* ---- the world misbehaves ---- */

async function misbehave(upstream, end) {
  const faults = [['latency', 800], ['429', 1], ['5xx', 503], ['garbage'], ['half'], ['cut'], ['silence']];
  const ofFeeds = [['drop'], ['stall'], ['skip', 3], ['double'], ['skew', 3000], ['shutdown', 300], ['garbage'], ['half']];
  while (Date.now() < end()) {
    const venue = one(['binance', 'coinbase', 'kraken']);
    const feed = random(3) > 0;
    const [fault, value] = one(feed ? ofFeeds : faults);
    await upstream.control({ target: feed ? `${venue}/ws` : one([venue, 'coingecko', '*']), fault,
      ...(value !== undefined && { value }), times: 1 + random(fault === 'double' ? 200 : 3) }).catch(() => count('no control'));
    await sleep(1_000 + random(4_000));
  }
}

/* ---- memory ---- */

async function measure(server) {
  const { text } = await ask(server, '/metrics', { ms: 10_000 });
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8').catch(() => '');
  const number = (pattern, from) => Number(pattern.exec(from)?.[1] ?? NaN);
  return { heap: number(/^coincast_heap_bytes (\S+)/m, text), rss: number(/VmRSS:\s+(\d+)/, status) * 1024,
    conns: number(/^coincast_net_conns (\S+)/m, text), sessions: number(/^coincast_engine_sessions (\S+)/m, text) };
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const mib = (bytes) => (bytes / (1 << 20)).toFixed(1);

function judge(samples, what) {
  const half = samples.length >> 1;
  const before = median(samples.slice(half >> 1, half).map((s) => s[what]));
  const after = median(samples.slice(half + (half >> 1)).map((s) => s[what]));
  console.log(`${what}: ${mib(before)} MiB in the second quarter, ${mib(after)} MiB in the last`);
  assert.ok(!(after > before * GROWTH + SLACK), `${what} grows`);
}

/* ---- the whole ---- */

const dir = await mkdtemp(join(tmpdir(), 'coincast-soak-'));
const env = { COINCAST_SHARDS: args.shards, COINCAST_LOG: 'warn', COINCAST_HISTORY_COUNT: '500' };
process.env.ASAN_OPTIONS ??= 'quarantine_size_mb=16:malloc_context_size=12';
if (args.tls) {
  Object.assign(env, { COINCAST_TLS_CERT: join(dir, 'cert.pem'), COINCAST_TLS_KEY: join(dir, 'key.pem') });
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days',
    '2', '-subj', '/CN=localhost', '-keyout', env.COINCAST_TLS_KEY, '-out', env.COINCAST_TLS_CERT], { stdio: 'ignore' });
}
const upstream = args.source === 'live' ? await startUpstream({ args: ['--rate', args.rate, '--seed', args.seed] }) : null;
const server = await startServer({ source: args.source, tls: args.tls, ...(args.io && { io: args.io }),
  env: { ...env, ...upstream?.env, ...upstream?.feeds } });
let stop = Date.now() + MINUTES * 60_000;
const end = () => (server.ended ? 0 : stop);
const samples = [];
try {
  await until(async () => (await ask(server, '/api/v1/prices?symbols=BTC')).text.includes('"price":'), 'prices', 20_000);
  const all = Promise.all([...Array.from({ length: CLIENTS }, () => keepComing(server, end)),
    ...(upstream ? [misbehave(upstream, end)] : [])]);
  while (Date.now() < end()) {
    await sleep(5_000);
    samples.push(await measure(server));
    const s = samples.at(-1);
    if (samples.length % 6 === 0) console.log(`heap ${mib(s.heap)} rss ${mib(s.rss)} conns ${s.conns} sessions ${s.sessions}`);
    if (server.ended || REPORT.test(server.stderr)) stop = 0;
  }
  console.log(JSON.stringify(counts));
  if (Number(args.calm) && !server.ended) {
    await all;
    await sleep(Number(args.calm) * 1_000);
    const rest = await measure(server);
    console.log(`calm: heap ${mib(rest.heap)} rss ${mib(rest.rss)} conns ${rest.conns} sessions ${rest.sessions}`);
    assert.equal(rest.sessions, 0, 'no session is left');
  }
  assert.ok(!server.ended, `it ended by itself: ${JSON.stringify(server.ended)}`);
  /* Clients are still there: it must go all the same. */
  const lingering = await Promise.all(['websocket', 'polling'].map(async (t) => {
    const s = io(server.origin, { forceNew: true, transports: [t], rejectUnauthorized: false, reconnection: false });
    s.emit('subscribe', ['BTC']);
    await sleep(500);
    return s;
  }));
  const began = Date.now();
  await server.stop();
  const took = Date.now() - began;
  console.log(`drained in ${took} ms`);
  assert.ok(took < 3_000 + 2_500, 'it drains in time');
  for (const s of lingering) s.disconnect();
  judge(samples, 'heap');
  judge(samples, 'rss');
  await all;
} finally {
  const reports = server.stderr.split('\n').filter((line) => REPORT.test(line));
  if (reports.length) {
    const at = server.stderr.search(REPORT);
    console.log(server.stderr.slice(Math.max(0, at - 200), at + 12_000));
    process.exitCode = 1;
  }
  server.kill('SIGKILL');
  await upstream?.stop().catch((error) => {
    console.log(error.message.slice(-6_000));
    process.exitCode = 1;
  });
  await rm(dir, { recursive: true, force: true });
}
console.log(process.exitCode ? 'FAILED' : 'well');
process.exit(process.exitCode ?? 0);
