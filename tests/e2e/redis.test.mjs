/* The second cache level: a real redis-server on loopback that comes, goes and comes back.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { describe, test } from 'node:test';
import { FIELDS, json } from './lib/http.mjs';
import { backEnds, freePort, startServer, until } from './lib/server.mjs';

const REDIS = '/usr/bin/redis-server';
const SUMMARY = '/api/crypto/dashboard-summary';
const KEY = 'coincast:demo:dashboard:summary';

async function startRedis(port) {
  const child = spawn(REDIS, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
    '--dir', '/tmp', '--requirepass', 'e2e-secret'], { stdio: 'ignore' });
  const gone = new Promise((done) => child.once('exit', done));
  await until(() => ask(port, 'PING').then((a) => a.startsWith('+PONG'), () => false), 'redis answers');
  return {
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    signal: (name) => child.kill(name),
  };
}

/* One command, its answer as it comes over the wire. */
function ask(port, ...words) {
  return new Promise((done, fail) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    const command = (list) => `*${list.length}\r\n${list.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`;
    socket.setTimeout(2000, () => socket.destroy(new Error('redis is silent')));
    socket.on('error', fail);
    socket.on('connect', () => socket.write(command(['AUTH', 'e2e-secret']) + command(words) + command(['QUIT'])));
    socket.on('data', (part) => (text += part));
    socket.on('end', () => done(text.replace(/^\+OK\r\n/, '')));
  });
}

const redisOf = async (server) => {
  const { body } = await json(server, '/api/health');
  return body.components.find((c) => /redis/i.test(c.name));
};

for (const { io, skip } of await backEnds()) {
  describe(`Redis on ${io}`, { skip: skip || (!existsSync(REDIS) && `no ${REDIS}`) }, () => {
    test('holds the summary under the key of its mode; the server does without while it is away', async () => {
      const port = await freePort();
      let redis = await startRedis(port);
      const server = await startServer({
        io, source: 'demo', env: { REDIS_URL: `redis://:e2e-secret@127.0.0.1:${port}` },
      });
      try {
        await until(async () => {
          const { body } = await json(server, SUMMARY);
          return FIELDS.every((field) => body[field] !== null);
        }, 'six numbers', 15_000);
        const kept = await until(async () => {
          const text = await ask(port, 'GET', KEY);
          return text.startsWith('$') && !text.startsWith('$-1') && text;
        }, `${KEY} in Redis`);
        assert.equal(JSON.parse(kept.split('\r\n')[1]).mode, 'demo');
        const ttl = await ask(port, 'PTTL', KEY);
        assert.ok(Number(/:(-?\d+)/.exec(ttl)[1]) > 0, `a TTL: ${ttl}`);
        const live = await ask(port, 'EXISTS', 'dashboard:summary');
        assert.match(live, /^:0/, 'demo never writes the key of live');
        assert.equal((await redisOf(server)).status, 'ok');

        await redis.kill();
        const down = await until(async () => {
          const c = await redisOf(server);
          return c.status !== 'ok' && c;
        }, 'Redis is seen as down', 8_000);
        assert.ok(down.reason.length > 0);
        const began = Date.now();
        assert.equal((await json(server, SUMMARY)).status, 200);
        assert.ok(Date.now() - began < 500, 'nobody waits for it');

        redis = await startRedis(port);
        await until(async () => (await redisOf(server)).status === 'ok', 'Redis is back', 10_000);
        redis.signal('SIGSTOP');
        const hung = await until(async () => {
          const c = await redisOf(server);
          return c.status !== 'ok' && c;
        }, 'a Redis that hangs is seen', 12_000);
        assert.match(hung.reason, /second|answer/);
        assert.equal((await json(server, SUMMARY)).status, 200);
        redis.signal('SIGCONT');
        await until(async () => (await redisOf(server)).status === 'ok', 'Redis goes on', 10_000);
        assert.doesNotMatch(server.log, /e2e-secret/);
      } finally {
        redis.signal('SIGCONT');
        await server.stop();
        await redis.kill();
      }
    });
  });
}
