/* kill -9: what was counted and what was recorded is there afterwards. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FIELDS, json } from './lib/http.mjs';
import { startServer, startUpstream, until } from './lib/server.mjs';

const complete = (server) => until(async () => {
  const { body } = await json(server, '/api/crypto/dashboard-summary');
  return FIELDS.every((field) => body[field] !== null) && body;
}, 'six numbers', 60_000);
const provider = async (server, name) => (await json(server, '/api/health')).body
  .components.find((c) => c.name.startsWith(name));
/* How often the stand-in was asked for end points of a provider. */
const asked = async (upstream, name) => Object.entries((await upstream.control()).requests)
  .filter(([target]) => target.startsWith(`${name}/`)).reduce((sum, [, n]) => sum + n, 0);
async function killed(server) {
  server.kill('SIGKILL');
  await server.exit();
}
const items = (text) => text.slice(0, text.lastIndexOf('\n') + 1).split('\n').filter(Boolean).map((l) => JSON.parse(l));

describe('kill -9', () => {
  test('the counts of requests are kept: over three lives they are what upstream was asked', async () => {
    const upstream = await startUpstream();
    const dir = await mkdtemp(join(tmpdir(), 'coincast-crash-'));
    try {
      let before = 0;
      for (let life = 0; life < 3; life += 1) {
        const server = await startServer({ source: 'live', env: upstream.env, dir });
        try {
          await complete(server);
          const c = await until(async () => {
            const now = await provider(server, 'coingecko');
            const more = now?.month.used - await asked(upstream, 'coingecko');
            return more >= 0 && more <= life && now; /* a kill may come between the count and the request */
          }, 'month.used is what upstream was asked');
          assert.ok(c.month.used > before, `life ${life}: ${c.month.used} after ${before}`);
          assert.equal(c.month.limit, 10_000);
          assert.ok(c.minute.used >= 1, 'the last minute counts as well');
          before = c.month.used;
        } finally {
          await killed(server);
        }
      }
    } finally {
      await upstream.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('a month that is used up stays used up, and is said', async () => {
    const upstream = await startUpstream();
    const dir = await mkdtemp(join(tmpdir(), 'coincast-crash-'));
    const env = { ...upstream.env, COINCAST_COINGECKO_PER_MONTH: '1' };
    try {
      for (let life = 0; life < 2; life += 1) {
        const server = await startServer({ source: 'live', env, dir });
        try {
          const c = await until(async () => {
            const now = await provider(server, 'coingecko');
            return now?.month.used >= 1 && now.status === 'degraded' && now;
          }, 'the month is used up');
          assert.match(c.reason, /month/);
          assert.ok(Date.parse(c.next_try) > Date.now());
        } finally {
          await killed(server);
        }
      }
      assert.ok(await asked(upstream, 'coingecko') <= 2, 'the stand-in\'s month and the first, live one');
    } finally {
      await upstream.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('a recording keeps its whole lines, and goes on behind them', async () => {
    const upstream = await startUpstream();
    const dir = await mkdtemp(join(tmpdir(), 'coincast-crash-'));
    const file = join(dir, 'upstream.rec');
    try {
      const first = await startServer({ source: 'live', env: upstream.env, dir, args: ['--record', file] });
      try {
        await complete(first);
        await until(async () => { /* lines are written at the end of the turn that has the answer */
          const now = items(await readFile(file, 'utf8'));
          return now.length >= 4 && new Set(now.map((item) => item.source)).size >= 3;
        }, 'four answers of three providers');
      } finally {
        await killed(first);
      }
      const kept = await readFile(file, 'utf8');
      const before = items(kept);
      assert.ok(before.length >= 4, `${before.length} items`);
      for (const item of before) {
        assert.equal(item.v, 1);
        assert.equal(item.kind, 'http');
        assert.equal(item.status, 200);
        assert.ok(JSON.parse(item.body));
        assert.match(item.url, /^http:\/\/127\.0\.0\.1/);
        assert.deepEqual(item.headers.find(([name]) => name === 'x-coincast-upstream')?.[1], 'simulated');
      }
      assert.ok(new Set(before.map((item) => item.source)).size >= 3);
      assert.equal((await stat(file)).mode & 0o077, 0, 'for its owner only');
      await appendFile(file, '{"v":1,"t":17');
      const second = await startServer({ source: 'live', env: upstream.env, dir, args: ['--record', file] });
      await complete(second);
      const health = (await json(second, '/api/health')).body.components.find((c) => c.name === 'recorder');
      assert.equal(health.status, 'ok');
      await second.stop();
      const text = await readFile(file, 'utf8');
      assert.ok(text.startsWith(kept.slice(0, kept.lastIndexOf('\n') + 1)), 'nothing of before is lost');
      assert.ok(text.endsWith('\n'));
      assert.ok(items(text).length > before.length);
    } finally {
      await upstream.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });

  test('a file that is no recording is refused and left alone', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'coincast-crash-'));
    const file = join(dir, 'letter.txt');
    await appendFile(file, 'Dear Sir\n');
    await assert.rejects(startServer({ source: 'none', dir, args: ['--record', file] }), /letter\.txt/);
    assert.equal(await readFile(file, 'utf8'), 'Dear Sir\n');
    await rm(dir, { recursive: true, force: true });
  });
});
