/* The way to the exchanges and providers: TLS that is verified, and proxies. What is not right is
 * said, and nothing falls back to plain. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { makeAuthority } from './lib/certs.mjs';
import { startFeedProxy } from './lib/feed-proxy.mjs';
import { startForwardProxy } from './lib/forward-proxy.mjs';
import { json } from './lib/http.mjs';
import { startMarket } from './lib/market.mjs';
import { run, settingsFor, sleep, startServer, startUpstream, until } from './lib/server.mjs';

const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const PROVIDERS = ['coingecko', 'alternative.me', 'binance', 'coinbase', 'kraken'];
const NOBODY = { COINCAST_COINBASE_WS_URL: 'ws://127.0.0.1:9', COINCAST_KRAKEN_WS_URL: 'ws://127.0.0.1:9/v2' };

const component = async (server, name) => (await json(server, '/api/health')).body.components
  .find((c) => c.name === name);

/* Runs `body(server)` on a server of its own; its log is part of what a failure says. */
async function withServer(upstream, options, body) {
  let server;
  try {
    server = await startMarket(upstream, { symbols: ['BTC'], ...options });
    await body(server);
    await server.stop();
  } catch (error) {
    server?.kill('SIGKILL');
    error.message += `\n${server?.log}`;
    throw error;
  }
}

/* When the server gave up an attempt at Binance, by its own clock: the next one waits from then on. */
const attempts = (server) => server.log.split('\n').filter((l) => l.includes('no connection venue=binance'))
  .map((l) => Date.parse(l.slice(0, 24)));

/* What a connection over loopback takes from a writer while nobody reads. */
async function socketsHold() {
  let reader;
  const server = net.createServer((socket) => { reader = socket.pause().on('error', () => {}); });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const writer = net.connect(server.address().port, '127.0.0.1');
  const piece = Buffer.alloc(1530);
  const taken = () => new Promise((done) => writer.write(piece, done));
  let held = 0;
  for (let full = false; !full; held += full ? 0 : piece.length) {
    full = await Promise.race([taken().then(() => false), sleep(500).then(() => true)]);
  }
  writer.destroy();
  reader.destroy();
  await new Promise((done) => server.close(done));
  return held;
}

/* Before a port: what each connection said first. */
async function startTap(port) {
  const tap = { first: [] };
  const open = new Set();
  const server = net.createServer((client) => {
    client.once('data', (bytes) => tap.first.push(bytes[0]));
    const onward = net.connect(port, '127.0.0.1');
    for (const [a, b] of [[client, onward], [onward, client]]) {
      open.add(a);
      a.on('error', () => b.destroy());
      a.on('close', () => {
        open.delete(a);
        b.destroy();
      });
    }
    client.pipe(onward).pipe(client);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  tap.port = server.address().port;
  tap.stop = async () => {
    open.forEach((socket) => socket.destroy());
    await new Promise((done) => server.close(done));
  };
  return tap;
}

describe('TLS to exchanges and providers', () => {
  let authority;
  let good; /* a stand-in with a certificate of the authority */
  before(async () => {
    authority = makeAuthority();
    good = await startUpstream({ args: ['--seed', '7', '--rate', '3'], tls: authority.issue('IP:127.0.0.1') });
  });
  after(async () => {
    await good?.stop();
    await authority?.remove();
  });

  test('with the authority in COINCAST_CA_FILE prices and all numbers come over wss and https', async () => {
    await withServer(good, { symbols: ['BTC', 'ETH'], env: { COINCAST_CA_FILE: authority.ca } }, async (server) => {
      for (const name of ['binance', 'coinbase', 'kraken']) {
        const feed = await until(async () => {
          const now = await server.feed(name);
          return now?.status === 'ok' && now;
        }, `${name} is well`, WAIT_MS);
        assert.match(feed.url, /^wss:/);
        assert.ok(feed.ticks > 0);
      }
      await until(async () => (await component(server, 'coingecko')).ok > 0
        && (await component(server, 'alternative.me')).ok > 0, 'REST over https', WAIT_MS);
      await until(async () => (await json(server, '/api/v1/assets/BTC/candles?interval=1h&limit=50')).body
        .candles?.length === 50, 'history over https', WAIT_MS);
      assert.equal(server.log.includes('certificate is'), false, server.log);
    });
  });

  const wrong = [
    { what: 'an authority that nobody knows', names: 'IP:127.0.0.1', unknown: true,
      why: /the certificate is not trusted/ },
    { what: 'a certificate for another name', names: 'DNS:exchange.test', why: /the certificate is for another host name/ },
    { what: 'a certificate that has expired', names: 'IP:127.0.0.1', days: -1, why: /the certificate has expired/ },
  ];
  for (const { what, names, unknown, days, why } of wrong) {
    test(`${what}: down, with the reason, tried again later and later, never plain`, async () => {
      const issuer = unknown ? makeAuthority('Somebody else') : authority;
      const bad = await startUpstream({ tls: issuer.issue(names, { days }) });
      const tap = await startTap(bad.port);
      const at = settingsFor(`127.0.0.1:${tap.port}`, true);
      try {
        await withServer(at, { feeds: 0, env: { ...NOBODY, COINCAST_CA_FILE: authority.ca,
          COINCAST_BINANCE_URL: bad.origin, COINCAST_COINBASE_URL: bad.origin, COINCAST_KRAKEN_URL: bad.origin,
          COINCAST_COINGECKO_URL: `${bad.origin}/api/v3`, COINCAST_ALTERNATIVE_URL: bad.origin } }, async (server) => {
          await until(() => attempts(server).length >= 3, 'three attempts', WAIT_MS);
          const feed = await until(async () => {
            const now = await server.feed('binance');
            return now?.status === 'down' && now.next_try && now;
          }, 'the feed is down', WAIT_MS);
          assert.match(feed.reason, why);
          assert.equal(feed.frames, 0);
          for (const name of PROVIDERS) {
            const provider = await until(async () => {
              const now = await component(server, name);
              return now?.failed > 0 && now;
            }, `${name} was asked`, WAIT_MS);
            assert.match(provider.reason, why, name);
            assert.equal(provider.ok, 0);
          }
          const [first, second, third] = attempts(server);
          assert.ok(second - first >= 700, `${second - first} ms`);
          assert.ok(third - second >= 1600, `${third - second} ms`);
          /* A TLS record of a handshake begins with 22; a request in plain would with G. */
          assert.deepEqual(new Set(tap.first), new Set([22]));
          assert.equal(await bad.sent(''), 0);
        });
      } finally {
        await tap.stop();
        await bad.stop();
        if (unknown) await issuer.remove();
      }
    });
  }

  test('no TLS where wss is expected: down, and no request in plain', async () => {
    const plain = await startUpstream();
    const tap = await startTap(plain.port);
    try {
      await withServer(settingsFor(`127.0.0.1:${tap.port}`, true), { feeds: 0,
        env: { ...plain.env, ...NOBODY } }, async (server) => {
        const feed = await until(async () => {
          const now = await server.feed('binance');
          return now?.status === 'down' && now.next_try && now;
        }, 'the feed is down', WAIT_MS);
        assert.match(feed.reason, /the secure connection failed/);
        assert.deepEqual(new Set(tap.first), new Set([22]));
        assert.equal(await plain.sent('binance/ws'), 0);
      });
    } finally {
      await tap.stop();
      await plain.stop();
    }
  });

  test('a file of certificates that is none is refused at the start and by check', async () => {
    for (const command of ['serve', 'check']) {
      const { code, stdout, stderr } = await run([command], { env: { ...good.env, COINCAST_CA_FILE: '/nowhere.pem' },
        timeout: 60_000 });
      assert.equal(code, 1, stdout + stderr);
      assert.match(stdout + stderr, /COINCAST_CA_FILE: cannot use the certificates of \/nowhere\.pem/);
    }
  });

  test('check: what is trusted is said, and https providers answer', async () => {
    const right = await run(['check'], { env: { ...good.env, COINCAST_CA_FILE: authority.ca }, timeout: 60_000 });
    assert.match(right.stdout, /^ok {3}outgoing {7}certificates of \S+ca\.pem, no proxy$/m);
    assert.match(right.stdout, /^ok {3}kraken /m);
    assert.equal(right.code, 0, right.stdout);
    const without = await run(['check'], { env: good.env, timeout: 60_000 });
    assert.match(without.stdout, /^ok {3}outgoing {7}the system's certificates, no proxy$/m);
    assert.match(without.stdout, /^FAIL kraken .*the certificate is not trusted/m);
    assert.equal(without.code, 1);
  });

  describe('bytes that TLS holds', () => {
    let plain;
    let between;
    before(async () => {
      plain = await startUpstream({ args: ['--seed', '7', '--rate', '300'] });
      between = await startFeedProxy(plain, authority.issue('IP:127.0.0.1'));
    });
    after(async () => {
      await between?.stop();
      await plain?.stop();
    });
    /* A server whose only feed comes through `between`; body(server, frames): as many of the
     * exchange's frames, kept back, and after them nothing comes by itself. */
    const withQuiet = (count, body) => {
      between.change = (text) => text;
      return withServer(plain, { feeds: 1, env: { ...NOBODY, COINCAST_CA_FILE: authority.ca,
        COINCAST_BINANCE_WS_URL: between.ws } }, async (server) => {
        const frames = [];
        between.change = (text) => {
          if (frames.length < count && text.includes('@trade')) frames.push(text);
          return null;
        };
        await until(() => frames.length === count, 'frames', WAIT_MS);
        const [client] = between.open;
        const seen = async (n) => (await server.feed('binance')).frames >= n;
        let before = -1; /* until what was sent before is counted */
        await until(async () => {
          const now = (await server.feed('binance')).frames;
          const same = now === before;
          before = now;
          return same;
        }, 'quiet', WAIT_MS);
        await body({ server, frames, client, before, seen });
        const feed = await server.feed('binance');
        assert.deepEqual([feed.reconnects, feed.rejected, feed.status], [0, 0, 'ok'], JSON.stringify(feed));
      });
    };
    const atOnce = (client, frames) => {
      client._socket.cork();
      for (const text of frames) client.send(text);
      client._socket.uncork();
    };

    test('many frames in one record, then nothing: all are taken', async () => {
      await withQuiet(60, async ({ frames, client, before, seen }) => {
        assert.ok(frames.join('').length < 16_000, 'one record');
        atOnce(client, frames);
        await until(() => seen(before + 60), 'all frames', WAIT_MS);
      });
    });

    test('a burst of more than is read in one turn, then nothing: all are taken', async () => {
      await withQuiet(500, async ({ frames, client, before, seen }) => {
        const many = Array.from({ length: 20 }, () => frames).flat();
        assert.ok(many.join('').length > 1 << 20, `${many.join('').length}`);
        atOnce(client, many);
        await until(() => seen(before + many.length), 'all frames', WAIT_MS);
      });
    });

    test('a frame of 3 MB, over many records and reads', async () => {
      await withQuiet(1, async ({ frames: [text], client, before, seen }) => {
        client.send(text.replace(/\}$/, `${' '.repeat(3 << 20)}}`));
        await until(() => seen(before + 1), 'the frame', WAIT_MS);
      });
    });

    test('a peer that reads nothing for a while: what waits to be sent stays whole', async () => {
      await withQuiet(1, async ({ frames, client, before, seen }) => {
        /* Pongs of 131 bytes, 153 as records: more than sockets hold, less than may wait as well. */
        const held = await socketsHold();
        const count = Math.ceil((held + 500_000) / 153);
        const pongs = [];
        client.on('pong', (payload) => pongs.push(payload.readUInt32BE()));
        client.pause();
        for (let i = 0; i < count; i++) {
          const payload = Buffer.alloc(125);
          payload.writeUInt32BE(i);
          client.ping(payload);
        }
        client.send(frames[0]);
        await until(() => seen(before + 1), 'all pings were taken', WAIT_MS);
        client.resume();
        await until(() => pongs.length === count, 'all pongs', WAIT_MS);
        assert.deepEqual(pongs, Array.from({ length: count }, (_, i) => i));
      });
    });
  });
});

describe('proxies to exchanges and providers', () => {
  const HOST = 'exchange.test'; /* no machine knows it but the proxy */
  let authority;
  let secure;
  let plain;
  let proxy;
  before(async () => {
    authority = makeAuthority();
    const args = ['--seed', '7', '--rate', '3'];
    secure = await startUpstream({ args, tls: authority.issue(`DNS:${HOST}`), host: HOST });
    plain = await startUpstream({ args, host: HOST });
  });
  after(async () => {
    await secure?.stop();
    await plain?.stop();
    await authority?.remove();
  });
  beforeEach(async () => { proxy = await startForwardProxy(); });
  afterEach(() => proxy.stop());

  const kinds = () => new Set(proxy.asked.map((a) => a.kind));
  const allWell = async (server) => {
    for (const name of ['binance', 'coinbase', 'kraken']) {
      await until(async () => (await server.feed(name))?.status === 'ok', `${name} is well`, WAIT_MS);
    }
    await until(async () => (await component(server, 'coingecko')).ok > 0
      && (await component(server, 'alternative.me')).ok > 0, 'REST by way of the proxy', WAIT_MS);
    await until(async () => (await json(server, '/api/v1/assets/BTC/candles?interval=1h&limit=50')).body
      .candles?.length === 50, 'history by way of the proxy', WAIT_MS);
  };
  const ways = [
    { what: 'HTTPS_PROXY', env: () => ({ HTTPS_PROXY: `http://${proxy.authority}` }), kind: ['CONNECT'], tls: true },
    { what: 'https_proxy with a password', password: 's3cr3t-word',
      env: () => ({ https_proxy: `http://user:s3cr3t-word@${proxy.authority}` }), kind: ['CONNECT'], tls: true },
    { what: 'http_proxy, for ws:// and http://', env: () => ({ http_proxy: `http://${proxy.authority}` }),
      kind: ['CONNECT', 'GET'] },
    { what: 'ALL_PROXY=socks5h', env: () => ({ ALL_PROXY: `socks5h://${proxy.authority}` }), kind: ['SOCKS5'], tls: true },
    { what: 'COINCAST_PROXY=socks5h with a password', password: 's3cr3t-word',
      env: () => ({ COINCAST_PROXY: `socks5h://user:s3cr3t-word@${proxy.authority}` }), kind: ['SOCKS5'], tls: true },
    { what: 'COINCAST_PROXY before the environment', kind: ['CONNECT'], tls: true,
      env: () => ({ COINCAST_PROXY: `http://${proxy.authority}`, HTTPS_PROXY: 'http://127.0.0.1:9' }) },
  ];
  for (const { what, env, kind, tls, password } of ways) {
    test(`${what}: feeds and REST go through it, names are its business`, async () => {
      const upstream = tls ? secure : plain;
      proxy.password = password ?? '';
      await withServer(upstream, { env: { ...env(), COINCAST_CA_FILE: authority.ca } }, async (server) => {
        await allWell(server);
        assert.deepEqual(kinds(), new Set(kind));
        for (const { authority: asked } of proxy.asked) assert.equal(asked, `${HOST}:${upstream.port}`);
        if (tls) assert.deepEqual(new Set(proxy.first), new Set([22]));
        const health = JSON.stringify((await json(server, '/api/health')).body);
        for (const text of [health, server.log]) assert.equal(/s3cr3t|user:/.test(text), false, text);
        assert.match(server.log, /connections to providers by=".*, proxy \S+ of \w+( for http:\/\/ and ws:\/\/ only)?"/);
      });
      const { code, stdout, stderr } = await run(['check'], { timeout: 60_000,
        env: { ...upstream.env, ...env(), COINCAST_CA_FILE: authority.ca } });
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, tls ? /^ok {3}outgoing .*, proxy (http|socks5h):\/\/(\*\*\*@)?127\.0\.0\.1:\d+ of \w+$/m
        : /^ok {3}outgoing .*, proxy http:\/\/127\.0\.0\.1:\d+ of http_proxy for http:\/\/ and ws:\/\/ only$/m);
      assert.equal(/s3cr3t|user:/.test(stdout + stderr), false, stdout);
    });
  }

  test('a proxy that is spoken to over TLS; its certificate counts too', async () => {
    const safe = await startForwardProxy(authority.issue('IP:127.0.0.1'));
    const wrong = await startForwardProxy(authority.issue('DNS:proxy.test'));
    const other = makeAuthority('Somebody else');
    const unknown = await startForwardProxy(other.issue('IP:127.0.0.1'));
    const env = (it) => ({ COINCAST_PROXY: `https://${it.authority}`, COINCAST_CA_FILE: authority.ca });
    try {
      await withServer(secure, { env: env(safe) }, async (server) => {
        await allWell(server);
        assert.deepEqual(new Set(safe.asked.map((a) => a.kind)), new Set(['CONNECT']));
      });
      for (const [bad, why] of [[wrong, /the certificate of the proxy is for another host name/],
        [unknown, /the certificate of the proxy is not trusted/]]) {
        await withServer(secure, { feeds: 0, env: { ...NOBODY, ...env(bad) } }, async (server) => {
          const feed = await until(async () => {
            const now = await server.feed('binance');
            return now?.status === 'down' && now.next_try && now;
          }, 'the feed is down', WAIT_MS);
          assert.match(feed.reason, why);
          assert.deepEqual(bad.asked, []);
        });
      }
    } finally {
      for (const it of [safe, wrong, unknown]) await it.stop();
      await other.remove();
    }
  });

  test('NO_PROXY and loopback go without', async () => {
    const local = await startUpstream();
    try {
      await withServer(local, { env: { HTTPS_PROXY: 'http://127.0.0.1:9', http_proxy: 'http://127.0.0.1:9' } },
        (server) => allWell(server));
    } finally {
      await local.stop();
    }
    await withServer(secure, { feeds: 0, env: { HTTPS_PROXY: `http://${proxy.authority}`, NO_PROXY: 'test' } },
      async (server) => {
        const feed = await until(async () => {
          const now = await server.feed('kraken');
          return now?.status === 'down' && now.next_try && now;
        }, 'the feed is down', WAIT_MS);
        assert.match(feed.reason, /the host name is not known|no connection within/); /* a resolver may hang */
        assert.deepEqual(proxy.asked, []);
      });
  });

  test('demo talks to its own stand-in whatever proxy is set', async () => {
    const server = await startServer({ source: 'demo', env: { COINCAST_SYMBOLS: 'BTC',
      COINCAST_PROXY: `http://${proxy.authority}`, http_proxy: `http://${proxy.authority}` } });
    await until(async () => (await json(server, '/api/v1/prices')).body.data?.BTC?.feeds === 3, 'prices', WAIT_MS);
    assert.deepEqual(proxy.asked, []);
    await server.stop();
  });

  const refusals = [
    { what: 'a proxy that wants a password', set: { password: 'other' }, scheme: 'http',
      why: /the proxy refused: 407 Proxy Authentication Required/ },
    { what: 'a peer behind the proxy that nobody knows', ca: false, scheme: 'http', why: /the certificate is not trusted/ },
    { what: 'a proxy that cannot get there', set: { status: 502 }, scheme: 'http', why: /the proxy refused: 502 Bad Gateway/ },
    { what: 'a SOCKS proxy that wants a password', set: { password: 'other' }, scheme: 'socks5h',
      why: /the proxy refused: it wants another user or password/ },
    { what: 'a SOCKS proxy that does not allow it', set: { status: 2 }, scheme: 'socks5h',
      why: /the proxy refused: it does not allow that host/ },
    { what: 'a SOCKS proxy that cannot get there', set: { status: 4 }, scheme: 'socks5h', why: /the proxy cannot reach the host/ },
  ];
  for (const { what, set, scheme, why, ca = true } of refusals) {
    test(`${what}: down, with the reason, and tried again later and later`, async () => {
      Object.assign(proxy, set);
      await withServer(secure, { feeds: 0, env: { ...NOBODY, ...(ca && { COINCAST_CA_FILE: authority.ca }),
        COINCAST_PROXY: `${scheme}://user:s3cr3t-word@${proxy.authority}` } }, async (server) => {
        const feed = await until(async () => {
          const now = await server.feed('binance');
          return now?.status === 'down' && now.next_try && now;
        }, 'the feed is down', WAIT_MS);
        assert.match(feed.reason, why);
        for (const name of PROVIDERS) {
          const provider = await until(async () => {
            const now = await component(server, name);
            return now?.failed > 0 && now;
          }, `${name} was asked`, WAIT_MS);
          assert.match(provider.reason, why, name);
        }
        await until(() => attempts(server).length >= 3, 'three attempts', WAIT_MS);
        const [first, second, third] = attempts(server);
        assert.ok(second - first >= 700, `${second - first} ms`);
        assert.ok(third - second >= 1600, `${third - second} ms`);
        const health = JSON.stringify((await json(server, '/api/health')).body);
        for (const text of [health, server.log]) assert.equal(text.includes('s3cr3t'), false, text);
      });
    });
  }

  test('nobody at the address of the proxy, and a name that is none', async () => {
    for (const [url, why] of [['http://127.0.0.1:9', /the proxy cannot be connected to/],
      ['socks5h://127.0.0.1:9', /the proxy cannot be connected to/],
      ['http://proxy.invalid:3128', /the host name of the proxy is not known|by way of the proxy within 10 s/]]) {
      await withServer(secure, { feeds: 0, env: { ...NOBODY, COINCAST_PROXY: url } }, async (server) => {
        const feed = await until(async () => {
          const now = await server.feed('binance');
          return now?.status === 'down' && now.next_try && now;
        }, 'the feed is down', WAIT_MS);
        assert.match(feed.reason, why);
        const provider = await until(async () => {
          const now = await component(server, 'coingecko');
          return now?.failed > 0 && now;
        }, 'a provider was asked', WAIT_MS);
        assert.match(provider.reason, why);
      });
    }
  });

  for (const scheme of ['http', 'socks5h']) {
    test(`a proxy that hangs (${scheme}): given up after 10 s, with the reason, and tried again`, async () => {
      proxy.hang = true;
      await withServer(secure, { feeds: 0, env: { ...NOBODY, COINCAST_CA_FILE: authority.ca,
        COINCAST_PROXY: `${scheme}://${proxy.authority}` } }, async (server) => {
        const feed = await until(async () => {
          const now = await server.feed('binance');
          return now?.next_try && now;
        }, 'the feed is down', WAIT_MS);
        assert.match(feed.reason, /^no (WebSocket|connection) by way of the proxy within 10 s$/);
        const provider = await until(async () => {
          const now = await component(server, 'coingecko');
          return now?.failed > 0 && now;
        }, 'a provider was asked', WAIT_MS);
        assert.match(provider.reason, /no complete answer by way of the proxy within 10 s/);
        proxy.hang = false;
        await until(async () => (await server.feed('binance')).status === 'ok', 'it is well again', WAIT_MS);
      });
    });
  }
});
