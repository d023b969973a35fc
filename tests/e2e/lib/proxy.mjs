/* A TCP proxy on loopback whose connections can be cut, for clients that must come back.
 * SPDX-License-Identifier: MIT */
import net from 'node:net';

export async function startProxy(port) {
  const open = new Set();
  let refusing = false;
  const server = net.createServer((client) => {
    if (refusing) {
      client.destroy();
      return;
    }
    const upstream = net.connect(port, '127.0.0.1');
    for (const [a, b] of [[client, upstream], [upstream, client]]) {
      open.add(a);
      a.on('error', () => b.destroy());
      a.on('close', () => {
        open.delete(a);
        b.destroy();
      });
    }
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return {
    port: server.address().port,
    /* Cuts what is open; refuses what comes until resume(). */
    cut() {
      refusing = true;
      for (const socket of open) socket.destroy();
    },
    resume() {
      refusing = false;
    },
    async stop() {
      this.cut();
      await new Promise((done) => server.close(done));
    },
  };
}
