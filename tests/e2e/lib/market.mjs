/* A server on the stand-in's exchanges, and the server's own log of what it published: the truth that
 * what clients got is held to. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from './http.mjs';
import { startServer, until } from './server.mjs';

export const seqOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

/* `serve --source live` on the feeds and the REST of `upstream`; `symbols` are followed, and when it
 * comes back their prices are there from that many `feeds` (0: nothing is waited for). */
export async function startMarket(upstream, { symbols = ['BTC', 'ETH', 'SOL', 'DOGE'], env = {}, args = [],
  feeds = 3, ...options } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'coincast-e2e-'));
  const log = join(dir, 'published.log');
  const server = await startServer({
    source: 'live', dir, ...options,
    env: { ...upstream.env, ...upstream.feeds, COINCAST_SYMBOLS: symbols.join(','), ...env },
    args: ['--publish-log', log, ...args],
  });
  const stop = server.stop;
  server.stop = () => stop().finally(() => rm(dir, { recursive: true, force: true }));
  server.published = () => readPublished(log);
  server.feed = async (name) => (await json(server, '/api/health')).body.components
    .find((c) => c.name === `${name} feed`);
  server.row = async (symbol) => (await json(server, `/api/v1/prices?symbols=${symbol}`)).body.data?.[symbol];
  server.asset = async (symbol) => (await json(server, `/api/v1/assets/${symbol}`)).body;
  if (feeds) {
    await until(async () => {
      const { data } = (await json(server, '/api/v1/prices')).body;
      return symbols.every((s) => data?.[s]?.price > 0 && data[s].feeds >= feeds);
    }, 'prices of all symbols', 60_000).catch((error) => {
      server.kill('SIGKILL');
      error.message += `\n${server.log}`;
      throw error;
    });
  }
  return server;
}

/* The whole lines of a publish log: {seq, channel, text}. */
export function readPublished(path) {
  const text = readFileSync(path, 'utf8');
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map((line) => {
    const [, cursor, channel, payload] = /^(\S+) (\S+) (.*)$/.exec(line);
    return { seq: seqOf(cursor), channel, text: payload };
  });
}

/* What the rows of price_updates were at any place in the count of messages. */
export class Rows {
  constructor(published) {
    this.all = new Map(); /* symbol -> [{seq, at (Unix ms), row}], rising */
    for (const { seq, channel, text } of published) {
      if (channel !== 'price_updates') continue;
      const { data, timestamp } = JSON.parse(text);
      for (const [symbol, row] of Object.entries(data)) {
        if (!this.all.has(symbol)) this.all.set(symbol, []);
        this.all.get(symbol).push({ seq, at: Date.parse(timestamp), row });
      }
      this.last = seq;
    }
  }

  /* The truth of a server up to that place, when it has been written. */
  static async upTo(server, seq) {
    let rows;
    await until(() => (rows = new Rows(server.published())).last >= seq, `the log reaches ${seq}`, 20_000);
    return rows;
  }

  at(symbol, seq) {
    return this.all.get(symbol)?.findLast((one) => one.seq <= seq)?.row;
  }

  /* How often a row was published after `from`, up to `to`. */
  count(symbols, from, to) {
    return symbols.reduce((sum, symbol) => sum
      + (this.all.get(symbol) ?? []).filter((one) => one.seq > from && one.seq <= to).length, 0);
  }

  /* A message is right when each of its rows is the newest there was at its cursor. */
  assertNewest(message) {
    for (const [symbol, row] of Object.entries(message.data)) {
      assert.deepEqual(row, this.at(symbol, seqOf(message.cursor)), `${symbol} at ${message.cursor}`);
    }
  }
}
