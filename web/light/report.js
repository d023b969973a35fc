/* report: the page /crypto_report around the numbers that websocket-client.js writes.
 *
 * Origin and age beside each number, zones and gauges, the strip that says what kind of data this
 * is, the connection pill, language and theme. All of it is drawn from what the client already
 * holds: switching the language asks the server nothing. SPDX-License-Identifier: MIT */
import { drawPrices } from './prices.js';
import { words } from './words.js';

const client = globalThis.marketDataWS;
const root = document.documentElement;
const $ = (id) => document.getElementById(id);

const PROVIDERS = {
  'alternative.me': 'Alternative.me',
  binance: 'Binance',
  coinbase: 'Coinbase',
  coingecko: 'CoinGecko',
  kraken: 'Kraken',
  taapi: 'TAAPI.io',
};
/* What the server says where it knows no more; this page has the same in the reader's language. */
const PLAIN_REASONS = ['not fetched yet', 'older than this number is good for'];
const FEAR_UPPER = [25, 46, 54, 75, 100];
const FEAR_BOUNDS = ['0–25', '26–46', '47–54', '55–75', '76–100'];
const RSI_BOUNDS = ['0–30', '30–70', '70–100'];
const NOTICE_MS = 8000;
const REFRESH_WITHIN_MS = 10e3;
const SPEAK_EVERY_MS = 60e3;
const TRACE_POINTS = 720;
const TRACE_GAP_MS = 60e3;

const text = () => words[root.lang === 'vi' ? 'vi' : 'en'];

/* Touches the document only where something changed: nothing to lay out, nothing to announce. */
function put(element, value) {
  if (element.textContent !== value) {
    element.textContent = value;
  }
}

function shown(name) {
  const value = client.summary?.fields[name]?.value ?? null;
  if (value === null) {
    return '—';
  }
  const { figure, unit } = client.constructor.format(name, value);
  return unit ? `${figure} ${unit}` : figure;
}

// --- origin and age ---------------------------------------------------------------------------

const lines = new Map();
for (const box of document.querySelectorAll('[data-field]')) {
  const parts = {};
  for (const name of ['dot', 'source', 'age', 'why']) {
    parts[name] = document.createElement('span');
    parts[name].className = name;
  }
  parts.dot.setAttribute('role', 'img');
  box.querySelector('.origin').replaceChildren(parts.dot, parts.source, parts.age, parts.why);
  lines.set(box.dataset.field, { box, ...parts });
}

function providerName(source) {
  const name = source.provider?.split('+').map((one) => PROVIDERS[one] ?? one).join(', ');
  if (source.method === 'computed') {
    return [name, text().computed(source.closes)].filter(Boolean).join(', ');
  }
  return name || text().noSource;
}

/* The server's own reason, in its English, or nothing. */
function givenReason(name) {
  const reason = client.summary?.fields[name]?.source.reason;
  return PLAIN_REASONS.includes(reason) ? '' : reason;
}

function whyNotFresh(name, freshness, ageMs) {
  const t = text();
  const reason = givenReason(name);
  if (freshness === 'unknown') {
    return reason || t.unknown;
  }
  if (freshness !== 'stale' && freshness !== 'old') {
    return '';
  }
  const limitMs = client.constructor.FIELDS[name].staleAfterMs;
  const ownWords = ageMs !== null && ageMs > limitMs ? t.tooOld(t.limit(limitMs)) : t.lastFetchFailed;
  return `${t.freshness.stale}: ${reason || ownWords}`;
}

function drawOrigins() {
  const t = text();
  for (const [name, line] of lines) {
    const field = client.summary?.fields[name];
    const freshness = client.freshness(name);
    const ageMs = client.ageMs(name);
    line.box.dataset.freshness = freshness;
    line.dot.setAttribute('aria-label', t.freshness[freshness]);
    const known = freshness !== 'unknown';
    put(line.source, known ? providerName(field.source) : '');
    put(line.age, known ? ` · ${ageMs === null ? t.ageUnknown : t.age(ageMs)}` : '');
    put(line.why, whyNotFresh(name, freshness, ageMs));
    line.why.lang = givenReason(name) ? 'en' : root.lang;
    line.age.title = field?.source.as_of ?? '';
  }
}

// --- zones and gauges --------------------------------------------------------------------------

function drawGauge(id, value, label) {
  const gauge = $(id);
  gauge.querySelector('.needle').setAttribute('d', value === null ? '' : `M${value} 0V12`);
  if (value === null) {
    gauge.setAttribute('role', 'img'); // a meter must have a value, and there is none to give
    gauge.removeAttribute('aria-valuenow');
    gauge.removeAttribute('aria-valuetext');
  } else {
    gauge.setAttribute('role', 'meter');
    gauge.setAttribute('aria-valuemin', '0');
    gauge.setAttribute('aria-valuemax', '100');
    gauge.setAttribute('aria-valuenow', String(value));
    gauge.setAttribute('aria-valuetext', label);
  }
}

function drawBounds(id, bounds, labels, current) {
  const list = $(id);
  while (list.children.length < bounds.length) {
    const item = document.createElement('li');
    item.append(document.createElement('span'), document.createElement('span'));
    item.firstChild.className = 'bounds';
    list.append(item);
  }
  bounds.forEach((text, i) => {
    const item = list.children[i];
    put(item.firstChild, text);
    put(item.lastChild, labels[i]);
    if (i === current) {
      item.setAttribute('aria-current', 'true');
    } else {
      item.removeAttribute('aria-current');
    }
  });
}

function drawZones() {
  const t = text();
  const fear = client.summary?.fields.fear_greed_index.value ?? null;
  const rsi = client.summary?.fields.rsi_14.value ?? null;
  const fearZone = fear === null ? -1 : FEAR_UPPER.findIndex((upper) => Math.round(fear) <= upper);
  const rsiZone = rsi === null ? -1 : rsi < 30 ? 0 : rsi > 70 ? 2 : 1;
  const fearLabel = t.fear[fearZone] ?? '';
  const rsiLabel = t.rsi[rsiZone] ?? '';
  drawBounds('fear-greed-zones', FEAR_BOUNDS, t.fear, fearZone);
  drawBounds('rsi-zones', RSI_BOUNDS, t.rsi, rsiZone);
  put($('fear-greed-label'), fearLabel ? ` ${fearLabel}` : '');
  put($('rsi-label'), rsiLabel ? ` ${rsiLabel}` : '');
  drawGauge('fear-greed-gauge', fear, `${shown('fear_greed_index')}, ${fearLabel}`);
  drawGauge('rsi-gauge', rsi, `${shown('rsi_14')}, ${rsiLabel}`);
  $('fear-greed-gauge').setAttribute('aria-label', t.static.fear_greed_index);
  $('rsi-gauge').setAttribute('aria-label', t.static.rsi_14);

  const change = client.summary?.fields.btc_change_24h.value ?? null;
  const rounded = change === null ? 0 : Math.round(change * 100); // the sign of what is shown
  $('btc-change-24h').dataset.sign = rounded > 0 ? 'up' : rounded < 0 ? 'down' : '';
}

// --- the kind of data ---------------------------------------------------------------------------

function drawMode() {
  const t = text();
  const mode = client.summary ? (client.summary.mode ?? 'live') : 'waiting';
  const key = mode in t.mode ? mode : 'demo'; // a kind this page does not know is not passed for live
  $('dateline').dataset.mode = key;
  put($('mode'), key === 'live' && !client.status.transport ? t.halted : t.mode[key]);
  put($('mode-detail'), t.modeDetail[key]);
  const updated = Date.parse(client.summary?.lastUpdated ?? '');
  $('clock').dateTime = Number.isNaN(updated) ? '' : client.summary.lastUpdated;
  const day = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' };
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'short' };
  put($('clock'), Number.isNaN(updated) ? '' : [time, day] // a phone may cut the day
    .map((options) => new Intl.DateTimeFormat(t.locale, options).format(updated)).join(', '));
  const price = client.summary?.fields.btc_price.value == null ? '' : `BTC ${shown('btc_price')} · `;
  const title = `${t.titleMark[key]}${price}Coincast`;
  if (document.title !== title) {
    document.title = title;
  }
}

// --- the price since the page was opened ----------------------------------------------------------

let trace = [];
let traceMode = null;

function keepPrice() {
  const price = client.summary.fields.btc_price;
  if (client.summary.mode !== traceMode) {
    trace = []; // simulated and real prices never share a line
    traceMode = client.summary.mode;
  }
  if (price.value !== null && trace.at(-1)?.at !== price.receivedAt) {
    trace.push({ at: price.receivedAt, value: price.value });
    trace = trace.slice(-TRACE_POINTS);
  }
}

function drawTrace() {
  const t = text();
  const values = trace.map((point) => point.value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  const format = (value) => {
    const { figure, unit } = client.constructor.format('btc_price', value);
    return `${figure} ${unit}`.trim();
  };
  put($('trace-range'), values.length > 1 ? `${format(low)} – ${format(high)}` : '');
  put($('trace-text'), values.length ? t.tracePoints(values.length, format(low), format(high)) : t.traceEmpty);
  const first = trace[0]?.at ?? 0;
  const width = Math.max(1, (trace.at(-1)?.at ?? 0) - first);
  const height = high - low || 1;
  const path = trace.map((point, i) => {
    const gap = i === 0 || point.at - trace[i - 1].at > TRACE_GAP_MS; // nothing is known in between
    const x = ((point.at - first) / width) * 600;
    const y = high === low ? 45 : 86 - ((point.value - low) / height) * 82;
    return `${gap ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  $('trace').querySelector('path').setAttribute('d', path.length > 1 ? path.join('') : '');
}

// --- connection, notices, speech -------------------------------------------------------------------

let passing = { text: () => '', untilMs: 0 };

function notice(sentence, forMs = NOTICE_MS) {
  passing = { text: sentence, untilMs: performance.now() + forMs };
  drawConnection();
}

function standingNotice(state) {
  const t = text();
  if (state === 'offline') {
    return client.summary ? client.sentence({ code: 'lost' }) : t.unreachable;
  }
  return state === 'polling' ? t.polling : '';
}

function drawConnection() {
  const t = text();
  const { state, transport, rttMs } = client.status;
  $('connection').dataset.state = state;
  $('connection').title = t.pillHint;
  const rtt = rttMs === null ? '' : ` ${rttMs < 10 ? rttMs.toFixed(1) : Math.round(rttMs)} ms`;
  put($('transport'), t.transport[transport ?? 'none'] + rtt);
  const sentence = performance.now() < passing.untilMs ? passing.text() : standingNotice(state);
  put($('notice-text'), sentence);
  $('notice').dataset.state = state;
  speak(state, sentence);
}

let spokenState = 'connecting';
let spokenNotice = '';
let spokenAt = -Infinity;

/* One polite sentence a minute, sooner only when the connection's state or the notice changes. */
function speak(state, sentence) {
  const now = performance.now();
  const news = state !== spokenState || sentence !== spokenNotice;
  const nothingToSay = !client.summary && (!news || state === 'live');
  if (nothingToSay || now - spokenAt < (news ? 5000 : SPEAK_EVERY_MS)) {
    return;
  }
  spokenAt = now;
  spokenState = state;
  spokenNotice = sentence;
  const t = text();
  const price = client.summary ? `${t.static.btc_price} ${shown('btc_price')}, ${shown('btc_change_24h')}.` : '';
  put($('spoken'), [$('websocket-status').textContent + '.', sentence, price].filter(Boolean).join(' '));
}

// --- refresh -----------------------------------------------------------------------------------------

let refreshing = false;

/* Resolves with what the server said to request_update: its new summary, an error, or null. */
function answerOverSocket() {
  return new Promise((resolve) => {
    const undo = [
      client.on('dashboard_update', (m) => m.source === 'force_update' && finish({})),
      client.on('error', (m) => finish({ notice: { code: m.code, retryAfterS: m.retry_after, detail: m.error } })),
    ];
    const timer = setTimeout(() => finish(null), REFRESH_WITHIN_MS);
    function finish(answer) {
      clearTimeout(timer);
      undo.forEach((stop) => stop());
      resolve(answer);
    }
  });
}

async function refresh() {
  if (refreshing) {
    return;
  }
  refreshing = true;
  $('refresh').setAttribute('aria-disabled', 'true');
  notice(() => text().refreshing, REFRESH_WITHIN_MS);
  const before = client.summary?.lastUpdated;
  const answer = client.requestUpdate()
    ? await answerOverSocket()
    : await globalThis.fetchDashboardSummary({ refresh: true });
  refreshing = false;
  $('refresh').removeAttribute('aria-disabled');
  if (answer?.notice) {
    notice(() => client.sentence(answer.notice));
  } else if (!answer) {
    notice(() => text().noAnswer);
  } else if (answer.refreshed === false || client.summary?.lastUpdated === before) {
    notice(() => [text().notRefreshed, answer.reason].filter(Boolean).join(' '));
  } else {
    notice(() => text().refreshed);
  }
}

// --- language and theme --------------------------------------------------------------------------------

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // the choice then lasts as long as the page
  }
}

const darkMedia = matchMedia('(prefers-color-scheme: dark)');
const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : darkMedia.matches);

function drawChoices() {
  const t = text();
  for (const element of document.querySelectorAll('[data-t]')) {
    const target = element.id === 'theme' ? element.firstChild : element;
    put(target, t.static[element.dataset.t]);
  }
  for (const element of document.querySelectorAll('[data-label]')) {
    element.setAttribute('aria-label', t.static[element.dataset.label]);
  }
  for (const button of document.querySelectorAll('[data-lang]')) {
    button.setAttribute('aria-pressed', String(button.dataset.lang === root.lang));
  }
  $('theme').setAttribute('aria-pressed', String(isDark()));
}

function draw() {
  drawChoices();
  client.render();
  drawOrigins();
  drawZones();
  drawMode();
  drawTrace();
  drawConnection();
  drawPrices();
}

for (const button of document.querySelectorAll('[data-lang]')) {
  button.addEventListener('click', () => {
    root.lang = button.dataset.lang;
    remember('coincast-lang', root.lang);
    draw();
  });
}
$('theme').addEventListener('click', () => {
  root.dataset.theme = isDark() ? 'light' : 'dark';
  remember('coincast-theme', root.dataset.theme);
  drawChoices();
});
darkMedia.addEventListener('change', drawChoices);
$('refresh').addEventListener('click', refresh);
$('connection').addEventListener('click', () => client.retryNow());

client.on('state', () => {
  drawMode();
  drawConnection();
});
client.on('notice', (n) => n.code !== 'lost' && notice(() => client.sentence(n)));
client.on('summary', () => {
  keepPrice();
  drawOrigins();
  drawZones();
  drawMode();
  drawTrace();
});
client.on('tick', () => {
  drawOrigins();
  drawConnection();
});
if (client.summary) {
  keepPrice(); // the first message can be quicker than this script
}
draw();
