/* socket.io-client of three generations, with every event kept in order for whoever waits for it.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { io as io3 } from 'socket.io-client-3';
import { until } from './server.mjs';

const WAIT_MS = 30_000; /* only who fails waits so long */
/* Any and all events, also of the generation that has no onAny(). */
const EVENTS = ['connection_status', 'subscribed', 'unsubscribed', 'market_update', 'sentiment_update',
  'trading_signal', 'message', 'error', 'stats', 'conflated', 'gap', 'server_shutdown'];

export const GENERATIONS = [
  { name: 'socket.io-client 4', io: io4, resumes: true },
  { name: 'socket.io-client 3', io: io3, resumes: false },
  { name: 'socket.io-client 2', io: io2, resumes: false },
];
export const WAYS = [
  { name: 'polling', transports: ['polling'] },
  { name: 'websocket', transports: ['websocket'] },
  { name: 'polling, upgraded', transports: ['polling', 'websocket'] },
];

export class Sio {
  constructor(origin, { generation = GENERATIONS[0], nsp = '', ...options } = {}) {
    this.events = []; /* not handed out yet: {event, data, offset, at} */
    this.disconnects = [];
    this.socket = generation.io(`${origin}${nsp}`, { forceNew: true, reconnection: false, ...options });
    if (this.socket.onAny) {
      this.socket.onAny((event, ...args) => this.#keep(event, args));
    } else {
      for (const event of EVENTS) this.socket.on(event, (...args) => this.#keep(event, args));
    }
    this.socket.on('disconnect', (why) => this.disconnects.push(why));
    this.socket.on('connect_error', (error) => (this.refused = error));
    this.connects = 0;
    this.socket.on('connect', () => this.connects++);
  }

  static async connect(origin, options) {
    const c = new Sio(origin, options);
    await until(() => c.socket.connected || c.refused, 'connected', WAIT_MS).catch((e) => {
      c.close();
      throw e;
    });
    if (c.refused) {
      c.close();
      throw c.refused;
    }
    return c;
  }

  #keep(event, args) {
    this.events.push({ event, data: args[0], offset: args[1], at: Date.now() });
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  emit(...args) {
    this.socket.emit(...args);
  }

  /* Emits and gives the ack. */
  ask(...args) {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no ack of ${args[0]}`)), WAIT_MS);
      this.socket.emit(...args, (answer) => {
        clearTimeout(timer);
        done(answer);
      });
    });
  }

  /* The data of the first event not handed out yet that fits; those before it stay. */
  async next(event, fits = () => true, ms = WAIT_MS) {
    const one = await until(() => {
      const at = this.events.findIndex((e) => e.event === event && fits(e.data));
      return at >= 0 && this.events.splice(at, 1)[0];
    }, `${event}; there was ${[...new Set(this.events.map((e) => e.event))]}`, ms);
    return one.data;
  }

  async take(event, count) {
    const all = [];
    while (all.length < count) all.push(await this.next(event));
    return all;
  }

  /* All that came before the answer to a question asked now. */
  async settle() {
    await this.ask('stats');
    return this.events.splice(0).filter((e) => e.event !== 'stats');
  }

  close() {
    this.socket.disconnect();
  }
}

/* One row of market_update (requirement D2). */
export function assertRow(symbol, row) {
  assert.equal(row.symbol, symbol);
  for (const field of ['price', 'change_24h', 'volume_24h']) {
    assert.ok(row[field] === null || Number.isFinite(row[field]), `${symbol}.${field} ${row[field]}`);
  }
  assert.ok(row.timestamp === null || /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(row.timestamp));
  assert.ok(row.price === null ? row.reason.length > 0 : row.price > 0, JSON.stringify(row));
}
