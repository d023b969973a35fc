/* A WebSocket client that keeps every message in order and hands them out by what one waits for.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import WebSocket from 'ws';

const WAIT_MS = 30_000; /* only who fails waits so long */

export class Client {
  /* Open, or an error whose `status` is the HTTP answer's. */
  static async connect(url, options = {}) {
    const c = new Client();
    c.socket = new WebSocket(url, options.protocols ?? [], { perMessageDeflate: false, ...options });
    c.messages = []; /* not yet handed out: {text, ...parsed} */
    c.waiters = new Set();
    c.closed = new Promise((done) => {
      c.socket.once('close', (code, reason) => {
        c.ended = { code, reason: reason.toString() };
        done(c.ended);
        c.#look();
      });
    });
    c.socket.on('message', (bytes, binary) => {
      assert.equal(binary, false, 'a text message');
      const text = bytes.toString();
      const message = JSON.parse(text);
      Object.defineProperty(message, 'text', { value: text, enumerable: false });
      c.messages.push(message);
      c.#look();
    });
    await new Promise((done, fail) => {
      c.socket.once('open', done);
      c.socket.once('error', fail);
      c.socket.once('unexpected-response', (request, response) => {
        const error = new Error(`HTTP ${response.statusCode}`);
        error.status = response.statusCode;
        error.headers = response.headers;
        response.setEncoding('utf8');
        error.body = '';
        response.on('data', (text) => (error.body += text));
        response.on('end', () => fail(error));
      });
    });
    c.socket.on('error', () => {}); /* a close follows and tells */
    return c;
  }

  #look() {
    for (const waiter of [...this.waiters]) waiter();
  }

  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /* The first message not handed out yet that is of this type, or that the function accepts. Those
   * before it stay. */
  next(wanted, ms = WAIT_MS) {
    const fits = typeof wanted === 'string' ? (m) => m.type === wanted : wanted;
    return new Promise((done, fail) => {
      const stop = () => {
        clearTimeout(timer);
        this.waiters.delete(look);
      };
      const look = () => {
        const at = this.messages.findIndex(fits);
        if (at >= 0) {
          stop();
          done(this.messages.splice(at, 1)[0]);
        } else if (this.ended) {
          stop();
          fail(new Error(`closed with ${JSON.stringify(this.ended)} before ${wanted}`));
        }
      };
      const timer = setTimeout(() => {
        stop();
        const seen = this.messages.map((m) => m.type).join(', ');
        fail(new Error(`no ${wanted} within ${ms} ms; there was: ${seen || 'nothing'}`));
      }, ms);
      this.waiters.add(look);
      look();
    });
  }

  async take(wanted, count, ms = WAIT_MS) {
    const all = [];
    while (all.length < count) all.push(await this.next(wanted, ms));
    return all;
  }

  /* All that came before the answer to a ping: what did not come by then was not sent. */
  async settle() {
    const timestamp = `settle-${Math.random()}`;
    this.send({ type: 'ping', timestamp });
    await this.next((m) => m.type === 'pong' && m.echo === timestamp);
    return this.messages.splice(0);
  }

  async subscribe(channel, params, id = `s-${Math.random()}`) {
    this.send({ type: 'subscribe', id, channel, ...(params ? { params } : {}) });
    return this.next((m) => m.id === id && (m.type === 'subscribed' || m.type === 'error'));
  }

  async close() {
    this.socket.close(1000);
    await this.closed;
  }
}
