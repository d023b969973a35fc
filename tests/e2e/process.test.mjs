/* The program as an operator meets it: starting, refusing to start, ending.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Client } from './lib/client.mjs';
import { json, mustPublish, request, untilDraining } from './lib/http.mjs';
import { backEnds, freePort, run, sleep, startServer, until } from './lib/server.mjs';

const oneLine = (text) => {
  const lines = text.split('\n').filter((line) => line.trim());
  assert.equal(lines.length, 1, `one line: ${text}`);
  return lines[0];
};

describe('the command line', () => {
  test('version and help end with 0', async () => {
    const version = await run(['version']);
    assert.equal(version.code, 0, version.stderr);
    assert.match(version.stdout, /\d+\.\d+/);
    for (const args of [['--help'], ['serve', '--help'], ['upstream', '--help']]) {
      const help = await run(args);
      assert.equal(help.code, 0, `${args}: ${help.stderr}`);
      assert.match(help.stdout, /--/);
    }
  });

  const wrong = [
    [['nonsense'], /help|serve/],
    [['serve', '--no-such-flag', '1'], /no-such-flag/],
    [['serve', '--listne', '127.0.0.1:1'], /listen/],
    [['serve', '--listen', 'nonsense'], /nonsense/],
    [['serve', '--listen', '127.0.0.1:99999'], /99999/],
    [['serve', '--shards', 'many'], /many/],
    [['serve', '--io', 'magic'], /uring/],
    [['serve', '--source', 'tomorrow'], /demo/],
    [['serve', '--listen'], /listen/],
    [['serve', '--data-dir', ''], /data-dir/],
    [['serve', '--symbols='], /symbols/],
    [['serve', '--tls-cert', 'a.pem'], /COINCAST_TLS_KEY/],
    [['serve', '--tls-key', 'a.pem'], /COINCAST_TLS_CERT/],
    [['version', 'nonsense'], /nonsense/],
    [['candles', '--interval=7m', 'a.csv'], /1m/],
    [['load', '--url', 'nonsense'], /ws:\/\//],
    [['conformance', '--listen', 'nonsense'], /HOST:PORT/],
    [['conformance', '--max-payload', '0'], /from 1 to/],
    [['upstream', '--listen', 'nonsense'], /nonsense/],
  ];
  for (const [args, hint] of wrong) {
    test(`wrong usage ends with 2 and says what is right: ${args.join(' ')}`, async () => {
      const { code, stderr } = await run(args);
      assert.equal(code, 2, stderr);
      assert.match(oneLine(stderr), hint);
    });
  }

  test('wrong settings in the environment are refused the same way', async () => {
    for (const [name, value] of [['COINCAST_SHARDS', '-3'], ['COINCAST_DRAIN_MS', 'soon'],
      ['COINCAST_SHRADS', '2'], ['REDIS_URL', 'http://127.0.0.1']]) {
      const { code, stderr } = await run(['serve', '--source', 'none'], { env: { [name]: value } });
      assert.equal(code, 2, `${name}: ${stderr}`);
      assert.match(oneLine(stderr), new RegExp(name.replace('SHRADS', 'SHARDS')));
    }
  });

  test('a second program of ours on an address that is served is refused', async () => {
    const server = await startServer({ io: 'epoll' });
    for (const command of ['upstream', 'conformance']) {
      const { code, stderr } = await run([command, '--listen', `127.0.0.1:${server.port}`]);
      assert.equal(code, 1, stderr);
      assert.match(oneLine(stderr), /taken/);
    }
    await server.stop();
  });

  const settings = {
    COINCAST_LISTEN: '127.0.0.1:8000', COINCAST_SHARDS: '1', COINCAST_IO: 'auto', COINCAST_DATA_DIR: 'data',
    COINCAST_SOURCE: 'none', COINCAST_PROFILE: 'islands', COINCAST_SYMBOLS: 'BTC,ETH',
    REDIS_URL: 'redis://127.0.0.1:6379', DATABASE_URL: '', TAAPI_SECRET: 'x', COINGECKO_API_KEY: 'x',
    COINCAST_COINGECKO_URL: 'http://127.0.0.1:9/api/v3', COINCAST_ALTERNATIVE_URL: 'http://127.0.0.1:9',
    COINCAST_TAAPI_URL: 'http://127.0.0.1:9', COINCAST_BINANCE_URL: 'http://127.0.0.1:9',
    COINCAST_COINBASE_URL: 'http://127.0.0.1:9', COINCAST_KRAKEN_URL: 'http://127.0.0.1:9',
    COINCAST_BINANCE_WS_URL: 'ws://127.0.0.1:9', COINCAST_COINBASE_WS_URL: 'ws://127.0.0.1:9',
    COINCAST_KRAKEN_WS_URL: 'ws://127.0.0.1:9/v2', COINCAST_API_TOKEN: 'x',
    COINCAST_ORIGINS: 'https://a.example,https://b.example', COINCAST_TOKEN_SECRET: 'x',
    COINCAST_MAX_CONNS: '1000', COINCAST_LOG: 'debug', COINCAST_COINGECKO_PER_MINUTE: '10',
    COINCAST_COINGECKO_PER_MONTH: '10000', COINCAST_TAAPI_PER_MINUTE: '4', COINCAST_ALTERNATIVE_PER_MINUTE: '10',
    COINCAST_PRICE_TTL_MS: '3000', COINCAST_SUMMARY_TTL_MS: '30000', COINCAST_DRAIN_MS: '3000',
    COINCAST_LIMIT_LOOPBACK: '0', COINCAST_FIXTURES: '',
  };
  test('every setting that the contracts name is known', async () => {
    /* On an address that is taken the exit is 1 once the settings are right, and 2 when not. */
    const other = net.createServer();
    await new Promise((done) => other.listen(0, '127.0.0.1', done));
    const unknown = [];
    for (const [name, value] of Object.entries(settings)) {
      const { code, stderr } = await run(['serve'], {
        env: { COINCAST_SOURCE: 'none', [name]: value, COINCAST_LISTEN: `127.0.0.1:${other.address().port}` },
      });
      if (code !== 1) unknown.push(`${name}: ${stderr.trim()}`);
    }
    await new Promise((done) => other.close(done));
    assert.deepEqual(unknown, []);
  });

  test('a secret is never repeated in an error or the log', async () => {
    const { code, stderr } = await run(['serve', '--source', 'none'],
      { env: { REDIS_URL: 'redis://:hunter2secret@host:notaport' } });
    assert.equal(code, 2);
    assert.doesNotMatch(stderr, /hunter2secret/);
  });
});

for (const { io, skip } of await backEnds()) {
  describe(`a process on ${io}`, { skip }, () => {
    test('a second instance on the same address ends with 1 and says so', async () => {
      const server = await startServer({ io });
      try {
        const { code, stderr } = await run(['serve', '--source', 'none'], {
          env: { COINCAST_LISTEN: `127.0.0.1:${server.port}`, COINCAST_IO: io },
        });
        assert.equal(code, 1, stderr);
        assert.match(stderr, new RegExp(String(server.port)));
        assert.match(stderr, /in use|already|taken/i);
      } finally {
        await server.stop();
      }
    });

    test('an address that another program holds is refused as well', async () => {
      const other = net.createServer();
      await new Promise((done) => other.listen(0, '127.0.0.1', done));
      const { port } = other.address();
      const { code, stderr } = await run(['serve', '--source', 'none'],
        { env: { COINCAST_LISTEN: `127.0.0.1:${port}`, COINCAST_IO: io } });
      await new Promise((done) => other.close(done));
      assert.equal(code, 1, stderr);
      assert.match(stderr, new RegExp(String(port)));
    });

    test('of instances that start at once one gets the address, the others end with 1', async () => {
      const port = await freePort();
      const all = await Promise.all(Array.from({ length: 6 }, () => startServer({ io, port, env: { COINCAST_SHARDS: '2' } })
        .catch((error) => error.message)));
      /* one that has not ended yet may have taken the other's answer for its own */
      const left = () => all.filter((one) => typeof one !== 'string' && !one.ended);
      await until(() => left().length <= 1, 'all but one end').catch((error) => {
        for (const one of left()) one.kill('SIGKILL');
        throw error;
      });
      const serving = left();
      for (const other of all) {
        if (serving.includes(other)) continue;
        const said = typeof other === 'string' ? other : other.log;
        assert.match(said, new RegExp(`127.0.0.1:${port}.*serves there`), said);
      }
      await Promise.all(serving.map((one) => one.stop()));
      assert.equal(serving.length, 1);
    });

    test('a second instance on the same data folder ends with 1 and names the first', async () => {
      const server = await startServer({ io });
      try {
        const { code, stderr } = await run(['serve', '--source', 'none'], {
          env: {
            COINCAST_LISTEN: `127.0.0.1:${await freePort()}`,
            COINCAST_DATA_DIR: join(server.dir, 'data'),
            COINCAST_IO: io,
          },
        });
        assert.equal(code, 1, stderr);
        assert.match(stderr, new RegExp(`\\b${server.pid}\\b`));
      } finally {
        await server.stop();
      }
    });

    test('SIGTERM: clients are told, closed with 1001, and the exit is 0', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '60000' } }); /* nobody waits for that */
      const clients = await Promise.all(Array.from({ length: 20 }, () => Client.connect(server.ws)));
      for (const c of clients) await c.next('welcome');
      const stopping = server.stop();
      for (const c of clients) {
        const m = await c.next('server_shutdown');
        assert.ok(Number.isInteger(m.reconnect_after_ms) && m.reconnect_after_ms >= 0, m.text);
        assert.equal((await c.closed).code, 1001);
      }
      await stopping;
    });

    test('SIGTERM: a waiting poll and a stream are ended, not left hanging', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '60000' } });
      /* on one connection: should the second poll be on its way yet, it is waited for */
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const { body } = await json(server, '/api/v1/poll?channels=app:drain', { agent });
      const poll = json(server, `/api/v1/poll?channels=app:drain&since=${body.cursor}`, { agent });
      const stream = await fetch(`${server.origin}/api/v1/stream?channels=app:drain`);
      const text = stream.text();
      await sleep(100);
      await server.stop();
      assert.deepEqual((await poll).body.messages.map((m) => m.type), ['server_shutdown']);
      await text.catch(() => {}); /* the end may be clean or a cut, but it comes */
      agent.destroy();
    });

    test('SIGTERM between two polls: the next one is told, and the server ends with it', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '30000', COINCAST_SHARDS: '2' } });
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const path = '/api/v1/poll?channels=app:drain';
      const { body } = await json(server, path, { agent });
      await mustPublish(server, { channel: 'app:drain', data: 1 });
      await until(async () => (await json(server, `${path}&since=${body.cursor}`)).body.messages.length, 'it is there');
      server.kill('SIGTERM');
      await untilDraining(server);
      assert.equal((await request(server, path)).status, 503, 'who brings no cursor is a stranger');
      const told = await json(server, `${path}&since=${body.cursor}`, { agent });
      assert.equal(told.headers.connection, 'close');
      assert.deepEqual(told.body.messages.map((m) => m.type), ['message', 'server_shutdown']);
      assert.ok(told.body.messages[1].reconnect_after_ms > 0);
      assert.deepEqual(await server.exit(), { code: 0, signal: null }, server.log);
      agent.destroy();
      await rm(server.dir, { recursive: true, force: true });
    });

    test('SIGTERM: a client that does not read does not hold the exit up', async () => {
      const server = await startServer({ io, env: { COINCAST_DRAIN_MS: '500' } });
      const deaf = net.connect(server.port, '127.0.0.1');
      deaf.write(`GET /ws HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nUpgrade: websocket\r\n`
        + 'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
        + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
      deaf.on('error', () => {});
      await new Promise((done) => deaf.once('data', done));
      deaf.pause();
      await server.stop();
      deaf.destroy();
    });

    test('SIGINT ends it as well', async () => {
      const server = await startServer({ io });
      server.kill('SIGINT');
      assert.deepEqual(await server.exit(), { code: 0, signal: null }, server.log);
    });

    test('after kill -9 it starts again on the same folder, with a new epoch', async () => {
      const dir = await mkdtemp(join(tmpdir(), 'coincast-e2e-'));
      try {
        const first = await startServer({ io, dir });
        const { cursor } = await mustPublish(first, { channel: 'app:kill', data: 1 });
        first.kill('SIGKILL');
        await first.exit();
        const second = await startServer({ io, dir });
        const c = await Client.connect(second.ws);
        const m = await c.subscribe('app:kill', { since: cursor });
        assert.equal(m.reset, true, m.text);
        await c.close();
        await second.stop();
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });

    test('an unreachable Redis is a degraded component, and everything works', async () => {
      const port = await freePort();
      const server = await startServer({ io, env: { REDIS_URL: `redis://:hunter2secret@127.0.0.1:${port}/1` } });
      try {
        const body = await until(async () => {
          const { body: health } = await json(server, '/api/health');
          const redis = health.components.find((c) => c.name.includes('redis'));
          assert.ok(redis, JSON.stringify(health.components));
          return redis.status !== 'ok' && /refused|connect/i.test(redis.reason) && health;
        }, 'it is told');
        await mustPublish(server, { channel: 'app:r', data: 1 });
        assert.doesNotMatch(server.log + JSON.stringify(body), /hunter2secret/);
      } finally {
        await server.stop();
      }
    });
  });
}

