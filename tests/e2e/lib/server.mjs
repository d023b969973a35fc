/* The real binary as a child: started on a free port of loopback with a data folder of its own, its
 * log collected, ended by SIGTERM. A server that does not end well fails the test that started it.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import https from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = resolve(fileURLToPath(import.meta.url), '../../../..');
export const BIN = resolve(process.env.COINCAST_BIN ?? join(ROOT, 'build/release/coincast'));
export const TOKEN = 'e2e-token-0123456789';
const START_MS = 40_000; /* the machine may be slow, and shared: only who fails waits so long */
const STOP_MS = 20_000;

/* What a failed test left running must not keep its file from ending. */
const running = new Set();
if (process.env.NODE_TEST_CONTEXT) {
  after(() => {
    setTimeout(() => {
      for (const p of running) p.kill('SIGKILL');
      console.error(`a test left something open:\n${[...running].map((p) => p.log).join('\n')}`);
      process.exit(1);
    }, STOP_MS).unref();
  });
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/* A port that nobody listens on now. Each process of the tests has its own to begin with, below
 * those that the kernel gives to whoever asks for any: between this look and the server's start
 * somebody else would get it now and then. */
const PORTS = { first: 10_000, count: 22_000 };
let lastPort = (process.pid * 131) % PORTS.count;
export async function freePort() {
  for (;;) {
    lastPort = (lastPort + 1) % PORTS.count;
    const port = PORTS.first + lastPort;
    const probe = createServer();
    const free = await new Promise((done) => probe.once('error', () => done(false)).listen(port, '127.0.0.1', () => done(true)));
    if (!free) continue;
    await new Promise((done) => probe.close(done));
    return port;
  }
}

/* Waits until `check()` gives something true; the error shows what it gave last. */
export async function until(check, what, ms = 30_000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    last = await check();
    if (last) return last;
    if (Date.now() >= end) throw new Error(`${what}: not within ${ms} ms`);
    await sleep(25);
  }
}

export class Process {
  constructor(args, { env = {}, cwd } = {}) {
    this.args = args;
    this.stdout = '';
    this.stderr = '';
    /* Nothing of the caller's own settings may leak in. */
    const clean = { PATH: process.env.PATH, HOME: cwd ?? process.env.HOME, ...env };
    for (const name of ['ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS', 'TSAN_OPTIONS']) {
      if (process.env[name]) clean[name] = process.env[name];
    }
    this.child = spawn(BIN, args, { env: clean, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.ended = null; /* {code, signal} */
    running.add(this);
    this.exited = new Promise((done, fail) => {
      this.child.once('error', fail);
      this.child.once('close', (code, signal) => {
        running.delete(this);
        this.ended = { code, signal };
        done(this.ended);
      });
    });
    this.exited.catch(() => {});
  }

  get pid() {
    return this.child.pid;
  }

  get log() {
    return `$ coincast ${this.args.join(' ')}\n${this.stdout}${this.stderr}`;
  }

  kill(signal) {
    if (!this.ended) this.child.kill(signal);
  }

  /* The exit, or a failure with the log after `ms`. */
  async exit(ms = STOP_MS) {
    let timer;
    const late = new Promise((_, fail) => {
      timer = setTimeout(() => fail(new Error(`still running after ${ms} ms\n${this.log}`)), ms);
    });
    try {
      return await Promise.race([this.exited, late]);
    } catch (error) {
      this.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /* SIGTERM, and the exit status that goes with it. */
  async stop() {
    if (this.ended) {
      assert.fail(`ended by itself: ${JSON.stringify(this.ended)}\n${this.log}`);
    }
    this.kill('SIGTERM');
    const how = await this.exit();
    assert.deepEqual(how, { code: 0, signal: null }, this.log);
  }
}

/* Runs to the end: for wrong usage, `version` and the like. */
export async function run(args, options = {}) {
  const dir = options.cwd ?? (await mkdtemp(join(tmpdir(), 'coincast-run-')));
  try {
    const p = new Process(args, { ...options, cwd: dir });
    const { code, signal } = await p.exit(options.timeout ?? STOP_MS);
    return { code, signal, stdout: p.stdout, stderr: p.stderr };
  } finally {
    if (!options.cwd) await rm(dir, { recursive: true, force: true });
  }
}

async function untilHealthy(p, url) {
  await until(async () => {
    if (p.ended) throw new Error(`ended at start: ${JSON.stringify(p.ended)}\n${p.log}`);
    if (!url.startsWith('https:')) return fetch(`${url}/healthz`).then((r) => r.ok, () => false);
    return new Promise((done) => { /* its certificate is one of this test's */
      https.get(`${url}/healthz`, { rejectUnauthorized: false, agent: false }, (r) => {
        r.resume();
        done(r.statusCode === 200);
      }).on('error', () => done(false));
    });
  }, `${url}/healthz answers 200`, START_MS).catch((error) => {
    p.kill('SIGKILL');
    error.message += `\n${p.log}`;
    throw error;
  });
}

/* `coincast serve`. Options: io, source ('none'), env, args, dir (kept when given), port, tls (with
 * the certificate in `env`). */
export async function startServer({ io, source = 'none', env = {}, args = [], dir, port, tls = false } = {}) {
  const own = dir ?? (await mkdtemp(join(tmpdir(), 'coincast-e2e-')));
  const taken = port ?? (await freePort());
  const p = new Process(['serve', '--source', source, ...args], {
    cwd: own,
    env: {
      COINCAST_LISTEN: `127.0.0.1:${taken}`,
      COINCAST_DATA_DIR: join(own, 'data'),
      COINCAST_API_TOKEN: TOKEN,
      ...(io ? { COINCAST_IO: io } : {}),
      ...env,
    },
  });
  p.port = taken;
  p.dir = own;
  p.tls = tls;
  p.origin = `${tls ? 'https' : 'http'}://127.0.0.1:${taken}`;
  p.ws = `${tls ? 'wss' : 'ws'}://127.0.0.1:${taken}/ws`;
  const stop = p.stop.bind(p);
  p.stop = async () => {
    try {
      await stop();
    } finally {
      if (!dir) await rm(own, { recursive: true, force: true });
    }
  };
  await untilHealthy(p, p.origin);
  return p;
}

/* What the stand-in says over TLS, whoever issued its certificate: no test is about this way to it. */
const overTls = (url, { method = 'GET', headers = {}, body } = {}) => new Promise((done, fail) => {
  https.request(url, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
    const parts = [];
    answer.on('data', (part) => parts.push(part));
    answer.on('end', () => done(new Response(Buffer.concat(parts), { status: answer.statusCode })));
  }).on('error', fail).end(body);
});

/* `coincast upstream`, and the settings that make a server ask it for everything; `tls` {cert, key}
 * are files, and `host` how the server is to call it. */
export async function startUpstream({ args = ['--seed', '7'], port, tls, host = '127.0.0.1' } = {}) {
  const taken = port ?? (await freePort());
  const files = tls ? ['--tls-cert', tls.cert, '--tls-key', tls.key] : [];
  const p = new Process(['upstream', '--listen', `127.0.0.1:${taken}`, ...args, ...files], {});
  const ask = tls ? overTls : fetch;
  p.port = taken;
  p.origin = `http${tls ? 's' : ''}://127.0.0.1:${taken}`;
  Object.assign(p, settingsFor(`${host}:${taken}`, Boolean(tls)));
  p.control = async (fault) => {
    const answer = await ask(`${p.origin}/_control`, fault && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(fault),
    });
    assert.equal(answer.status, 200, await answer.clone().text());
    return answer.json();
  };
  /* Requests it has seen so far, of the targets that start so. */
  p.sent = async (prefix = '') => Object.entries((await p.control()).requests)
    .reduce((sum, [target, count]) => sum + (target.startsWith(prefix) ? count : 0), 0);
  await until(async () => {
    if (p.ended) throw new Error(`ended at start: ${JSON.stringify(p.ended)}\n${p.log}`);
    return ask(`${p.origin}/_control`).then((r) => r.ok, () => false);
  }, 'the upstream answers', START_MS);
  return p;
}

/* The settings that make a server ask `authority` for everything: providers, and feeds. */
export function settingsFor(authority, secure = false) {
  const origin = `http${secure ? 's' : ''}://${authority}`;
  const ws = `ws${secure ? 's' : ''}://${authority}`;
  return {
    env: {
      COINCAST_COINGECKO_URL: `${origin}/api/v3`,
      COINCAST_ALTERNATIVE_URL: origin,
      COINCAST_TAAPI_URL: origin,
      COINCAST_BINANCE_URL: origin,
      COINCAST_COINBASE_URL: origin,
      COINCAST_KRAKEN_URL: origin,
    },
    feeds: {
      COINCAST_BINANCE_WS_URL: ws,
      COINCAST_COINBASE_WS_URL: ws,
      COINCAST_KRAKEN_WS_URL: `${ws}/v2`,
    },
  };
}

/* The back ends that this kernel allows; a forbidden one is a skip with its reason. */
export async function backEnds() {
  if (!existsSync(BIN)) throw new Error(`no program at ${BIN}: build it or set COINCAST_BIN`);
  const found = [{ io: 'epoll', skip: false }];
  const dir = await mkdtemp(join(tmpdir(), 'coincast-probe-'));
  try {
    const p = await startServer({ io: 'uring', dir });
    await p.stop();
    found.push({ io: 'uring', skip: false });
  } catch (error) {
    const forbidden = /io_uring.*(not|forbid|unsupported)/i.test(error.message);
    if (!forbidden) throw error;
    found.push({ io: 'uring', skip: 'io_uring is not allowed here' });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return found;
}
