/* Engine.IO polling by hand, for what no library would do. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { request } from './http.mjs';

export const RS = '\x1e';
export const PATH = '/socket.io/?EIO=4&transport=polling';

export class Poller {
  constructor(server, agent) {
    this.server = server;
    this.agent = agent;
  }

  /* `agent`: a keep-alive one; else each request comes by a connection of its own. */
  static async open(server, { auth, agent } = {}) {
    const p = new Poller(server, agent);
    const answer = await request(server, PATH, { agent });
    assert.equal(answer.status, 200, answer.text);
    p.sid = JSON.parse(answer.text.slice(1)).sid;
    assert.equal((await p.post(`40${auth ? JSON.stringify(auth) : ''}`)).status, 200);
    return p;
  }

  post(body) {
    return request(this.server, `${PATH}&sid=${this.sid}`, { method: 'POST', body, agent: this.agent });
  }

  async get() {
    const answer = await request(this.server, `${PATH}&sid=${this.sid}`, { agent: this.agent });
    return { status: answer.status, packets: answer.text.split(RS) };
  }
}
