/* The conformance server against the JavaScript clients of three generations, over every transport:
 * socket.io-client 4 and 3 (Engine.IO 4) and 2 (Engine.IO 3). SPDX-License-Identifier: MIT */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { io as io3 } from 'socket.io-client-3';
import { Process, backEnds, freePort, until } from './lib/server.mjs';

const CLIENTS = [
  { name: 'socket.io-client 4', io: io4, revision: 5 },
  { name: 'socket.io-client 3', io: io3, revision: 5 },
  { name: 'socket.io-client 2', io: io2, revision: 4 },
];
const TRANSPORTS = [['polling', 'websocket'], ['websocket'], ['polling']];

/* The next event of that name: its arguments. */
function next(socket, name, ms = 30_000) {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`no ${name} within ${ms} ms`)), ms);
    socket.once(name, (...args) => {
      clearTimeout(timer);
      done(args);
    });
  });
}

for (const { io, skip } of await backEnds()) {
  describe(`conformance, ${io}`, { skip }, () => {
    /* The heartbeats of the public suites, an answer to each within 200 ms, are more than a busy machine
     * keeps to: what is not about them asks a server that has patience. */
    let patient, lenient, strict;
    const open = [];

    const start = async (...flags) => {
      const port = await freePort();
      const server = new Process(['conformance', '--listen', `127.0.0.1:${port}`, ...flags], { env: { COINCAST_IO: io } });
      server.origin = `http://127.0.0.1:${port}`;
      await until(() => server.stdout.includes('listening'), 'the server listens');
      return server;
    };
    before(async () => {
      strict = await start(); /* a ping every 300 ms, an answer within 200 ms */
      lenient = await start('--ping-timeout-ms', '3000');
      patient = await start('--ping-timeout-ms', '20000', '--connect-timeout-ms', '20000');
    });
    after(async () => {
      for (const socket of open) socket.disconnect();
      for (const server of [patient, lenient, strict]) await server?.stop();
    });

    const connect = (client, path, options, server = patient) => {
      const socket = client.io(`${server.origin}${path}`, { forceNew: true, reconnection: false, ...options });
      open.push(socket);
      return socket;
    };

    for (const client of CLIENTS) {
      for (const transports of TRANSPORTS) {
        const name = `${client.name} by ${transports.join(', then ')}`;

        test(`${name}: events, binary and acks`, async () => {
          const auth = { token: 'ü "x"', n: [1, { a: null }] };
          const socket = connect(client, '', { transports, auth });
          const hello = next(socket, 'auth');
          await next(socket, 'connect');
          assert.deepEqual(await hello, [client.revision === 5 ? auth : {}]);

          const args = [1, '2', { 3: [true, null] }, 'a\u001eb\u2028 \u{1f600}'];
          let back = next(socket, 'message-back');
          socket.emit('message', ...args);
          assert.deepEqual(await back, args);

          const bytes = [Buffer.from([1, 2, 3]), { deep: Buffer.alloc(70_000, 0xfe) }];
          back = next(socket, 'message-back');
          socket.emit('message', ...bytes);
          assert.deepEqual((await back).map((v) => (v.deep ? { deep: Buffer.from(v.deep) } : Buffer.from(v))), bytes);

          const answer = await new Promise((done) => {
            socket.emit('message-with-ack', 'x', Buffer.from([9]), (...got) => done(got));
          });
          assert.equal(answer[0], 'x');
          assert.deepEqual(Buffer.from(answer[1]), Buffer.from([9]));
          socket.disconnect();
        });

        test(`${name}: order survives the upgrade and heartbeats keep it alive`, async () => {
          /* A busy machine may keep the client from answering a ping within the suite's 200 ms: then
           * what came is in order as well, and another one is tried; the last with more time for both. */
          let closed = 'not tried';
          for (let i = 0; i < 6 && closed; i++) {
            const socket = connect(client, '', { transports }, i < 5 ? strict : lenient);
            closed = null;
            socket.on('disconnect', (why) => (closed = why));
            socket.on('connect_error', (error) => (closed = `${error}`));
            await until(() => closed || socket.connected, 'connected');
            if (closed) continue;
            const got = [];
            socket.on('message-back', (n) => got.push(n));
            const want = [];
            /* Longer than interval and timeout together, so that a missing heartbeat would end it. */
            for (let n = 0; n < 120; n++) {
              socket.emit('message', n);
              want.push(n);
              await new Promise((done) => setTimeout(done, i < 5 ? 6 : 35));
            }
            await until(() => closed || got.length >= want.length, 'all came back');
            assert.deepEqual(got, want.slice(0, got.length));
            if (closed) continue;
            assert.equal(got.length, want.length);
            await until(() => closed || socket.io.engine.transport.name === transports.at(-1), 'upgraded');
            if (closed) continue;
            socket.off('disconnect');
            socket.disconnect();
          }
          assert.equal(closed, null);
        });
      }

      test(`${client.name}: namespaces`, async () => {
        const socket = connect(client, '/custom', { auth: { token: 'abc' } });
        const hello = next(socket, 'auth');
        await next(socket, 'connect');
        assert.deepEqual(await hello, [client.revision === 5 ? { token: 'abc' } : {}]);
        const back = next(socket, 'message-back');
        socket.emit('message', 'here');
        assert.deepEqual(await back, ['here']);
        socket.disconnect();

        const nowhere = connect(client, '/nowhere');
        const [error] = await next(nowhere, client.revision === 5 ? 'connect_error' : 'error');
        assert.equal(error.message ?? error, 'Invalid namespace');
        nowhere.disconnect();
      });
    }

    test('two namespaces share a connection; leaving one leaves the other', async () => {
      const manager = new io4.Manager(patient.origin, { reconnection: false });
      const main = manager.socket('/');
      const custom = manager.socket('/custom');
      open.push(main, custom);
      await Promise.all([next(main, 'connect'), next(custom, 'connect')]);
      assert.notEqual(main.id, custom.id);
      assert.notEqual(main.id, manager.engine.id); /* the public id is no bearer secret */
      custom.disconnect();
      const back = next(main, 'message-back');
      main.emit('message', 'still here');
      assert.deepEqual(await back, ['still here']);
      main.disconnect();
    });
  });
}
