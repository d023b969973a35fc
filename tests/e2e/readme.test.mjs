/* The examples of README.md, each run as it is written there against the real server. Only the
 * address and the token of the examples are those of the server under test.
 * SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';
import { startServer } from './lib/server.mjs';

const README = new URL('../../README.md', import.meta.url);
const TOKEN = 'change-me';
const WAIT_MS = 10_000;
const AsyncFunction = (async () => {}).constructor;

/* The blocks of a language, but for those that build or start the program. */
const blocks = (language) =>
  [...readFileSync(README, 'utf8').matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)]
    .filter(([, found, text]) => found === language && !/^\.\//.test(text))
    .map(([, , text]) => text);

/* Runs a script; gives what it printed first. What it opened is closed, its loops end. */
async function firstLine(script) {
  const opened = [];
  let done = false;
  const remember = (Kind) =>
    class extends Kind {
      constructor(...args) {
        super(...args);
        opened.push(this);
      }
    };
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`printed nothing:\n${script}`)), WAIT_MS);
      const console = { log: (...words) => resolve(words) };
      const read = (...args) => (done ? Promise.reject(new Error('over')) : fetch(...args));
      new AsyncFunction('WebSocket', 'EventSource', 'fetch', 'console', script)(
        remember(WebSocket), remember(EventSource), read, console).catch(reject);
    });
  } finally {
    done = true;
    clearTimeout(timer);
    for (const one of opened) one.close();
  }
}

/* Runs a command until it ends or `enough` is seen in what it prints. */
async function printed(command, enough) {
  const child = spawn('sh', ['-ec', command], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const end = () => {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      /* it has ended */
    }
  };
  const timer = setTimeout(end, WAIT_MS);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text += piece;
    if (enough?.test(text)) end();
  });
  await new Promise((closed) => child.once('close', closed));
  clearTimeout(timer);
  return text;
}

describe('the examples of the README', () => {
  let server;
  const here = (text) => text.replaceAll('localhost:8000', `localhost:${server.port}`);
  before(async () => {
    server = await startServer({ source: 'demo', env: { COINCAST_API_TOKEN: TOKEN } });
  });
  after(() => server?.stop());

  test('there is one for each way in', () => {
    const all = [...blocks('js'), ...blocks('sh')].join('\n');
    for (const way of ['new WebSocket(', 'new EventSource(', '/api/v1/poll', '/api/v1/stream',
      '/api/crypto/dashboard-summary', '/api/v1/publish']) {
      assert.ok(all.includes(way), way);
    }
  });

  for (const script of blocks('js')) {
    test(`js: ${script.trim().split('\n')[0]}`, async () => {
      const [price, mode] = await firstLine(here(script));
      assert.equal(typeof price, 'number');
      assert.equal(mode, 'demo');
    });
  }

  for (const command of blocks('sh')) {
    test(`sh: ${command.trim().split('\n')[0]}`, async () => {
      if (command.includes('/stream')) {
        const text = await printed(here(command), /^data: .*\n\n/m);
        assert.match(text, /^event: btc_price_update$/m);
        return;
      }
      const answer = JSON.parse(await printed(here(command)));
      if (command.includes('/publish')) {
        assert.equal(answer.accepted, 1);
      } else {
        assert.equal(answer.mode, 'demo');
      }
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
