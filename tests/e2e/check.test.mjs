/* `coincast check`: what an operator is told before a start. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { redisMissing, startRedis } from './lib/redis.mjs';
import { freePort, run, startServer, startUpstream } from './lib/server.mjs';

const PROVIDERS = ['coingecko', 'alternative.me', 'taapi', 'binance', 'coinbase', 'kraken'];
const ITEMS = ['database', 'redis', 'tls', 'outgoing', ...PROVIDERS];

/* Lines as {mark, name, detail}, after a look at their form. */
function lines(stdout) {
  const text = stdout.split('\n\n').at(-1).trim();
  const found = text.split('\n').map((line) => {
    const match = /^(ok|FAIL|skip) +(\S+) +(.+)$/.exec(line);
    assert.ok(match, `"${line}" of\n${stdout}`);
    return { mark: match[1], name: match[2], detail: match[3] };
  });
  assert.deepEqual(found.map((l) => l.name), ITEMS, stdout);
  return Object.fromEntries(found.map((l) => [l.name, l]));
}

describe('coincast check', () => {
  let upstream;
  let dir;
  before(async () => {
    upstream = await startUpstream();
    dir = await mkdtemp(join(tmpdir(), 'coincast-check-'));
  });
  after(async () => {
    await upstream?.stop();
    await rm(dir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    for (const target of ['binance', 'kraken']) await upstream.control({ target, fault: 'none' });
  });
  const check = async (env = {}, args = []) => {
    const result = await run(['check', ...args],
      { cwd: dir, env: { ...upstream.env, ...env }, timeout: 60_000 });
    assert.equal(result.stderr, '', result.stdout);
    return result;
  };

  test('all is well: real answers are read, one request each, exit 0', async () => {
    const counts = async () => Object.values((await upstream.control()).requests).reduce((a, b) => a + b, 0);
    const asked = await counts();
    const { code, stdout } = await check({ TAAPI_SECRET: 'hunter2secret' });
    const found = lines(stdout);
    assert.equal(code, 0, stdout);
    for (const name of PROVIDERS) {
      assert.equal(found[name].mark, 'ok', stdout);
      assert.match(found[name].detail, /[a-z0-9_]+ \d.*, simulated \(\d+ ms\)$/);
    }
    assert.match(found.coingecko.detail, /market_cap \d\S*e\+12, volume_24h \d\S*e\+1\d/);
    assert.match(found.taapi.detail, /rsi_14 \d+/);
    assert.equal(found.redis.mark, 'skip');
    assert.equal(found.tls.mark, 'skip');
    assert.doesNotMatch(stdout, /hunter2secret/);
    assert.equal(await counts() - asked, PROVIDERS.length);
  });

  test('what is not default is shown with where it comes from, and fits 80 columns', async () => {
    await writeFile(join(dir, '.env'), 'COINCAST_DRAIN_MS=1234\n');
    try {
      const { stdout } = await check({ COINCAST_SHARDS: '2' }, ['--io', 'epoll']);
      assert.match(stdout, /^COINCAST_DRAIN_MS +\.env +1234$/m);
      assert.match(stdout, /^COINCAST_SHARDS +environment +2$/m);
      assert.match(stdout, /^COINCAST_IO +flag +epoll$/m);
      assert.doesNotMatch(stdout, /COINCAST_LISTEN/);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
    } finally {
      await rm(join(dir, '.env'));
    }
  });

  for (const [fault, hint] of [['429', /429|limit/i], ['5xx', /503/], ['garbage', /not JSON/],
    ['half', /cut off/], ['cut', /Binance: ./]]) {
    test(`a provider's ${fault} fails with its reason, the others are well`, async () => {
      await upstream.control({ target: 'binance', fault });
      const { code, stdout } = await check();
      const found = lines(stdout);
      assert.equal(code, 1, stdout);
      assert.equal(found.binance.mark, 'FAIL', stdout);
      assert.match(found.binance.detail, hint);
      for (const name of ['coingecko', 'alternative.me', 'coinbase', 'kraken']) {
        assert.equal(found[name].mark, 'ok', stdout);
      }
    });
  }

  test('a provider that is silent fails within its time-out, the others are told', async () => {
    await upstream.control({ target: 'kraken', fault: 'silence' });
    const began = Date.now();
    const { code, stdout } = await check();
    const found = lines(stdout);
    assert.equal(code, 1);
    assert.equal(found.kraken.mark, 'FAIL');
    assert.match(found.kraken.detail, /10|time/i);
    assert.equal(found.binance.mark, 'ok');
    assert.ok(Date.now() - began < 30_000, 'it was given up after its 10 s');
  });

  test('without network every provider fails, none hangs', async () => {
    const port = await freePort();
    const dead = Object.fromEntries(Object.keys(upstream.env).map((n) => [n, `http://127.0.0.1:${port}`]));
    const { code, stdout } = await check(dead);
    const found = lines(stdout);
    assert.equal(code, 1);
    assert.equal(found.binance.mark, 'FAIL');
    assert.match(found.binance.detail, /refused|connect/i);
  });

  test('TLS files: a pair that fits, a missing one, halves, a wrong pair', async () => {
    const make = (name) => execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
      'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=localhost',
      '-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.crt`)], { stdio: 'ignore' });
    make('a');
    make('b');
    const tls = async (cert, key) => {
      const { code, stdout } = await check({ COINCAST_SOURCE: 'none',
        ...(cert ? { COINCAST_TLS_CERT: join(dir, cert) } : {}),
        ...(key ? { COINCAST_TLS_KEY: join(dir, key) } : {}) });
      return { code, ...lines(stdout).tls };
    };
    assert.deepEqual((({ code, mark }) => [code, mark])(await tls('a.crt', 'a.key')), [0, 'ok']);
    assert.match((await tls('a.crt', 'a.key')).detail, /ends on 20\d\d-\d\d-\d\d, in 1 day: renew/);
    const absent = await tls('no.crt', 'a.key');
    assert.deepEqual([absent.code, absent.mark], [1, 'FAIL']);
    assert.match(absent.detail, /no\.crt.*No such file/);
    assert.equal((await tls('a.crt', null)).mark, 'FAIL');
    assert.equal((await tls('a.crt', 'b.key')).mark, 'FAIL');
  });

  test('the data folder: absent, empty, in use by a server, not writable', async () => {
    const data = async (path, more = {}) => {
      const { code, stdout } = await check({ COINCAST_DATA_DIR: path, ...more });
      return { code, stdout, ...lines(stdout).database };
    };
    const absent = await data(join(dir, 'absent'));
    assert.equal(absent.mark, 'ok');
    await assert.rejects(mkdir(join(dir, 'absent')).then(() => rm(join(dir, 'absent'), { recursive: true }))
      .then(() => { throw new Error('it was not made'); }), /it was not made/);
    assert.equal((await data(join(dir, 'no', 'such', 'parent'))).mark, 'FAIL');
    const server = await startServer({ source: 'none' });
    try {
      const held = await data(join(server.dir, 'data'));
      assert.equal(held.mark, 'ok', held.stdout);
      assert.match(held.detail, new RegExp(`\\b${server.pid}\\b`));
      assert.match(held.stdout, /^skip coingecko .*running server/m);
      assert.equal((await fetch(`${server.origin}/healthz`)).status, 200);
      await fetch(`${server.origin}/api/health`).then((r) => r.json())
        .then((h) => assert.equal(h.components.find((c) => c.name === 'database').status, 'ok'));
    } finally {
      server.kill('SIGTERM');
      await server.exit();
    }
    const free = await data(join(server.dir, 'data'));
    assert.match(free.detail, /opens and reads/);
    assert.equal(free.code, 0);
    await writeFile(join(server.dir, 'data', 'coincast.db'), 'not a database at all, but long enough to be read');
    assert.equal((await data(join(server.dir, 'data'))).mark, 'FAIL');
    await rm(server.dir, { recursive: true, force: true });
  });

  test('the requests of a check are counted where the server counts its own', async () => {
    const server = await startServer({ source: 'none' });
    const path = join(server.dir, 'data');
    server.kill('SIGTERM');
    await server.exit();
    const env = { COINCAST_DATA_DIR: path, COINCAST_ALTERNATIVE_PER_MINUTE: '2' };
    for (const mark of ['ok', 'ok', 'skip']) {
      const { stdout } = await check(env);
      assert.equal(lines(stdout)['alternative.me'].mark, mark, stdout);
    }
    await rm(server.dir, { recursive: true, force: true });
  });

  test('Redis: answering, refusing, nonsense', { skip: redisMissing }, async () => {
    const redis = await startRedis();
    const of = async (url) => {
      const { stdout, code } = await check({ COINCAST_SOURCE: 'none', REDIS_URL: url });
      return { code, ...lines(stdout).redis };
    };
    const well = await of(redis.url);
    assert.deepEqual([well.code, well.mark], [0, 'ok']);
    await redis.stop();
    const gone = await of(redis.url);
    assert.deepEqual([gone.code, gone.mark], [1, 'FAIL']);
    assert.match(gone.detail, /refused/);
    const fake = net.createServer((s) => s.on('error', () => {}).on('data', () => s.write('HTTP/1.1 400 What?\r\n\r\n')));
    await new Promise((done) => fake.listen(0, '127.0.0.1', done));
    const odd = await of(`redis://:hunter2secret@127.0.0.1:${fake.address().port}/0`);
    assert.equal(odd.mark, 'FAIL');
    assert.doesNotMatch(odd.detail, /hunter2secret/);
    await new Promise((done) => fake.close(done));
  });

  test('demo and none ask no provider', async () => {
    for (const source of ['demo', 'none']) {
      const { code, stdout } = await check({ COINCAST_SOURCE: source });
      assert.equal(code, 0);
      for (const name of PROVIDERS) assert.equal(lines(stdout)[name].mark, 'skip');
    }
  });

  test('--settings prints every setting with origin, secrets as ***', async () => {
    const { code, stdout } = await check({ COINCAST_API_TOKEN: 'hunter2secret' }, ['--settings']);
    assert.equal(code, 0);
    assert.match(stdout, /^COINCAST_LISTEN +default +127\.0\.0\.1:8000$/m);
    assert.match(stdout, /^COINCAST_API_TOKEN +environment +\*\*\*$/m);
    assert.match(stdout, /^REDIS_URL +default +\(unset\)$/m);
    assert.doesNotMatch(stdout, /hunter2secret/);
    assert.ok(stdout.trim().split('\n').length > 40);
    const table = await check({}, ['--settings', '--markdown']);
    assert.match(table.stdout, /^\| `COINCAST_LISTEN` \| `--listen` \|/m);
    const env = await check({}, ['--settings', '--env']);
    assert.match(env.stdout, /^#COINCAST_LISTEN=127\.0\.0\.1:8000$/m);
  });

  test('wrong usage ends with 2 and one line', async () => {
    for (const args of [['--markdown'], ['--settings', '--markdown', '--env'], ['word'], ['--nonsense', '1'],
      ['--shards', 'many']]) {
      const { code, stdout, stderr } = await run(['check', ...args]);
      assert.equal(code, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    }
    const { code } = await run(['check'], { env: { COINCAST_SOURCE: 'tomorrow' } });
    assert.equal(code, 2);
  });

  test('variables of others do not stop the server, its own misspelt ones do', async () => {
    const others = { COINCAST_BIN: '/x', COINCAST_FIXTURES: '/nonexistent', DATABASE_URL: 'postgres://x',
      ...upstream.feeds, COINCAST_SYMBOLS: 'BTC,ETH' };
    const server = await startServer({ source: 'none', env: others });
    await server.stop();
    assert.match(server.log, /DATABASE_URL/);
    const { stdout } = await check({ ...others, COINCAST_SOURCE: 'none' });
    assert.match(stdout, /^DATABASE_URL +is set, but/m);
    const help = await run(['upstream', '--help'], { env: { COINCAST_SHARDS: 'many', COINCAST_X: '1' } });
    assert.equal(help.code, 0);
    const load = await run(['load', '--clients', '0'], { env: { COINCAST_LISTEN: 'x', COINCAST_SHARDS: '1' } });
    assert.equal(load.code, 2);
    assert.match(load.stderr, /clients/, 'it is its own flag that is wrong');
  });
});
