/* A client that does not read: it holds nobody up, and is told what it missed.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { mustPublish } from './lib/http.mjs';
import { backEnds, startServer } from './lib/server.mjs';

const seqOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

const OPENSSL = '/usr/bin/openssl';
let certs; /* a folder with a certificate of this run */
before(async () => {
  if (!existsSync(OPENSSL)) return;
  certs = await mkdtemp(join(tmpdir(), 'coincast-tls-'));
  execFileSync(OPENSSL, ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', join(certs, 'key.pem'), '-out', join(certs, 'cert.pem'), '-days', '2', '-subj', '/CN=localhost'],
  { stdio: 'ignore' });
});
after(() => certs && rm(certs, { recursive: true, force: true }));

/* Publishes 20 MB, far beyond any socket buffer and the channel's history, to a client that reads
 * and one that does not. */
async function flood(server) {
  const channel = 'app:slow';
  const options = { rejectUnauthorized: false };
  const [slow, fast] = [await Client.connect(server.ws, options), await Client.connect(server.ws, options)];
  await slow.subscribe(channel);
  await fast.subscribe(channel);
  slow.socket.pause();
  const filler = 'x'.repeat(4000);
  const count = 5000;
  let last;
  for (let n = 0; n < count; n += 100) {
    last = await mustPublish(server, Array.from({ length: 100 }, (_, i) => ({ channel, data: { n: n + i, filler } })));
  }
  await checkOrder(fast, channel, last.cursor);
  slow.socket.resume();
  await checkOrder(slow, channel, last.cursor);
  slow.socket.terminate();
  fast.socket.terminate();
}

/* Until the last message: rising numbers, none twice, and a notice of each hole. */
async function checkOrder(client, channel, lastCursor) {
  let next = 0;
  let told = false;
  let received = 0;
  for (;;) {
    const m = await client.next((x) => x.type === 'message' || x.type === 'gap', 60_000);
    if (m.type === 'gap') {
      assert.equal(m.channel, channel);
      assert.ok(seqOf(m.to) > seqOf(m.from), m.text);
      told = true;
      continue;
    }
    received++;
    if (m.data.n !== next) {
      assert.ok(m.data.n > next, `${m.data.n} after ${next - 1}: in order, none twice`);
      assert.ok(told, `a notice before the hole from ${next} to ${m.data.n - 1}`);
    }
    told = false;
    next = m.data.n + 1;
    if (m.cursor === lastCursor) break;
  }
  return received;
}

for (const { io, skip } of await backEnds()) {
  describe(`slow clients on ${io}`, { skip }, () => {
    test('one that does not read holds nobody up and hears of each gap', { timeout: 300_000 }, async () => {
      const server = await startServer({ io });
      try {
        await flood(server);
      } finally {
        await server.stop();
      }
    });

    test('the same over TLS', { timeout: 300_000, skip: !existsSync(OPENSSL) && `no ${OPENSSL}` }, async () => {
      const server = await startServer({
        io, tls: true,
        env: { COINCAST_TLS_CERT: join(certs, 'cert.pem'), COINCAST_TLS_KEY: join(certs, 'key.pem') },
      });
      try {
        await flood(server);
      } finally {
        await server.stop();
      }
    });
  });
}
