/* A client that does not read: it holds nobody up, and is told what it missed.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { mustPublish } from './lib/http.mjs';
import { backEnds, startServer } from './lib/server.mjs';

const seqOf = (cursor) => Number(cursor.slice(cursor.lastIndexOf('-') + 1));

for (const { io, skip } of await backEnds()) {
  describe(`slow clients on ${io}`, { skip }, () => {
    test('others go on, and the slow one gets all there is or a gap notice, in order', { timeout: 60_000 }, async () => {
      const server = await startServer({ io });
      try {
        const channel = 'app:slow';
        const [slow, fast] = [await Client.connect(server.ws), await Client.connect(server.ws)];
        await slow.subscribe(channel);
        await fast.subscribe(channel);
        slow.socket.pause();
        const filler = 'x'.repeat(4000);
        const count = 5000; /* 20 MB: beyond any socket buffer and the channel's history */
        let last;
        for (let n = 0; n < count; n += 100) {
          last = await mustPublish(server, Array.from({ length: 100 }, (_, i) => ({ channel, data: { n: n + i, filler } })));
        }
        const got = await fast.take('message', count, 20_000);
        got.forEach((m, n) => assert.equal(m.data.n, n));
        slow.socket.resume();
        const seen = [];
        let gaps = 0;
        for (;;) {
          const m = await slow.next((x) => ['message', 'gap', 'conflated'].includes(x.type), 20_000);
          if (m.type === 'gap') {
            gaps++;
            assert.equal(m.channel, channel);
            assert.ok(m.from && m.to, m.text);
          } else if (m.type === 'message') {
            seen.push(m);
            if (m.cursor === last.cursor) break;
          }
        }
        const numbers = seen.map((m) => m.data.n);
        assert.ok(numbers.every((n, i) => i === 0 || n > numbers[i - 1]), 'in order, none twice');
        const holes = numbers.filter((n, i) => n !== (i === 0 ? 0 : numbers[i - 1] + 1)).length;
        assert.equal(gaps > 0, holes > 0, `${holes} holes, ${gaps} gap notices`);
        assert.ok(gaps >= holes, `every hole is announced: ${holes} holes, ${gaps} notices`);
        assert.ok(seqOf(seen.at(-1).cursor) > seqOf(seen[0].cursor));
        slow.socket.terminate();
        fast.socket.terminate();
      } finally {
        await server.stop();
      }
    });
  });
}
