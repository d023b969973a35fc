/* The page in a real browser: six numbers with source and age, the ways of the data, languages,
 * themes, widths. Against a server that can be made to misbehave (lib/mock-server.mjs).
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gzipSync } from 'node:zlib';
import { after, afterEach, before, describe, test } from 'node:test';
import { chromium } from 'playwright-core';
import { readPaths, startMock } from './lib/mock-server.mjs';

const BROWSER = '/usr/bin/chromium';
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const WAIT_MS = 60e3; /* the machine may be slow, and shared */
const FIELDS = ['btc_price', 'btc_change_24h', 'market_cap', 'volume_24h', 'fear_greed_index', 'rsi_14'];
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

describe('the page at /crypto_report', { skip: !existsSync(BROWSER) && `no ${BROWSER}` }, () => {
  let browser;
  let opened = [];
  before(async () => {
    browser = await chromium.launch({ executablePath: BROWSER, args: FLAGS });
  });
  after(() => browser?.close());
  afterEach(async () => {
    for (const { context, mock } of opened) {
      await context.close();
      await mock.close();
    }
    opened = [];
  });

  /* A page on its own mock; `bad` gathers console errors, exceptions and CSP violations. */
  async function open({ changes, prepare, url = '/crypto_report', live = true, font, ...contextOptions } = {}) {
    const mock = await startMock(changes);
    prepare?.(mock);
    const context = await browser.newContext({ locale: 'en-US', timezoneId: 'UTC', ...contextOptions });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const bad = [];
    opened.push({ context, mock });
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && bad.push(m.text()));
    page.on('pageerror', (error) => bad.push(error.message));
    await page.addInitScript(() => {
      globalThis.shifts = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((e) => (globalThis.shifts += e.value)))
        .observe({ type: 'layout-shift', buffered: true });
    });
    if (font) {
      await page.addInitScript((family) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(`html { font-family: ${family} !important }`);
        document.adoptedStyleSheets.push(sheet);
      }, font);
    }
    await page.goto(mock.origin + url);
    if (live) {
      await waitState(page, 'live');
    }
    return { mock, page, bad };
  }
  const waitState = (page, state) => page.waitForFunction(
    (want) => document.getElementById('websocket-status')?.dataset.state === want, state, { timeout: WAIT_MS });
  const waitText = (page, selector, want) => page.waitForFunction(
    ([s, w]) => document.querySelector(s)?.textContent.includes(w), [selector, want], { timeout: WAIT_MS });
  /* Classes last as long as a flash does, which a busy machine may look for too late: they are kept. */
  const keepClasses = (page, selector) => page.evaluate((s) => {
    const element = document.querySelector(s);
    globalThis.classesSeen = [];
    new MutationObserver(() => globalThis.classesSeen.push(element.className))
      .observe(element, { attributes: true, attributeFilter: ['class'] });
  }, selector);
  const waitClasses = (page, want) => page.waitForFunction(
    (all) => globalThis.classesSeen.some((seen) => all.every((one) => seen.split(' ').includes(one))), want);
  const textOf = async (page, selector) => (await page.locator(selector).innerText()).trim();
  const origin = (page, field) => textOf(page, `[data-field=${field}] .origin`);

  test('shows six numbers, each with its source and its age', async () => {
    const { page, bad } = await open();
    await waitText(page, '#btc-price', '$91,234.56');
    assert.equal(await textOf(page, '#btc-change-24h'), '+1.23%');
    assert.equal(await textOf(page, '#market-cap'), '$2.31 trillion');
    assert.equal(await textOf(page, '#volume-24h'), '$98.40 billion');
    assert.equal(await textOf(page, '#fear-greed-index'), '72');
    assert.equal(await textOf(page, '#fear-greed-label'), 'Greed');
    assert.equal(await textOf(page, '#rsi-14'), '56.3');
    assert.equal(await textOf(page, '#rsi-label'), 'Neutral');
    assert.match(await origin(page, 'btc_price'), /Binance · \d+ s ago/);
    assert.match(await origin(page, 'btc_change_24h'), /Binance · \d+ s ago/);
    assert.match(await origin(page, 'market_cap'), /CoinGecko · 4 min ago/);
    assert.match(await origin(page, 'volume_24h'), /CoinGecko · 4 min ago/);
    assert.match(await origin(page, 'fear_greed_index'), /Alternative\.me · 5 h ago/);
    assert.match(await origin(page, 'rsi_14'), /Binance, computed from 300 daily closes · 2 h ago/);
    assert.deepEqual(bad, []);
  });

  test('ages go on by the second without messages', async () => {
    const { page } = await open();
    let age = 2; /* as it came */
    for (let i = 0; i < 4; i++) {
      const seen = await (await page.waitForFunction((before) => {
        const { receivedAt } = globalThis.marketDataWS.summary.fields.btc_price;
        const says = Number(/(\d+) s ago/.exec(document.querySelector('[data-field=btc_price] .age').textContent)?.[1]);
        return says > before && { says, is: 2 + (performance.now() - receivedAt) / 1000 };
      }, age)).jsonValue();
      age = seen.says;
      /* a busy machine may draw it late, never early */
      assert.ok(age <= seen.is + 0.1 && age > seen.is - 4, JSON.stringify(seen));
    }
  });

  test('fear and greed is named by the table of its provider', async () => {
    const { mock, page } = await open();
    const names = [[0, 'Extreme Fear'], [25, 'Extreme Fear'], [26, 'Fear'], [46, 'Fear'], [47, 'Neutral'],
      [54, 'Neutral'], [55, 'Greed'], [75, 'Greed'], [76, 'Extreme Greed'], [100, 'Extreme Greed']];
    for (const [value, name] of names) {
      mock.update({ fear_greed_index: value });
      await page.waitForFunction(([v, n]) => document.getElementById('fear-greed-index').textContent === String(v)
        && document.getElementById('fear-greed-label').textContent.trim() === n, [value, name]);
    }
    assert.equal(await page.locator('#fear-greed-gauge').getAttribute('aria-valuetext'), '100, Extreme Greed');
  });

  test('a change pulses in its direction, and the direction is not told by colour alone', async () => {
    const { mock, page } = await open();
    await keepClasses(page, '#btc-price');
    mock.broadcast({ type: 'btc_price_update', data: { btc_price: 91000, btc_change_24h: -0.5 } });
    await waitText(page, '#btc-price', '$91,000.00');
    const price = page.locator('#btc-price');
    assert.equal(await price.getAttribute('data-direction'), 'down');
    await waitClasses(page, ['pulse', 'down']);
    assert.equal(await textOf(page, '#btc-change-24h'), '\u22120.50%');
    assert.equal(await page.locator('#btc-change-24h').getAttribute('data-sign'), 'down');
    await page.waitForFunction(() => !document.getElementById('btc-price').classList.contains('pulse'));
    mock.update({ btc_price: 92000 });
    await page.waitForFunction(() => document.getElementById('btc-price').dataset.direction === 'up');
  });

  test('what is not known is a dash with the reason, never 0', async () => {
    const { page, bad } = await open({ changes: {
      btc_price: null, fear_greed_index: null, rsi_14: null, stale: ['btc_price', 'fear_greed_index', 'rsi_14'],
      sources: { btc_price: { provider: null, as_of: null, age_s: null, reason: 'Binance, Coinbase and Kraken do not answer.' } },
    } });
    await waitText(page, '#market-cap', '2.31');
    for (const id of ['btc-price', 'fear-greed-index', 'rsi-14']) {
      assert.equal(await textOf(page, `#${id}`), '—');
    }
    assert.match(await origin(page, 'btc_price'), /Binance, Coinbase and Kraken do not answer\./);
    assert.match(await origin(page, 'rsi_14'), /Not known yet\./);
    assert.equal(await page.locator('#rsi-gauge').getAttribute('aria-valuenow'), null);
    assert.equal(await page.title(), 'Coincast');
    assert.deepEqual(bad, []);
  });

  test('what is stale is marked with the reason, and struck when it is very old', async () => {
    const { page } = await open({ changes: {
      stale: ['market_cap', 'volume_24h', 'rsi_14'],
      sources: { market_cap: { reason: 'CoinGecko answered 429.' }, volume_24h: { age_s: 1900 }, rsi_14: { age_s: 700000 } },
    } });
    await waitText(page, '[data-field=market_cap] .why', 'stale: CoinGecko answered 429.');
    await waitText(page, '[data-field=volume_24h] .why', 'stale: older than 30 min');
    const state = (field) => page.locator(`[data-field=${field}]`).getAttribute('data-freshness');
    assert.deepEqual(await Promise.all(FIELDS.map(state)), ['fresh', 'fresh', 'stale', 'stale', 'fresh', 'old']);
    const struck = await page.locator('#rsi-14 .figure').evaluate((e) => getComputedStyle(e).textDecorationLine);
    assert.equal(struck, 'line-through');
  });

  for (const [mode, banner, mark] of [['demo', 'Simulated data', 'SIMULATED'], ['replay', 'Recorded data, replayed', 'REPLAY']]) {
    test(`mode ${mode} is said by a strip that can't be dismissed, in the title and in the pill`, async () => {
      const { mock, page } = await open({ changes: { mode } });
      await waitText(page, '#mode', banner);
      assert.ok((await page.title()).startsWith(mark));
      assert.match(await textOf(page, '#websocket-status'), /simulated|replay/);
      assert.equal(await page.locator('#dateline button, #dateline a').count(), 0);
      const hatched = await page.locator('#dateline').evaluate((e) => getComputedStyle(e).backgroundImage);
      assert.match(hatched, /repeating-linear-gradient/);
      mock.set({ mode: 'live' });
      mock.update();
      await waitText(page, '#mode', 'Live market data');
      await page.waitForFunction((m) => !document.title.includes(m), mark);
    });
  }

  test('five attempts, then polling, and back to the WebSocket when it can', async () => {
    const { mock, page } = await open();
    const before = mock.handshakes;
    mock.webSocket = 'refuse';
    mock.set({ btc_price: 90000 });
    mock.drop();
    await waitState(page, 'polling');
    assert.equal(mock.handshakes - before, 5);
    await waitText(page, '#btc-price', '$90,000.00');
    await waitText(page, '#transport', 'HTTP, every 10 s');
    await waitText(page, '#notice', 'over HTTP every 10 s instead');
    assert.ok(mock.requests.every((path) => ['/api/crypto/dashboard-summary', '/api/v1/prices'].includes(path)));
    mock.webSocket = 'accept';
    await page.locator('#connection').click();
    await waitState(page, 'live');
    const polled = mock.requests.length;
    await waitText(page, '#transport', 'WebSocket');
    assert.equal(await page.evaluate(() => globalThis.marketDataWS.getStats().failures), 0);
    assert.equal(mock.requests.length, polled);
    assert.equal(mock.open(), 1);
  });

  test('with nothing to reach it says so, keeps the last values, and comes back by itself', async () => {
    const { mock, page } = await open();
    await waitText(page, '#btc-price', '$91,234.56'); /* live it is before the first value came */
    await waitText(page, '[data-symbol=BTC] .price', '91,234.56');
    mock.webSocket = 'refuse';
    mock.http = 'refuse';
    mock.drop();
    await waitState(page, 'offline');
    await waitText(page, '#notice', 'connection to the server was lost');
    await waitText(page, '#mode', 'Last known market data');
    assert.equal(await textOf(page, '#btc-price'), '$91,234.56');
    await page.waitForFunction(() => globalThis.marketDataWS.phase === 'resting');
    await waitText(page, '#prices-note', 'Last known prices.');
    await waitText(page, '[data-symbol=BTC] .why', 'stale: the connection to the server was lost');
    assert.equal(await textOf(page, '[data-symbol=BTC] .price'), '91,234.56');
    mock.webSocket = 'accept';
    mock.http = 'accept';
    await waitState(page, 'live');
    await page.waitForFunction(() => document.getElementById('notice-text').textContent === '');
  });

  test('languages switch without a request, numbers and all, and are remembered', async () => {
    const { mock, page } = await open();
    const seen = [];
    page.on('request', (request) => seen.push(request.url()));
    await waitText(page, '[data-symbol=BTC] .price', '91,234.56'); /* all that it asks for at first */
    const sent = () => mock.messages.filter((m) => m.type !== 'ping').length; /* those go on by themselves */
    const before = sent();
    await page.getByRole('button', { name: 'Tiếng Việt' }).click();
    assert.equal(await page.locator('html').getAttribute('lang'), 'vi');
    await waitText(page, '#btc-price', '91.234,56 USD');
    assert.equal(await textOf(page, '#market-cap'), '2,31 nghìn tỷ USD');
    assert.equal(await textOf(page, '#fear-greed-label'), 'Tham lam');
    assert.equal(await textOf(page, '#websocket-status'), 'Trực tiếp');
    assert.match(await origin(page, 'market_cap'), /CoinGecko · 4 phút trước/);
    assert.deepEqual(seen, []);
    assert.equal(sent(), before);
    assert.deepEqual(mock.requests, []);
    await page.reload();
    await waitText(page, 'h1', 'Tổng quan');
    await page.getByRole('button', { name: 'English' }).click();
    await waitText(page, 'h1', 'Crypto market summary');
  });

  const cell = (page, symbol, name) => textOf(page, `[data-symbol=${symbol}] .${name}`);

  test('live prices: a row a symbol, in the order sent, of every size', async () => {
    const { mock, page, bad } = await open();
    await waitText(page, '[data-symbol=BTC] .price', '91,234.56');
    const order = await page.locator('#prices-rows tr').evaluateAll((all) => all.map((row) => row.dataset.symbol));
    assert.deepEqual(order, ['BTC', 'SHIB', 'TON', 'NEW']);
    assert.equal(await cell(page, 'BTC', 'change'), '+1.23%');
    assert.equal(await cell(page, 'BTC', 'high'), '92,000.50');
    assert.equal(await cell(page, 'BTC', 'low'), '90,000.00');
    assert.equal(await cell(page, 'BTC', 'spread'), '0.03%');
    assert.equal(await cell(page, 'BTC', 'feeds'), '2/3');
    assert.match(await cell(page, 'BTC', 'state'), /^([3-9]|\d\d) s$/);
    assert.equal(await cell(page, 'SHIB', 'price'), '0.00001234');
    assert.equal(await cell(page, 'SHIB', 'high'), '0.00001250');
    assert.equal(await cell(page, 'TON', 'symbol'), 'TON/USDT');
    assert.equal(await cell(page, 'TON', 'price'), '0.98765');
    assert.equal(await cell(page, 'TON', 'change'), '0.00%'); // not a red "−0.00%"
    assert.equal(await page.locator('[data-symbol=TON] .change').getAttribute('data-sign'), '');
    const asked = mock.messages.filter((m) => m.type === 'subscribe');
    assert.deepEqual(asked.map((m) => [m.channel, m.params]), [['price_updates', { max_hz: 2, delta: true }]]);
    assert.equal(mock.handshakes, 1);
    assert.deepEqual(bad, []);
  });

  test('live prices: no row stands in the table before it is drawn', async () => {
    const { mock, page } = await open();
    await waitText(page, '[data-symbol=BTC] .price', '91,234.56');
    await page.evaluate(() => {
      globalThis.namesAtFirst = [];
      new MutationObserver((all) => all.forEach(({ addedNodes }) =>
        addedNodes.forEach((tr) => globalThis.namesAtFirst.push(tr.querySelector('.symbol').textContent))))
        .observe(document.getElementById('prices-rows'), { childList: true });
    });
    mock.broadcast({ type: 'price_updates', data: { ETH: { ...mock.prices.BTC, symbol: 'ETH', price: 3000 } } });
    await waitText(page, '[data-symbol=ETH] .price', '3,000.00');
    assert.deepEqual(await page.evaluate(() => globalThis.namesAtFirst), ['ETH']);
  });

  test('live prices: what is stale or not known says why', async () => {
    const { page } = await open();
    await waitText(page, '[data-symbol=SHIB] .why', 'stale: the feed has been silent for too long');
    assert.match(await cell(page, 'NEW', 'price'), /^—/);
    assert.equal(await page.locator('[data-symbol=NEW] .price').getAttribute('title'), 'Kraken does not answer');
    assert.equal(await cell(page, 'NEW', 'why'), 'Kraken does not answer');
    assert.match(await cell(page, 'TON', 'spread'), /^—\s*Only one feed/);
    const states = await page.locator('#prices-rows tr').evaluateAll((all) => all.map((row) => row.dataset.freshness));
    assert.deepEqual(states, ['fresh', 'stale', 'fresh', 'unknown']);
    await page.getByRole('button', { name: 'Tiếng Việt' }).click();
    await waitText(page, '[data-symbol=SHIB] .why', 'đã cũ: nguồn im lặng quá lâu');
    await waitText(page, '[data-symbol=SHIB] .price', '0,00001234');
    assert.equal(await page.locator('[data-symbol=NEW] .why').getAttribute('lang'), 'en');
  });

  test('live prices: a delta sets what it names and pulses in its direction', async () => {
    const { mock, page } = await open();
    await waitText(page, '[data-symbol=BTC] .price', '91,234.56');
    mock.trade({ BTC: { price: 91200, spread_pct: null }, SHIB: { price: 0.00001235, stale: false, reason: null } });
    await waitText(page, '[data-symbol=BTC] .price', '91,200.00');
    const price = page.locator('[data-symbol=BTC] .price');
    assert.equal(await price.getAttribute('data-direction'), 'down');
    assert.match(await price.evaluate((e) => getComputedStyle(e, '::before').content), /↓/);
    assert.match(await cell(page, 'BTC', 'spread'), /^—/);
    assert.equal(await cell(page, 'BTC', 'high'), '92,000.50');
    await waitText(page, '[data-symbol=SHIB] .price', '0.00001235');
    assert.equal(await page.locator('[data-symbol=SHIB]').getAttribute('data-freshness'), 'fresh');
    await page.waitForFunction(() => !document.querySelector('[data-symbol=BTC] .pulse'));
    await page.waitForTimeout(900); // one pulse a row in that time
    await keepClasses(page, '[data-symbol=BTC] .price');
    mock.trade({ BTC: { price: 91300 } });
    await waitClasses(page, ['pulse', 'up']);
  });

  test('live prices: of another mode none stays, and what they are stands beside them', async () => {
    const { mock, page } = await open({ changes: { mode: 'demo' } });
    await waitText(page, '#prices-mark', 'Simulated data');
    mock.set({ mode: 'live' });
    mock.update();
    await page.waitForFunction(() => document.querySelectorAll('#prices-rows tr').length === 0);
    mock.broadcast({ type: 'price_updates', data: { ETH: { ...mock.prices.BTC, symbol: 'ETH', price: 3000 } } });
    await waitText(page, '[data-symbol=ETH] .price', '3,000.00');
    assert.equal(await textOf(page, '#prices-mark'), '');
  });

  test('live prices: asked for over HTTP while there is no WebSocket, and the rows are those of the answer', async () => {
    const { mock, page } = await open();
    await waitText(page, '[data-symbol=NEW] .price', '—');
    mock.webSocket = 'refuse';
    mock.prices = { BTC: { ...mock.prices.BTC, price: 90500 }, ETH: { ...mock.prices.BTC, symbol: 'ETH', price: 3001 } };
    mock.drop();
    const began = Date.now();
    await waitState(page, 'polling');
    await waitText(page, '[data-symbol=ETH] .price', '3,001.00');
    await waitText(page, '[data-symbol=BTC] .price', '90,500.00');
    assert.equal(await page.locator('#prices-rows tr').count(), 2);
    const asked = mock.requests.filter((path) => path === '/api/v1/prices').length;
    assert.ok(asked >= 1 && asked <= 1 + (Date.now() - began) / 10e3, `${asked} times, every 10 s`);
    mock.webSocket = 'accept';
    mock.prices = { BTC: { ...mock.prices.BTC, price: 90600 } };
    await page.locator('#connection').click();
    await waitText(page, '[data-symbol=BTC] .price', '90,600.00');
    assert.equal(await page.locator('#prices-rows tr').count(), 1);
    assert.equal(mock.messages.filter((m) => m.type === 'subscribe').length, 2);
  });

  test('live prices: with a server that has none the page says so and nothing else', async () => {
    const { page, bad } = await open({ prepare: (m) => (m.prices = null) });
    await waitText(page, '#prices-note', 'No prices yet.');
    await page.waitForFunction(() => globalThis.marketDataWS.getStats().errors === 1);
    assert.equal(await textOf(page, '#notice'), '');
    assert.deepEqual(bad, []);
  });

  test('refresh asks over the WebSocket when it is live', async () => {
    const { mock, page } = await open();
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitText(page, '#notice', 'Fetched anew.');
    assert.equal(mock.messages.filter((m) => m.type === 'request_update').length, 1);
    const { last_updated } = await page.evaluate(() => globalThis.marketDataWS.summary.data);
    mock.set({ last_updated });
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitText(page, '#notice', 'Nothing newer could be fetched.');
    mock.refreshed = false;
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitText(page, '#notice', 'Too many requests. Please try again in 7 s.');
  });

  test('refresh asks over HTTP when it is not', async () => {
    const { mock, page } = await open({ prepare: (m) => (m.webSocket = 'refuse'), live: false });
    await waitState(page, 'polling');
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitText(page, '#notice', 'Fetched anew.');
    assert.ok(mock.requests.includes('/api/crypto/dashboard-summary/refresh'));
    mock.refreshed = false;
    await page.getByRole('button', { name: 'Refresh' }).click();
    await waitText(page, '#notice', 'Nothing newer could be fetched. The limit of the provider is reached.');
  });

  const blank = (...scripts) => `<!doctype html><html lang="en"><title>x</title><link rel="icon" href="/favicon.svg">${scripts.map((s) => `<script src="${s}"></script>`).join('')}`
    + '<p id="websocket-status"></p><p id="btc-price"></p><p id="market-cap"></p><p id="volume-24h"></p><p id="fear-greed-index"></p><p id="rsi-14"></p>';
  const CLIENT = '/crypto_dashboard/assets/websocket-client.js';
  const DASHBOARD = '/shared_components/websocket-dashboard.js';
  for (const [name, scripts] of [
    ['the client alone', [CLIENT]],
    ['the dashboard alone', [DASHBOARD]],
    ['both', [CLIENT, DASHBOARD]],
    ['both, the other way round', [DASHBOARD, CLIENT]],
    ['each twice', [DASHBOARD, CLIENT, DASHBOARD, CLIENT]],
  ]) {
    test(`on somebody's own page ${name} fill the numbers over one socket`, async () => {
      const { mock, page, bad } = await open({ prepare: (m) => (m.blank = blank(...scripts)), url: '/blank' });
      await waitText(page, '#btc-price', '$91,234.56');
      assert.equal(await textOf(page, '#rsi-14'), '56.3');
      assert.equal(await textOf(page, '#websocket-status'), 'Live');
      assert.equal(await page.evaluate(() => globalThis.marketDataWS instanceof globalThis.MarketDataWebSocket), true);
      await page.waitForTimeout(300); // a second socket would come a little later
      assert.equal(mock.handshakes, 1);
      await page.evaluate(() => (document.documentElement.lang = 'vi'));
      await waitText(page, '#btc-price', '91.234,56 USD');
      if (scripts.includes(DASHBOARD)) {
        const summary = await page.evaluate(() => globalThis.fetchDashboardSummary());
        assert.equal(summary.btc_price, 91234.56);
        assert.equal(await page.evaluate(() => globalThis.dashboardWS.cachedData.rsi_14), 56.34);
      }
      assert.deepEqual(bad, []);
    });
  }

  for (const width of [320, 390, 768, 1440, 1920]) {
    for (const locale of ['en-US', 'vi-VN']) {
      test(`nothing overflows or jumps at ${width} px in ${locale}`, async () => {
        const { mock, page, bad } = await open({ viewport: { width, height: 800 }, locale });
        mock.update({ btc_price: 1234567.89, market_cap: 9.99e13, volume_24h: 1.99e12, btc_change_24h: -12.34, fear_greed_index: 100 });
        await waitText(page, '#fear-greed-index', '100');
        mock.trade({ BTC: { price: 1234567.89, high_24h: 1234567.89, change_24h: -12.34 }, SHIB: { reason: 'a reason that is '.repeat(20) } });
        await waitText(page, '[data-symbol=BTC] .price', locale === 'vi-VN' ? '1.234.567,89' : '1,234,567.89');
        const wide = await page.evaluate(() => [...document.querySelectorAll('body *')]
          .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 && !e.closest('.unseen, .skip'))
          .map((e) => e.id || e.className || e.tagName));
        assert.deepEqual(wide, []);
        const [scroll, client] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
        assert.equal(scroll, client);
        const cut = await page.evaluate(() => [...document.querySelectorAll('.value, #prices-rows :is(.symbol, .price, .change, .high, .low, .spread, .feeds)')]
          .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.id || e.className || e.parentElement.dataset.field));
        assert.deepEqual(cut, []);
        const shifts = await page.evaluate(() => globalThis.shifts);
        assert.ok(shifts < 0.02, `layout shift ${shifts}`);
        assert.deepEqual(bad, []);
      });
    }
  }

  for (const [mode, locale] of [['demo', 'vi-VN'], ['replay', 'vi-VN'], ['replay', 'en-US']]) {
    test(`nothing overflows or jumps at 320 px in a very wide font, mode ${mode}, ${locale}`, async () => {
      const { mock, page } = await open({
        viewport: { width: 320, height: 800 }, locale, changes: { mode }, font: "'DejaVu Sans', Verdana, 'DejaVu Sans Mono', monospace",
      });
      await page.waitForFunction(() => document.querySelector('[data-symbol=BTC] .price')?.textContent.includes('91'));
      mock.trade({ BTC: { price: 91300, stale: true, reason: 'a reason that is '.repeat(20) } });
      await page.waitForFunction(() => document.querySelector('[data-symbol=BTC]').dataset.freshness === 'stale');
      const [scroll, client] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.equal(scroll, client);
      const shifts = await page.evaluate(() => globalThis.shifts);
      assert.ok(shifts < 0.01, `layout shift ${shifts}`);
    });
  }

  for (const colorScheme of ['dark', 'light']) {
    for (const locale of ['en-US', 'vi-VN']) {
      test(`axe finds nothing in ${colorScheme}, ${locale}`, async () => {
        for (const viewport of [{ width: 390, height: 844 }, { width: 1440, height: 900 }]) {
          const { page } = await open({ colorScheme, locale, viewport, reducedMotion: 'reduce', bypassCSP: true, changes: {
            mode: 'demo', rsi_14: null, stale: ['market_cap', 'rsi_14'],
            sources: { market_cap: { reason: 'CoinGecko answered 429.' }, volume_24h: { age_s: 90000 } },
          } });
          await page.waitForSelector('[data-symbol=NEW]');
          await page.addScriptTag({ path: AXE });
          const { violations } = await page.evaluate(() => globalThis.axe.run({
            runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
          }));
          assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`), []);
        }
      });
    }
  }

  test('the theme follows the system until one is chosen, and the choice is remembered', async () => {
    const { page } = await open({ colorScheme: 'light' });
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    assert.equal(await ground(), 'rgb(247, 245, 240)');
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.equal(await ground(), 'rgb(12, 16, 19)');
    await page.locator('#theme').click();
    assert.equal(await ground(), 'rgb(247, 245, 240)');
    assert.equal(await page.locator('#theme').getAttribute('aria-pressed'), 'false');
    await page.reload();
    assert.equal(await ground(), 'rgb(247, 245, 240)');
  });

  test('everything can be reached and used by keyboard', async () => {
    const { page } = await open();
    const reached = [];
    for (let i = 0; i < 7; i++) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.lang || document.activeElement.className || document.activeElement.textContent));
    }
    assert.deepEqual(reached, ['skip', 'Coincast', 'connection', 'refresh', 'en', 'vi', 'theme']);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, 'solid');
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await waitText(page, 'h1', 'Tổng quan');
  });

  test('reduced motion: the lamp does not breathe and nothing is animated on a change', async () => {
    const { mock, page } = await open({ reducedMotion: 'reduce' });
    mock.update({ btc_price: 92000 });
    await waitText(page, '#btc-price', '$92,000.00');
    mock.trade({ BTC: { price: 92000 } });
    await page.waitForFunction(() => document.querySelector('[data-symbol=BTC] .price').dataset.direction === 'up');
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    assert.equal(await page.locator('#btc-price').getAttribute('data-direction'), 'up');
  });

  test('the page speaks politely and seldom', async () => {
    const { mock, page } = await open();
    await waitText(page, '#spoken', 'Live. Bitcoin price $91,234.56');
    assert.equal(await page.locator('[aria-live]').count(), 1);
    await page.evaluate(() => {
      globalThis.spoken = 0;
      new MutationObserver(() => (globalThis.spoken += 1)).observe(document.getElementById('spoken'), { childList: true, characterData: true, subtree: true });
    });
    for (let i = 1; i <= 20; i++) {
      mock.update({ btc_price: 91000 + i });
    }
    await waitText(page, '#btc-price', '$91,020.00');
    assert.equal(await page.evaluate(() => globalThis.spoken), 0);
  });

  test('text that comes from outside is shown as text', async () => {
    const nasty = '<img src=x onerror="document.title=1">';
    const { mock, page, bad } = await open({ changes: {
      market_cap: null, stale: ['market_cap'], sources: { market_cap: { reason: nasty }, btc_price: { provider: nasty } },
    } });
    mock.trade({ [nasty]: { symbol: nasty, price: null, stale: true, reason: nasty, sources: [] } });
    await page.waitForFunction((want) => document.querySelector('#prices-rows tr:last-child .why').textContent === want, nasty);
    mock.broadcast({ type: 'error', error: nasty, code: 'something_new' });
    await waitText(page, '#notice', nasty);
    await waitText(page, '[data-field=market_cap] .why', nasty);
    assert.equal(await page.locator('img').count(), 0);
    assert.deepEqual(bad, []);
  });

  test('every provider shown is credited with a link, and health is a click away', async () => {
    const { page } = await open();
    for (const url of ['https://www.coingecko.com/', 'https://alternative.me/crypto/fear-and-greed-index/', '/api/health']) {
      assert.ok(await page.locator(`a[href="${url}"]`).count() >= 1, url);
    }
    assert.equal(await page.locator('[data-field=fear_greed_index] .credit a').isVisible(), true);
  });
});

test('the whole page is under 30 KB gzipped, has nothing inline and names no other host for code', () => {
  let total = 0;
  const page = readPaths().filter(({ url }) => !/^\/(api|socket\.io)\//.test(url)); // those it does not load
  for (const { url, body } of page) {
    total += gzipSync(body, { level: 9 }).length;
    assert.doesNotMatch(body.toString(), /\sstyle="|\son[a-z]+="|<script>|<style|@import|src="http/, url);
  }
  assert.ok(total < 30 * 1024, `${total} bytes`);
  assert.match(readFileSync(new URL('../../web/light/report.html', import.meta.url), 'utf8'), /^<!doctype html>/);
});
