/* Between a server and the stand-in's exchange WebSockets: passes frames on, and lets a test change
 * what an exchange says, or answer a handshake as no exchange that is well would. Loopback only.
 * SPDX-License-Identifier: MIT */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import WebSocket, { WebSocketServer } from 'ws';

/* `change(text)` gives what the server hears instead, null for nothing; `status`, when set, answers
 * every request and handshake; `headers(headers, path)` what it reads of a REST answer's; `tls` {cert, key}: files, with which the server is spoken to. */
export async function startFeedProxy(upstream, tls) {
  const proxy = { change: (text) => text, headers: (all) => all, status: 0, open: new Set(), handshakes: 0 };
  const refuse = (request) => {
    const text = http.STATUS_CODES[proxy.status];
    return `HTTP/1.1 ${proxy.status} ${text}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
  };
  const answer = (request, response) => {
    if (proxy.status) {
      response.writeHead(proxy.status).end();
      return;
    }
    const { 'accept-encoding': _, ...headers } = request.headers;
    const onward = http.request({ host: '127.0.0.1', port: upstream.port, path: request.url, headers },
      (reply) => {
        response.writeHead(reply.statusCode, proxy.headers(reply.headers, request.url));
        reply.pipe(response);
      });
    onward.on('error', () => response.destroy());
    onward.end();
  };
  const server = tls
    ? https.createServer({ cert: readFileSync(tls.cert), key: readFileSync(tls.key) }, answer)
    : http.createServer(answer);
  const accept = new WebSocketServer({ noServer: true });
  accept.on('headers', (headers) => headers.push('X-Coincast-Upstream: simulated'));
  server.on('upgrade', (request, socket, head) => {
    proxy.handshakes++;
    if (proxy.status) {
      socket.end(refuse(request));
      return;
    }
    accept.handleUpgrade(request, socket, head, (client) => {
      const onward = new WebSocket(upstream.origin.replace('http', 'ws') + request.url);
      const waiting = [];
      proxy.open.add(client);
      client.on('message', (bytes) => {
        if (onward.readyState === WebSocket.OPEN) onward.send(bytes.toString());
        else waiting.push(bytes.toString());
      });
      onward.on('open', () => waiting.splice(0).forEach((text) => onward.send(text)));
      onward.on('message', (bytes) => {
        const text = proxy.change(bytes.toString());
        if (text !== null && client.readyState === WebSocket.OPEN) client.send(text);
      });
      for (const [a, b] of [[client, onward], [onward, client]]) {
        a.on('error', () => b.terminate());
        a.on('close', () => {
          proxy.open.delete(client);
          b.terminate();
        });
      }
    });
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  proxy.origin = `http${tls ? 's' : ''}://127.0.0.1:${port}`;
  proxy.ws = `ws${tls ? 's' : ''}://127.0.0.1:${port}`;
  proxy.cut = () => proxy.open.forEach((client) => client.terminate());
  proxy.stop = async () => {
    proxy.cut();
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  return proxy;
}
