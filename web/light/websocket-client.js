/* websocket-client: one WebSocket to the server, kept alive, and the page's numbers filled from it.
 *
 * Load it from any page that has some of the elements #market-cap, #volume-24h, #btc-price,
 * #btc-change-24h, #fear-greed-index, #rsi-14 and #websocket-status; it starts itself as
 * window.marketDataWS. The numbers follow the language of <html lang> (en, vi) by themselves and
 * without asking the server again.
 *
 *              connect()            first message
 *     idle ──────────────▶ connecting ──────────▶ live
 *                          ▲    │ fails             │ lost
 *               delay over │    ▼                   │
 *                        waiting ◀─────────────────-┘
 *                            │ maxAttempts failures in a row
 *                            ▼
 *                         resting   (a supervisor polls, and calls connect() now and then)
 *
 * An attempt counts as failed until the first message arrives: a server that accepts and hangs up
 * at once must not be asked without end. What is shown of the phases is `status.state`: live,
 * connecting, offline or polling. Times are milliseconds. SPDX-License-Identifier: MIT */
(() => {
  'use strict';
  if (globalThis.MarketDataWebSocket) {
    return; // the page has it already; one class, one socket
  }

  const MINUTE = 60e3;
  const HOUR = 60 * MINUTE;
  /* The six numbers: where they stand on a page, and when they count as stale (as the server's). */
  const FIELDS = {
    btc_price: { id: 'btc-price', staleAfterMs: MINUTE },
    btc_change_24h: { id: 'btc-change-24h', staleAfterMs: MINUTE },
    market_cap: { id: 'market-cap', staleAfterMs: 30 * MINUTE },
    volume_24h: { id: 'volume-24h', staleAfterMs: 30 * MINUTE },
    fear_greed_index: { id: 'fear-greed-index', staleAfterMs: 26 * HOUR },
    rsi_14: { id: 'rsi-14', staleAfterMs: 26 * HOUR },
  };
  const BACKOFF_FIRST_MS = 250;
  const BACKOFF_CAP_MS = 15e3;
  const PULSE_EVERY_MS = 900;
  const UNKNOWN = '—';

  const WORDS = {
    en: {
      live: 'Live',
      connecting: 'Connecting',
      offline: 'Offline',
      polling: 'Polling',
      mark: { demo: ' (simulated)', replay: ' (replay)' },
      bad_message: () => 'The server sent something this page does not understand.',
      rate_limited: (s) => `Too many requests. ${s ? `Please try again in ${s} s.` : 'Please wait a little.'}`,
      unavailable: (s) => `The data can't be had at the moment.${s ? ` Next try in ${s} s.` : ''}`,
      server_shutdown: () => 'The server is restarting. This page connects again by itself.',
      lost: () => 'The connection to the server was lost. These are the last known values; connecting again.',
    },
    vi: {
      live: 'Trực tiếp',
      connecting: 'Đang kết nối',
      offline: 'Mất kết nối',
      polling: 'Hỏi định kỳ',
      mark: { demo: ' (mô phỏng)', replay: ' (phát lại)' },
      bad_message: () => 'Máy chủ gửi nội dung mà trang này không hiểu.',
      rate_limited: (s) => `Quá nhiều yêu cầu. ${s ? `Vui lòng thử lại sau ${s} giây.` : 'Vui lòng chờ một lát.'}`,
      unavailable: (s) => `Hiện chưa lấy được dữ liệu.${s ? ` Thử lại sau ${s} giây.` : ''}`,
      server_shutdown: () => 'Máy chủ đang khởi động lại. Trang sẽ tự kết nối lại.',
      lost: () => 'Mất kết nối với máy chủ. Đây là các giá trị biết được gần nhất; đang kết nối lại.',
    },
  };

  const scriptUrl = globalThis.document?.currentScript?.src;

  /* The socket of the server this script came from, so that it also works on somebody else's page. */
  function defaultUrl() {
    const from = new URL(scriptUrl || globalThis.location?.href || 'http://localhost:8000/');
    return `${from.protocol === 'https:' ? 'wss' : 'ws'}://${from.host}/ws`;
  }

  function language() {
    return globalThis.document?.documentElement.lang.startsWith('vi') ? 'vi' : 'en';
  }

  /* Intl writes a hyphen; a minus sign has the width of a plus and is read as one. */
  const minus = (text) => text.replace('-', '\u2212');

  const formats = new Map();
  function numberFormat(lang, options) {
    const key = lang + JSON.stringify(options);
    if (!formats.has(key)) {
      formats.set(key, new Intl.NumberFormat(lang === 'vi' ? 'vi-VN' : 'en-US', options));
    }
    return formats.get(key);
  }

  const TWO = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

  /* Big sums with the unit spelled out: "T" is 10^12 in English and 10^9 in Vietnamese. */
  function bigSum(value, lang) {
    const options = { ...TWO, notation: 'compact', compactDisplay: 'long' };
    const parts = numberFormat(lang, options).formatToParts(value);
    const of = (want) => parts.filter((p) => (p.type === 'compact') === want).map((p) => p.value).join('').trim();
    const figure = minus(of(false));
    return lang === 'vi'
      ? { figure, unit: `${of(true)} USD`.trim() }
      : { figure: `$${figure}`, unit: of(true) };
  }

  const FORMAT = {
    btc_price(value, lang) {
      const figure = minus(numberFormat(lang, TWO).format(value));
      return lang === 'vi' ? { figure, unit: 'USD' } : { figure: `$${figure}`, unit: '' };
    },
    btc_change_24h(value, lang) {
      const options = { ...TWO, style: 'percent', signDisplay: 'exceptZero' };
      return { figure: minus(numberFormat(lang, options).format(value / 100)), unit: '' };
    },
    market_cap: bigSum,
    volume_24h: bigSum,
    fear_greed_index: (value, lang) => ({
      figure: minus(numberFormat(lang, { maximumFractionDigits: 0 }).format(value)),
      unit: '',
    }),
    rsi_14: (value, lang) => ({
      figure: numberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value),
      unit: '',
    }),
  };

  class MarketDataWebSocket {
    #socket = null;
    #handlers = new Map();
    #retryTimer = null;
    #attemptTimer = null;
    #pingTimer = null;
    #pongTimer = null;
    #pingSentAt = null;
    #notBeforeMs = 0;
    #pulsedAt = new Map();
    #lastShown = new Map();

    /* `options` is for tests and unusual pages: WebSocket, random, now, autoConnect, and the times. */
    constructor(url = defaultUrl(), options = {}) {
      this.url = url;
      this.options = {
        WebSocket: globalThis.WebSocket,
        random: Math.random,
        now: () => performance.now(),
        autoConnect: true,
        connectTimeoutMs: 5000,
        pingEveryMs: 15e3,
        pongWithinMs: 10e3,
        ...options,
      };
      this.maxAttempts = Infinity; // a supervisor that can poll instead sets a limit
      this.failures = 0;
      this.phase = 'idle';
      this.polling = null; // {ok, rttMs} while a supervisor polls
      this.summary = null;
      this.stats = { attempts: 0, connects: 0, messages: 0, bytes: 0, errors: 0, lastCloseCode: null, rttMs: null };
      if (this.options.autoConnect) {
        this.connect();
      }
      this.#watchPage();
    }

    /* How long to wait after so many failures in a row: doubling, capped, half of it by chance. */
    static backoffMs(failures, random = Math.random) {
      const step = Math.min(BACKOFF_CAP_MS, BACKOFF_FIRST_MS * 2 ** Math.max(0, failures - 1));
      return step / 2 + (random() * step) / 2;
    }

    /* {figure, unit} as people of that language read it. */
    static format(field, value, lang = language()) {
      return FORMAT[field](value, lang);
    }

    /* Calls fn(message or detail) for a message type of the server or one of: state, summary, tick,
     * notice, attempt_failed, resting. Returns its undo. */
    on(type, fn) {
      if (!this.#handlers.has(type)) {
        this.#handlers.set(type, new Set());
      }
      this.#handlers.get(type).add(fn);
      return () => this.#handlers.get(type).delete(fn);
    }

    #emit(type, detail) {
      for (const fn of [...(this.#handlers.get(type) ?? [])]) {
        fn(detail);
      }
    }

    get status() {
      const live = this.phase === 'live';
      let state = 'connecting';
      if (live) {
        state = 'live';
      } else if (this.polling?.ok) {
        state = 'polling';
      } else if (this.polling || this.failures > 0 || globalThis.navigator?.onLine === false) {
        state = 'offline';
      }
      const transport = live ? 'websocket' : state === 'polling' ? 'http' : null;
      return { state, transport, rttMs: live ? this.stats.rttMs : (this.polling?.rttMs ?? null) };
    }

    isConnected() {
      return this.phase === 'live';
    }

    connect() {
      if (this.#socket) {
        return;
      }
      clearTimeout(this.#retryTimer);
      this.#retryTimer = null;
      this.stats.attempts += 1;
      this.#setPhase('connecting');
      let socket;
      try {
        socket = new this.options.WebSocket(this.url);
      } catch {
        this.#failed(null); // a bad URL, or a page that forbids sockets
        return;
      }
      this.#socket = socket;
      const mine = (fn) => (event) => {
        if (this.#socket === socket) {
          fn(event);
        }
      };
      socket.onmessage = mine((event) => this.#received(event.data));
      socket.onclose = mine((event) => this.#failed(event.code));
      this.#attemptTimer = setTimeout(() => this.#drop(), this.options.connectTimeoutMs);
    }

    /* Tries at once when there is no connection; asks whether it still lives when there is. */
    retryNow() {
      if (this.phase === 'live') {
        this.ping();
      } else {
        this.connect();
      }
    }

    disconnect() {
      clearTimeout(this.#retryTimer);
      this.#release();
      this.failures = 0;
      this.#setPhase('idle');
    }

    send(message) {
      if (this.phase !== 'live') {
        return false;
      }
      this.#socket.send(JSON.stringify(message));
      return true;
    }

    ping() {
      clearTimeout(this.#pingTimer);
      if (this.#pingSentAt === null && this.send({ type: 'ping', timestamp: new Date().toISOString() })) {
        this.#pingSentAt = this.options.now();
        this.#pongTimer = setTimeout(() => this.#drop(), this.options.pongWithinMs);
      }
    }

    /* Asks the server to fetch anew; false when there is no connection to ask over. */
    requestUpdate() {
      return this.send({ type: 'request_update', timestamp: new Date().toISOString() });
    }

    /* Said by the supervisor: numbers come over HTTP meanwhile ({ok, rttMs}), or no longer (null). */
    setPolling(polling) {
      this.polling = polling;
      this.#stateChanged();
    }

    /* Tells the page about {code, retryAfterS, detail}; sentence() has the words for it. */
    notify(notice) {
      this.#emit('notice', notice);
    }

    getStats() {
      return { ...this.stats, failures: this.failures, phase: this.phase };
    }

    /* A sentence in the page's language for {code, retryAfterS, detail}. */
    sentence(notice) {
      const words = WORDS[language()][notice.code];
      return typeof words === 'function' ? words(notice.retryAfterS) : notice.detail || WORDS[language()].bad_message();
    }

    #received(text) {
      this.stats.messages += 1;
      this.stats.bytes += text.length;
      if (this.phase !== 'live') {
        this.#opened();
      }
      let message = null;
      try {
        message = JSON.parse(text);
      } catch {
        // reported below, with everything else that is not a message
      }
      if (message === null || typeof message !== 'object' || typeof message.type !== 'string') {
        this.stats.errors += 1;
        this.notify({ code: 'bad_message' });
        return;
      }
      this.#handle(message);
      this.#emit(message.type, message);
    }

    #handle(message) {
      switch (message.type) {
        case 'welcome':
        case 'dashboard_update':
          if (message.data) {
            this.accept(message.data, message.timestamp, message.mode);
          }
          break;
        case 'btc_price_update':
          this.#acceptPrice(message);
          break;
        case 'pong':
          this.#ponged();
          break;
        case 'error':
          this.stats.errors += 1;
          if (message.id !== undefined) {
            break; // an answer to a command of somebody's, who hears of it by on()
          }
          this.notify({ code: message.code, retryAfterS: message.retry_after, detail: message.error });
          break;
        case 'server_shutdown':
          this.#notBeforeMs = Number(message.reconnect_after_ms) || 0;
          this.notify({ code: 'server_shutdown' });
          break;
        default: // other channels are for whoever called on()
      }
    }

    #opened() {
      clearTimeout(this.#attemptTimer);
      this.failures = 0;
      this.#notBeforeMs = 0;
      this.polling = null;
      this.stats.connects += 1;
      this.#setPhase('live');
      this.ping();
    }

    #ponged() {
      if (this.#pingSentAt === null) {
        return;
      }
      clearTimeout(this.#pongTimer);
      this.stats.rttMs = this.options.now() - this.#pingSentAt;
      this.#pingSentAt = null;
      this.#pingTimer = setTimeout(() => this.ping(), this.options.pingEveryMs);
      this.#stateChanged();
    }

    /* The other side says nothing any more: closing politely would wait for it. */
    #drop() {
      this.#release();
      this.#failed(null);
    }

    #release() {
      clearTimeout(this.#attemptTimer);
      clearTimeout(this.#pingTimer);
      clearTimeout(this.#pongTimer);
      this.#pingSentAt = null;
      const socket = this.#socket;
      this.#socket = null;
      socket?.close();
    }

    #failed(code) {
      const wasLive = this.phase === 'live';
      this.#release();
      this.stats.lastCloseCode = code;
      if (wasLive) {
        this.notify({ code: 'lost' });
      } else {
        this.failures += 1;
      }
      if (this.failures >= this.maxAttempts) {
        this.#setPhase('resting');
        this.#emit('resting');
        return;
      }
      const delayMs = MarketDataWebSocket.backoffMs(this.failures, this.options.random);
      this.#retryTimer = setTimeout(() => this.connect(), Math.max(delayMs, this.#notBeforeMs));
      this.#notBeforeMs = 0;
      this.#setPhase('waiting');
      if (!wasLive) {
        this.#emit('attempt_failed', this.failures);
      }
    }

    #setPhase(phase) {
      this.phase = phase;
      this.#stateChanged();
    }

    #stateChanged() {
      const status = this.status;
      const element = globalThis.document?.getElementById('websocket-status');
      if (element) {
        const words = WORDS[language()];
        const flows = status.transport !== null;
        const text = words[status.state] + ((flows && words.mark[this.summary?.mode]) || '');
        if (element.textContent !== text) {
          element.textContent = text;
        }
        element.dataset.state = status.state;
      }
      this.#emit('state', status);
    }

    /* Takes a summary object, from whatever transport. `timestamp` is the server's, RFC 3339. */
    accept(data, timestamp, mode = data.mode) {
      const sentAt = Date.parse(timestamp ?? '');
      const fields = {};
      for (const name of Object.keys(FIELDS)) {
        fields[name] = this.#readField(data[name], data.sources?.[name], data.stale?.includes(name), sentAt);
      }
      this.summary = { mode: mode ?? null, lastUpdated: data.last_updated ?? null, fields, data };
      this.#summaryChanged();
    }

    #summaryChanged() {
      this.render();
      this.#stateChanged(); // the word for the connection says so when the data is not real
      this.#emit('summary', this.summary);
    }

    #readField(value, source, stale, sentAt) {
      const ageMs = Number.isFinite(source?.age_s) ? source.age_s * 1000 : sentAt - Date.parse(source?.as_of ?? '');
      return {
        value: Number.isFinite(value) ? value : null,
        source: source ?? {},
        listedStale: Boolean(stale),
        ageMs: Number.isFinite(ageMs) ? Math.max(0, ageMs) : null,
        receivedAt: this.options.now(),
        receivedWall: Date.now(),
      };
    }

    /* The short message has its own two numbers; what it doesn't say of their origin stays as known. */
    #acceptPrice(message) {
      const data = message.data ?? {};
      const mode = message.mode ?? data.mode ?? this.summary?.mode ?? null;
      const known = this.summary && this.summary.mode === mode ? this.summary : null; // modes never mix
      const fields = { ...known?.fields };
      for (const name of Object.keys(FIELDS)) {
        if (name in data || !fields[name]) {
          const before = fields[name];
          const same = before && before.value === data[name];
          const source = data.sources?.[name] ?? (same ? null : { ...before?.source, as_of: message.timestamp, age_s: undefined });
          const stale = data.stale ? data.stale.includes(name) : before?.listedStale;
          fields[name] = source ? this.#readField(data[name], source, stale, Date.parse(message.timestamp)) : before;
        }
      }
      const merged = { ...known?.data, ...data, sources: { ...known?.data.sources, ...data.sources } };
      merged.stale = known?.data.stale ?? data.stale ?? [];
      this.summary = { mode, lastUpdated: merged.last_updated ?? null, fields, data: merged };
      this.#summaryChanged();
    }

    /* How old a value is by the server's clock, or null. The wall clock also counts the time a laptop
     * slept, the monotonic one doesn't jump when somebody sets the clock back: the larger one is safe. */
    ageMs(name) {
      const field = this.summary?.fields[name];
      if (!field || field.ageMs === null) {
        return null;
      }
      const waited = Math.max(this.options.now() - field.receivedAt, Date.now() - field.receivedWall, 0);
      return field.ageMs + waited;
    }

    /* fresh, ageing (past half its time), stale, old (past five times its time) or unknown. */
    freshness(name) {
      const field = this.summary?.fields[name];
      if (!field || field.value === null) {
        return 'unknown';
      }
      const ageMs = this.ageMs(name);
      const limit = FIELDS[name].staleAfterMs;
      if (ageMs !== null && ageMs > 5 * limit) {
        return 'old';
      }
      if (field.listedStale || ageMs === null || ageMs > limit) {
        return 'stale';
      }
      return ageMs > limit / 2 ? 'ageing' : 'fresh';
    }

    /* Writes what is known into the page. Costs nothing for elements that are not there. */
    render() {
      if (!globalThis.document) {
        return;
      }
      const lang = language();
      for (const [name, { id }] of Object.entries(FIELDS)) {
        const element = document.getElementById(id);
        if (element) {
          this.#renderField(element, name, lang);
        }
      }
    }

    #renderField(element, name, lang) {
      const value = this.summary?.fields[name]?.value ?? null;
      const { figure, unit } = value === null ? { figure: UNKNOWN, unit: '' } : FORMAT[name](value, lang);
      element.dataset.freshness = this.freshness(name);
      const before = this.#lastShown.get(name);
      if (before?.element === element && before.figure === figure && before.unit === unit) {
        return;
      }
      const number = document.createElement('span');
      number.className = 'figure';
      number.textContent = figure;
      const nodes = [number];
      if (unit) {
        const word = document.createElement('span');
        word.className = 'unit';
        word.textContent = unit;
        nodes.push(' ', word);
      }
      element.replaceChildren(...nodes);
      this.#lastShown.set(name, { element, figure, unit, value });
      if (before && before.value !== null && value !== null && before.value !== value) {
        this.#pulse(element, name, value > before.value ? 'up' : 'down');
      }
    }

    /* A change is seen by a short pulse in the colour of its direction, at most one per PULSE_EVERY_MS;
     * the direction itself stays readable in data-direction. */
    #pulse(element, name, direction) {
      element.dataset.direction = direction;
      const now = this.options.now();
      if (now - (this.#pulsedAt.get(name) ?? -Infinity) < PULSE_EVERY_MS) {
        return;
      }
      this.#pulsedAt.set(name, now);
      element.classList.remove('up', 'down');
      element.classList.add('pulse', direction);
      const still = globalThis.matchMedia?.('(prefers-reduced-motion: reduce)').matches;
      if (!still) {
        const colour = getComputedStyle(element).getPropertyValue(`--${direction}`).trim()
          || (direction === 'up' ? '#0a7350' : '#b8301f');
        element.animate([{ color: colour, opacity: 0.55 }, { color: colour, opacity: 1, offset: 0.5 }, { opacity: 1 }], PULSE_EVERY_MS);
      }
      setTimeout(() => element.classList.remove('pulse', 'up', 'down'), PULSE_EVERY_MS);
    }

    #watchPage() {
      if (!globalThis.document) {
        return;
      }
      new MutationObserver(() => {
        this.render();
        this.#stateChanged();
      }).observe(document.documentElement, { attributeFilter: ['lang'] });
      if (document.readyState === 'loading') {
        document.addEventListener('DOMContentLoaded', () => {
          this.render();
          this.#stateChanged();
        });
      } else {
        this.#stateChanged();
      }
      setInterval(() => {
        this.render(); // ages go on when messages don't
        this.#emit('tick');
      }, 1000);
      addEventListener('online', () => this.retryNow());
      addEventListener('offline', () => this.#stateChanged());
      document.addEventListener('visibilitychange', () => {
        if (!document.hidden) {
          this.retryNow();
        }
      });
      // An open socket would keep the page out of the browser's back/forward cache.
      addEventListener('pagehide', () => this.disconnect());
      addEventListener('pageshow', (event) => event.persisted && this.connect());
    }
  }

  MarketDataWebSocket.FIELDS = FIELDS;
  globalThis.MarketDataWebSocket = MarketDataWebSocket;
  if (globalThis.document && !globalThis.marketDataWS) {
    globalThis.marketDataWS = new MarketDataWebSocket();
  }
})();
