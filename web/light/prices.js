/* prices: the table "Live prices", a row a symbol, from the channel price_updates.
 *
 * Over the page's one WebSocket while that is open; while it is not, asked for over HTTP as often as
 * the rest of the page. Rows stand in the order the server sends them. Everything shown is drawn from
 * what is held here: a change of language asks nothing. SPDX-License-Identifier: MIT */
import { words } from './words.js';

const client = globalThis.marketDataWS;
const root = document.documentElement;
const $ = (id) => document.getElementById(id);

const SUBSCRIBE = { type: 'subscribe', id: 'prices', channel: 'price_updates', params: { max_hz: 2, delta: true } };
const POLL_EVERY_MS = 10e3;
const TIMEOUT_MS = 10e3;
const PULSE_EVERY_MS = 900;
const PULSE_MS = 420;
const LOST_AFTER_MS = 10e3;
const DASH = '—';
const COLUMNS = ['symbol', 'price', 'change', 'high', 'low', 'spread', 'feeds', 'state'];

const text = () => words[root.lang === 'vi' ? 'vi' : 'en'];

/** symbol → {data as the server says it, tr, cells, shown price, when it pulsed} */
const rows = new Map();
const dirty = new Set();
let mode = null;
let startsAnew = true; // the next full message is all there is
let aheadMs = null; // how far the server's clock is ahead of ours, at least
let heardAt = -Infinity;
let askedAt = -Infinity;
let drawing = false;

// --- numbers --------------------------------------------------------------------------------------

const formats = new Map();
function number(value, options) {
  const locale = root.lang === 'vi' ? 'vi-VN' : 'en-US';
  const key = locale + JSON.stringify(options);
  if (!formats.has(key)) {
    formats.set(key, new Intl.NumberFormat(locale, options));
  }
  return formats.get(key).format(value).replace('-', '\u2212');
}

/* Cents for what costs tens, and four figures for what costs next to nothing: 0.00001234. */
function decimalsOf(price) {
  if (!(price > 0) || price >= 10) {
    return 2;
  }
  return price >= 1 ? 4 : Math.min(16, Math.max(5, 3 - Math.floor(Math.log10(price))));
}

function priceText(value, like) {
  const digits = decimalsOf(like ?? value);
  return number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function percentText(value, digits, signDisplay = 'auto') {
  return number(value / 100, { style: 'percent', minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay });
}

// --- rows -----------------------------------------------------------------------------------------

function element(tag, className, role) {
  const made = document.createElement(tag);
  made.className = className;
  if (role) {
    made.setAttribute('role', role);
  }
  return made;
}

function makeRow(symbol) {
  const row = { data: { symbol }, tr: element('tr', '', 'row'), shown: null, pulsedAt: -Infinity };
  for (const name of COLUMNS) {
    const header = name === 'symbol';
    row[name] = element(header ? 'th' : 'td', name, header ? 'rowheader' : 'cell');
    row.tr.append(row[name]);
  }
  row.symbol.scope = 'row';
  for (const name of ['dot', 'age', 'why']) {
    row[name] = element('span', name);
    row.state.append(row[name]);
  }
  row.dot.setAttribute('role', 'img');
  row.tr.dataset.symbol = symbol;
  rows.set(symbol, row);
  return row;
}

function put(node, value) {
  if (node.textContent !== value) {
    node.textContent = value;
  }
}

/* A number, or a dash with the reason for whoever points at it or has it read out. */
function putCell(cell, shown, reason = '') {
  if (shown !== null) {
    put(cell, shown);
    cell.removeAttribute('title');
  } else if (cell.title !== reason || cell.firstChild?.nodeValue !== DASH) {
    const spoken = element('span', 'unseen');
    spoken.textContent = reason;
    cell.replaceChildren(DASH, spoken);
    cell.title = reason;
  }
}

function ageMs(row) {
  const said = Date.parse(row.data.timestamp ?? '');
  return Number.isNaN(said) || aheadMs === null ? null : Math.max(0, Date.now() + aheadMs - said);
}

const isLost = () => client.status.transport === null && performance.now() - heardAt > LOST_AFTER_MS;

function freshnessOf(row) {
  if (!Number.isFinite(row.data.price)) {
    return 'unknown';
  }
  return row.data.stale || isLost() ? 'stale' : 'fresh';
}

function whyNotFresh(row, freshness) {
  const t = text();
  const reason = t.priceReasons[row.data.reason] ?? row.data.reason;
  if (freshness === 'fresh') {
    return '';
  }
  if (freshness === 'unknown') {
    return reason || t.unknown;
  }
  return `${t.freshness.stale}: ${reason || (isLost() ? t.lost : t.noFeed)}`;
}

function drawState(row) {
  const t = text();
  const freshness = freshnessOf(row);
  const age = ageMs(row);
  row.tr.dataset.freshness = freshness;
  row.dot.setAttribute('aria-label', t.freshness[freshness]);
  put(row.age, freshness === 'unknown' ? '' : age === null ? t.ageUnknown : t.limit(age));
  row.age.title = row.data.timestamp ?? '';
  const why = whyNotFresh(row, freshness);
  put(row.why, why);
  row.why.title = why;
  row.why.lang = row.data.reason && !(row.data.reason in t.priceReasons) ? 'en' : root.lang;
}

/* A change is seen by a short flash in the colour of its direction; the arrow stays. */
function pulse(row, direction) {
  row.price.dataset.direction = direction;
  const now = performance.now();
  if (now - row.pulsedAt < PULSE_EVERY_MS) {
    return;
  }
  row.pulsedAt = now;
  row.price.classList.add('pulse', direction);
  setTimeout(() => row.price.classList.remove('pulse', 'up', 'down'), PULSE_MS);
  if (!matchMedia('(prefers-reduced-motion: reduce)').matches) {
    const colour = getComputedStyle(root).getPropertyValue(`--${direction}`).trim();
    row.price.animate([{ backgroundColor: `${colour}47` }, { backgroundColor: `${colour}00` }], PULSE_MS);
  }
}

function drawPrice(row) {
  const t = text();
  const { price, quote, reason } = row.data;
  const known = Number.isFinite(price);
  const shown = known ? priceText(price) : null;
  putCell(row.price, shown, t.priceReasons[reason] ?? (reason || t.unknown));
  put(row.symbol, quote && quote !== 'USD' ? `${row.data.symbol}/${quote}` : row.data.symbol);
  if (known && row.shown && row.shown.price !== price && row.shown.text !== shown && row.shown.lang === root.lang) {
    pulse(row, price > row.shown.price ? 'up' : 'down');
  }
  row.shown = known ? { price, text: shown, lang: root.lang } : null;
}

function drawRow(row) {
  const t = text();
  const { change_24h: change, high_24h: high, low_24h: low, spread_pct: spread, sources, price } = row.data;
  const known = sources ?? [];
  const used = known.filter((source) => source.used).length;
  drawPrice(row);
  const rounded = Number.isFinite(change) ? Math.round(change * 100) : 0; // the sign of what is shown
  row.change.dataset.sign = rounded > 0 ? 'up' : rounded < 0 ? 'down' : '';
  putCell(row.change, Number.isFinite(change) ? percentText(change, 2, 'exceptZero') : null, t.notSaid);
  putCell(row.high, Number.isFinite(high) ? priceText(high, price) : null, t.notSaid);
  putCell(row.low, Number.isFinite(low) ? priceText(low, price) : null, t.notSaid);
  putCell(row.spread, Number.isFinite(spread) ? percentText(spread, 2) : null, used === 1 ? t.oneFeed : t.noFeed);
  put(row.feeds, `${used}/${known.length}`);
  row.feeds.title = known.map((s) => `${s.feed}: ${s.instrument}${s.used ? '' : ` (${t.notUsed})`}`).join(', ');
  for (const name of ['high', 'low', 'spread', 'feeds']) {
    row[name].dataset.short = t.short[name];
  }
  drawState(row);
}

// --- the table ------------------------------------------------------------------------------------

function drawNote() {
  const t = text();
  const marked = mode && mode !== 'live';
  put($('prices-mark'), marked && rows.size ? (t.mode[mode] ?? t.mode.demo) : '');
  put($('prices-note'), rows.size === 0 ? t.noPrices : isLost() ? t.lastPrices : t.pricesNote(rows.size));
}

/* A new row comes into the table with its content: an empty one must not be read out. */
function drawDirty() {
  for (const row of dirty) {
    drawRow(row);
    if (!row.tr.isConnected) {
      $('prices-rows').append(row.tr);
    }
  }
  dirty.clear();
}

/* Once a frame, and not at all while nobody looks. */
function drawSoon() {
  if (drawing) {
    return;
  }
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    drawDirty();
    drawNote();
  });
}

/* All of it, in the page's language. */
export function drawPrices() {
  rows.forEach((row) => dirty.add(row));
  drawSoon();
}

function forget() {
  rows.forEach((row) => row.tr.remove());
  rows.clear();
  dirty.clear();
}

/* A snapshot may have been made long before it was sent; the message that came quickest is the measure. */
function setClock({ timestamp }) {
  const made = Date.parse(timestamp ?? '');
  if (!Number.isNaN(made)) {
    aheadMs = Math.max(aheadMs ?? -Infinity, made - Date.now());
  }
}

function accept({ data, mode: messageMode, ...message }) {
  heardAt = performance.now();
  setClock(message);
  if (messageMode && messageMode !== mode) {
    forget(); // simulated and real prices never share a table
    mode = messageMode;
  }
  for (const [symbol, members] of Object.entries(data ?? {})) {
    const row = rows.get(symbol) ?? makeRow(symbol);
    Object.assign(row.data, members);
    dirty.add(row);
  }
  drawSoon();
}

/* A full message is all there is when it is the first: what it does not name is gone. */
function acceptAll(message) {
  startsAnew = false;
  for (const [symbol, row] of rows) {
    if (!(symbol in (message.data ?? {}))) {
      row.tr.remove();
      rows.delete(symbol);
      dirty.delete(row);
    }
  }
  accept(message);
}

// --- where it comes from --------------------------------------------------------------------------

function subscribe() {
  startsAnew = true;
  aheadMs = null; // the clocks may have been set since
  client.send(SUBSCRIBE);
}

async function ask() {
  askedAt = performance.now();
  try {
    const response = await fetch('/api/v1/prices', { cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
    const answer = response.ok ? await response.json() : null;
    if (answer && !client.isConnected()) {
      acceptAll(answer);
    }
  } catch {
    // the page says so itself: it asks for its numbers the same way
  }
}

function pollWhenNeeded() {
  if (client.status.state === 'polling' && performance.now() - askedAt >= POLL_EVERY_MS) {
    ask();
  }
}

client.on('welcome', subscribe);
client.on('subscribed', setClock);
client.on('pong', setClock);
client.on('price_updates', (m) => (startsAnew && !m.delta ? acceptAll : accept)(m));
client.on('summary', ({ mode: now }) => {
  if (now && mode && now !== mode) {
    forget();
    mode = now;
    drawSoon();
  }
});
client.on('state', pollWhenNeeded);
client.on('tick', () => {
  pollWhenNeeded();
  rows.forEach(drawState); // ages go on when messages don't
  drawNote();
});
if (client.isConnected()) {
  subscribe(); // the first message can be quicker than this script
}
