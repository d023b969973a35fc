/* websocket-dashboard: the summary over WebSocket when that works, over HTTP polling when it doesn't.
 *
 * It never opens a socket of its own: it looks after the one of websocket-client.js, and loads that
 * script when the page has not. After 5 failed attempts in a row it asks the server over HTTP every
 * 10 s, and tries the WebSocket again every 30 s, at once when HTTP answers after it did not, and
 * when the browser comes online or the page is looked at again.
 *
 * Starts itself as window.dashboardWS and offers window.fetchDashboardSummary(). The last summary is
 * kept in dashboardWS.cachedData; a change of language uses that and asks nothing.
 * SPDX-License-Identifier: MIT */
(() => {
  'use strict';
  if (globalThis.DashboardWebSocket) {
    return;
  }

  const SUMMARY = '/api/crypto/dashboard-summary';
  const CLIENT = '/crypto_dashboard/assets/websocket-client.js';
  const MAX_ATTEMPTS = 5;
  const POLL_EVERY_MS = 10e3;
  const POLL_RETRY_FIRST_MS = 1000;
  const PROBE_EVERY_MS = 30e3;
  const TIMEOUT_MS = 10e3;

  const base = globalThis.document?.currentScript?.src || globalThis.location?.href;

  class DashboardWebSocket {
    #inFlight = new Map();
    #polling = false;
    #pollFailures = 0;
    #pollTimer = null;
    #probeTimer = null;
    #waitMs = 0;

    /* `options` is for tests: client (looked after at once), fetch, random, now, base. */
    constructor(options = {}) {
      this.options = {
        client: null,
        fetch: (...args) => globalThis.fetch(...args),
        random: Math.random,
        now: () => performance.now(),
        base,
        ...options,
      };
      this.client = null;
      if (this.options.client) {
        this.#adopt(this.options.client);
      }
    }

    get cachedData() {
      return this.client?.summary?.data ?? null;
    }

    /* Finds the page's socket, or brings one. */
    start() {
      if (globalThis.marketDataWS) {
        this.#adopt(globalThis.marketDataWS);
        return;
      }
      const script = document.createElement('script');
      script.src = new URL(CLIENT, this.options.base).href;
      script.onload = () => this.#adopt(globalThis.marketDataWS);
      script.onerror = () => {
        script.remove();
        setTimeout(() => this.start(), PROBE_EVERY_MS);
      };
      document.head.append(script);
    }

    #adopt(client) {
      if (this.client || !client) {
        return;
      }
      this.client = client;
      client.maxAttempts = MAX_ATTEMPTS;
      client.on('resting', () => this.#startPolling());
      client.on('state', ({ state }) => state === 'live' && this.#stopPolling());
      // A reader should not look at nothing for as long as five attempts take.
      client.on('attempt_failed', () => !client.summary && this.fetchSummary());
      if (client.phase === 'resting' || client.failures >= MAX_ATTEMPTS) {
        this.#startPolling();
      }
    }

    /* Asks over HTTP and fills the page; equal requests at the same time are one. Gives the summary,
     * or null when it can't be had (the page then says why). `refresh` makes the server fetch anew. */
    fetchSummary({ refresh = false } = {}) {
      const path = refresh ? `${SUMMARY}/refresh` : SUMMARY;
      if (!this.#inFlight.has(path)) {
        const answer = this.#ask(path).finally(() => this.#inFlight.delete(path));
        this.#inFlight.set(path, answer);
      }
      return this.#inFlight.get(path);
    }

    async #ask(path) {
      const startedAt = this.options.now();
      try {
        const response = await this.options.fetch(new URL(path, this.options.base).href, {
          headers: { Accept: 'application/json' },
          cache: 'no-store', // a 304 would bring back the ages of an earlier answer
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        if (!response.ok) {
          await this.#refused(response);
          return null;
        }
        const summary = await response.json();
        this.#answered(summary, this.options.now() - startedAt);
        return summary;
      } catch {
        this.#unreachable();
        return null;
      }
    }

    #answered(summary, rttMs) {
      const wasFailing = this.#pollFailures > 0;
      this.#pollFailures = 0;
      this.client?.accept(summary);
      if (this.#polling) {
        this.client.setPolling({ ok: true, rttMs });
        if (wasFailing) {
          this.client.connect(); // the server is back: so may be its WebSocket
        }
      }
    }

    async #refused(response) {
      const problem = await response.json().catch(() => ({}));
      const retryAfterS = Number(response.headers.get('Retry-After')) || null;
      this.#waitMs = (retryAfterS ?? 0) * 1000;
      this.#unreachable({
        code: response.status === 429 ? 'rate_limited' : 'unavailable',
        retryAfterS,
        detail: problem.detail ?? problem.title,
      });
    }

    #unreachable(notice = { code: 'lost' }) {
      this.#pollFailures += 1;
      if (this.#polling) {
        this.client.setPolling({ ok: false, rttMs: null });
      }
      this.client?.notify(notice);
    }

    #startPolling() {
      if (this.#polling) {
        return;
      }
      this.#polling = true;
      this.#pollFailures = 0;
      this.client.setPolling({ ok: false, rttMs: null }); // until the first answer
      this.#poll();
      this.#probeTimer = setInterval(() => this.client.connect(), PROBE_EVERY_MS);
    }

    #stopPolling() {
      this.#polling = false;
      clearTimeout(this.#pollTimer);
      clearInterval(this.#probeTimer);
    }

    async #poll() {
      await this.fetchSummary();
      if (!this.#polling) {
        return;
      }
      clearTimeout(this.#pollTimer);
      this.#pollTimer = setTimeout(() => this.#poll(), this.#nextPollMs());
    }

    /* Steady when it works; when it doesn't, soon and then ever later, spread by chance. */
    #nextPollMs() {
      const askedToWaitMs = this.#waitMs;
      this.#waitMs = 0;
      if (this.#pollFailures === 0) {
        return POLL_EVERY_MS;
      }
      const step = Math.min(POLL_EVERY_MS, POLL_RETRY_FIRST_MS * 2 ** (this.#pollFailures - 1));
      return Math.max(askedToWaitMs, step / 2 + (this.options.random() * step) / 2);
    }
  }

  globalThis.DashboardWebSocket = DashboardWebSocket;
  if (globalThis.document) {
    const dashboard = new DashboardWebSocket();
    globalThis.dashboardWS = dashboard;
    globalThis.fetchDashboardSummary = (options) => dashboard.fetchSummary(options);
    // Deferred scripts have all run by then, so the page's own socket is found if it has one.
    if (document.readyState === 'loading') {
      document.addEventListener('DOMContentLoaded', () => dashboard.start());
    } else {
      dashboard.start();
    }
  }
})();
