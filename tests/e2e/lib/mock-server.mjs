/* mock-server: speaks /ws and the summary end points as contracts 4 and 5 say, and misbehaves on
 * demand, for the things a healthy server can't be made to do in a test: a WebSocket that does not
 * get through, stale and unknown fields, another mode. Loopback only. SPDX-License-Identifier: MIT */
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { WebSocketServer } from 'ws';

const web = new URL('../../../web/light/', import.meta.url);

/* The same map of files to URLs that the server embeds. */
export function readPaths() {
  const lines = readFileSync(new URL('PATHS', web), 'utf8').trim().split('\n');
  return lines.filter((line) => !line.startsWith('#')).map((line) => {
    const [, file, url, type] = /^(\S+) (\S+) (.+)$/.exec(line);
    return { url, type, body: readFileSync(new URL(file, web)) };
  });
}

const AGES = { btc_price: 2, btc_change_24h: 2, market_cap: 240, volume_24h: 240, fear_greed_index: 18000, rsi_14: 7200 };
const PROVIDERS = {
  btc_price: { provider: 'binance' },
  btc_change_24h: { provider: 'binance' },
  market_cap: { provider: 'coingecko' },
  volume_24h: { provider: 'coingecko' },
  fear_greed_index: { provider: 'alternative.me' },
  rsi_14: { provider: 'binance', method: 'computed', closes: 300 },
};

/* A summary object as of now; `changes` may set values, mode, stale, and per field parts of sources. */
export function summaryOf(changes = {}, nowMs = Date.now()) {
  const { sources: sourceChanges = {}, ...values } = changes;
  const sources = {};
  for (const [field, source] of Object.entries(PROVIDERS)) {
    const age_s = sourceChanges[field]?.age_s ?? AGES[field];
    sources[field] = { ...source, age_s, as_of: new Date(nowMs - age_s * 1000).toISOString(), ...sourceChanges[field] };
  }
  return {
    btc_price: 91234.56,
    btc_change_24h: 1.23,
    market_cap: 2.313e12,
    volume_24h: 98.4e9,
    fear_greed_index: 72,
    rsi_14: 56.34,
    last_updated: new Date(nowMs - 2000).toISOString(), // each answer is newer than the one before
    mode: 'live',
    stale: [],
    ...values,
    sources,
  };
}

/* Rows of price_updates as docs/PROTOCOL.md says: one well known, one that costs next to nothing and
 * is stale, one of a single feed, one without a price. */
export function pricesOf(nowMs = Date.now()) {
  const feed = (name, instrument, used = true) => ({ feed: name, instrument, quote: 'USD', fresh: used, used });
  const timestamp = new Date(nowMs - 3000).toISOString();
  return {
    BTC: {
      symbol: 'BTC', price: 91234.56, quote: 'USD', change_24h: 1.234, volume_24h: 2e9, high_24h: 92000.5, low_24h: 90000,
      bid: 91234.5, ask: 91234.6, timestamp, stale: false, reason: null, spread_pct: 0.0328, feeds: 3, outliers: 0,
      sources: [feed('binance', 'BTCUSDT'), feed('coinbase', 'BTC-USD'), feed('kraken', 'BTC/USD', false)],
    },
    SHIB: {
      symbol: 'SHIB', price: 0.00001234, quote: 'USD', change_24h: -2.5, volume_24h: null, high_24h: 0.0000125, low_24h: 0.000012,
      bid: null, ask: null, timestamp, stale: true, reason: 'it has been silent for too long', spread_pct: null, feeds: 0,
      outliers: 0, sources: [feed('binance', 'SHIBUSDT', false)],
    },
    TON: {
      symbol: 'TON', price: 0.98765, quote: 'USDT', change_24h: -0.004, volume_24h: 1e6, high_24h: 1.0123, low_24h: 0.9, bid: 0.98,
      ask: 0.99, timestamp, stale: false, reason: null, spread_pct: null, feeds: 1, outliers: 0, sources: [feed('binance', 'TONUSDT')],
    },
    NEW: {
      symbol: 'NEW', price: null, quote: 'USD', change_24h: null, volume_24h: null, high_24h: null, low_24h: null, bid: null,
      ask: null, timestamp: null, stale: true, reason: 'Kraken does not answer', spread_pct: null, feeds: 0, outliers: 0, sources: [],
    },
  };
}

export async function startMock(changes = {}) {
  const mock = {
    summary: (extra) => summaryOf({ ...changes, ...extra }),
    prices: pricesOf(),
    requests: [], // paths asked over HTTP, assets left out
    handshakes: 0,
    messages: [], // what clients sent
    webSocket: 'accept', // accept | refuse | silent (accepts and never speaks) | deaf (no pong)
    http: 'accept', // accept | refuse (503) | limit (429)
    refreshed: true,
    violations: [],
  };
  const assets = new Map(readPaths().map((file) => [file.url, file]));
  const server = createServer((request, response) => answer(mock, assets, request, response));
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    mock.handshakes += 1;
    if (mock.webSocket === 'refuse' || new URL(request.url, 'http://x').pathname !== '/ws') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => serve(mock, ws));
  });
  await new Promise((resolve) => server.listen(mock.port ?? 0, '127.0.0.1', resolve));
  mock.origin = `http://127.0.0.1:${server.address().port}`;
  mock.broadcast = (message) => {
    const text = JSON.stringify({ timestamp: new Date().toISOString(), mode: mock.summary().mode, ...message });
    sockets.clients.forEach((ws) => ws.send(text));
  };
  mock.update = (extra, source = 'scheduled_update') => {
    mock.broadcast({ type: 'dashboard_update', data: mock.summary(extra), source });
  };
  /* What changed of prices, as a delta: it names neither the time of sending nor the mode. */
  mock.trade = (data) => {
    const text = JSON.stringify({ type: 'price_updates', channel: 'price_updates', delta: true, data });
    sockets.clients.forEach((ws) => ws.send(text));
  };
  mock.set = (next) => Object.assign(changes, next);
  mock.drop = () => sockets.clients.forEach((ws) => ws.terminate());
  mock.open = () => sockets.clients.size;
  mock.close = async () => {
    mock.drop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return mock;
}

function serve(mock, ws) {
  if (mock.webSocket === 'silent') {
    return;
  }
  const say = (message) => ws.send(JSON.stringify({ timestamp: new Date().toISOString(), ...message }));
  say({ type: 'welcome', data: mock.summary(), mode: mock.summary().mode, message: 'Connected.' });
  ws.on('message', (text) => {
    const message = JSON.parse(text);
    mock.messages.push(message);
    if (message.type === 'ping' && mock.webSocket !== 'deaf') {
      say({ type: 'pong', echo: message.timestamp });
    }
    if (message.type === 'subscribe' && mock.prices) {
      say({ type: 'subscribed', id: message.id, channel: message.channel, params: message.params });
      const made = new Date(Date.now() - 20e3).toISOString(); // a snapshot says when it was made, not when it was sent
      say({ type: message.channel, data: mock.prices, mode: mock.summary().mode, timestamp: made });
    } else if (message.type === 'subscribe') {
      say({ type: 'error', id: message.id, error: 'Unknown channel.', code: 'unknown_channel', retry_after: null });
    }
    if (message.type === 'request_update') {
      if (mock.refreshed) {
        mock.update({}, 'force_update');
      } else {
        say({ type: 'error', error: 'Too many refreshes.', code: 'rate_limited', retry_after: 7 });
      }
    }
  });
}

function answer(mock, assets, request, response) {
  const { pathname } = new URL(request.url, 'http://x');
  const asset = assets.get(pathname);
  response.setHeader('Content-Security-Policy', "default-src 'self'; frame-ancestors 'none'");
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (asset) {
    const etag = `"${createHash('sha256').update(asset.body).digest('hex').slice(0, 16)}"`;
    response.writeHead(200, { 'Content-Type': asset.type, 'Content-Encoding': 'gzip', 'Cache-Control': 'no-cache', ETag: etag });
    response.end(gzipSync(asset.body));
    return;
  }
  if (pathname === '/blank') {
    // a page of somebody else, with as little as possible
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
    response.end(mock.blank ?? '<!doctype html>');
    return;
  }
  mock.requests.push(pathname);
  const json = (status, body, headers = {}) => {
    response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', ...headers });
    response.end(JSON.stringify(body));
  };
  if (mock.http === 'refuse') {
    json(503, { title: 'Service unavailable', status: 503, detail: 'The server is starting.' });
  } else if (mock.http === 'limit') {
    json(429, { title: 'Too many requests', status: 429 }, { 'Retry-After': '9' });
  } else if (pathname === '/api/crypto/dashboard-summary') {
    json(200, mock.summary());
  } else if (pathname === '/api/v1/prices' && mock.prices) {
    json(200, { data: mock.prices, missing: {}, unknown: [], timestamp: new Date().toISOString(), mode: mock.summary().mode });
  } else if (pathname === '/api/crypto/dashboard-summary/refresh') {
    json(200, { ...mock.summary(), refreshed: mock.refreshed, reason: mock.refreshed ? undefined : 'The limit of the provider is reached.' });
  } else {
    json(404, { title: 'Not found', status: 404 });
  }
}
