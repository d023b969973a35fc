/* The examples of README.md, each run as it is written there against the real server: scripts as a
 * module of Node in which a browser's classes are there, commands by the shell. Only the address and
 * the token of the examples are those of the server under test. SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { json } from './lib/http.mjs';
import { startServer, until } from './lib/server.mjs';

const README = new URL('../../README.md', import.meta.url);
const HERE = fileURLToPath(new URL('.', import.meta.url)); /* where modules are found */
const TOKEN = 'change-me';
const WAIT_MS = 60_000; /* the machine may be slow, and shared */
const PRICE = /^(BTC|ETH) [1-9][\d.]*$/m;

/* The blocks of a language, but for those that build or start the program. */
const blocks = (language) =>
  [...readFileSync(README, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
    .filter(([, found, text]) => found === language && !/^\.\//.test(text))
    .map(([, , text]) => text);

/* Runs a program until it ends or `enough` is seen in what it prints. */
async function printed(program, args, enough) {
  const child = spawn(program, args, { cwd: HERE, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      /* it has ended */
    }
  };
  const timer = setTimeout(end, WAIT_MS);
  let text = '';
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (piece) => (complaints += piece));
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text += piece;
    if (enough?.test(text)) end();
  });
  await new Promise((closed) => child.once('close', closed));
  clearTimeout(timer);
  assert.equal(complaints, '', `${args.at(-1)}\n${complaints}`);
  return text;
}

const script = (text) => printed(process.execPath,
  ['--import', './lib/browser.mjs', '--input-type=module', '--eval', text], PRICE);
const command = (text, enough) => printed('sh', ['-ec', text], enough);

describe('the examples of the README', () => {
  let server;
  const here = (text) => text.replaceAll('localhost:8000', `127.0.0.1:${server.port}`);
  before(async () => {
    server = await startServer({ source: 'demo', env: { COINCAST_API_TOKEN: TOKEN } });
    await until(async () => {
      const { data } = (await json(server, '/api/v1/prices?symbols=BTC,ETH')).body;
      return data?.BTC?.price && data?.ETH?.price;
    }, 'prices', WAIT_MS);
    await until(async () => (await json(server, '/api/v1/assets/BTC/candles?interval=1h&limit=24')).body
      .candles?.length === 24, 'the history of a day', WAIT_MS);
  });
  after(() => server?.stop());

  test('there is one for each way in', () => {
    const all = [...blocks('js'), ...blocks('sh')].join('\n');
    for (const way of ["from 'socket.io-client'", 'new WebSocket(', 'new EventSource(', '/api/v1/poll', '/api/v1/stream',
      '/api/v1/prices', '/candles', '/api/crypto/dashboard-summary', '/api/v1/publish']) {
      assert.ok(all.includes(way), way);
    }
  });

  for (const text of blocks('js')) {
    test(`js: ${text.match(/socket\.io-client|new \w+|poll/)[0]}`, async () => {
      assert.match(await script(here(text)), PRICE, text);
    });
  }

  for (const text of blocks('sh')) {
    test(`sh: ${text.trim().split('\n')[0]}`, async () => {
      if (text.includes('/stream')) {
        const events = await command(here(text), /^data: .*\n\n/m);
        assert.match(events, /^event: price_updates$/m);
        assert.ok(JSON.parse(events.match(/^data: (.*)$/m)[1]).data.BTC.price > 0);
        return;
      }
      const answer = JSON.parse(await command(here(text)));
      if (text.includes('/publish')) {
        assert.equal(answer.accepted, 1);
      } else {
        assert.equal(answer.mode, 'demo');
      }
      if (text.includes('/prices')) assert.ok(answer.data.BTC.price > 0 && answer.data.ETH.price > 0);
      if (text.includes('/candles')) assert.equal(answer.candles.length, 24);
    });
  }

  test('html: the script is served', async () => {
    const [block] = blocks('html');
    const { 1: url } = here(block).match(/src="([^"]+)"/);
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.match(await answer.text(), /marketDataWS/);
  });
});
