/* A real redis-server on a free port of loopback, without persistence, and just enough of its
 * protocol to look into it. SPDX-License-Identifier: MIT */
import { spawn, spawnSync } from 'node:child_process';
import net from 'node:net';
import { freePort, until } from './server.mjs';

export const redisMissing = spawnSync('redis-server', ['--version']).error
  ? 'redis-server is not installed' : false;

/* One command on a connection of its own. Integers, bulk strings and simple strings are enough. */
export function redisCommand(port, ...words) {
  return new Promise((done, fail) => {
    const socket = net.connect(port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').setTimeout(10_000, () => socket.destroy(new Error('Redis is silent')));
    socket.on('error', fail);
    socket.on('data', (part) => {
      text += part;
      const head = /^([+\-:$])([^\r]*)\r\n/.exec(text);
      if (!head) return;
      const rest = Buffer.from(text.slice(head[0].length));
      const bulk = head[1] === '$' ? Number(head[2]) : -1;
      if (bulk >= 0 && rest.length < bulk + 2) return;
      socket.destroy();
      if (head[1] === '-') fail(new Error(head[2]));
      else if (head[1] === ':') done(Number(head[2]));
      else if (head[1] === '+') done(head[2]);
      else done(bulk < 0 ? null : rest.subarray(0, bulk).toString());
    });
    socket.write(`*${words.length}\r\n${words.map((w) => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')}`);
  });
}

export async function startRedis({ port } = {}) {
  const taken = port ?? (await freePort());
  const child = spawn('redis-server', ['--port', String(taken), '--bind', '127.0.0.1',
    '--save', '', '--appendonly', 'no', '--dir', '/tmp'], { stdio: 'ignore' });
  const exited = new Promise((done) => child.once('close', done));
  const redis = {
    port: taken,
    url: `redis://127.0.0.1:${taken}/0`,
    command: (...words) => redisCommand(taken, ...words),
    signal: (name) => child.kill(name),
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
  await until(() => redis.command('PING').then((a) => a === 'PONG', () => false), 'Redis answers');
  return redis;
}
