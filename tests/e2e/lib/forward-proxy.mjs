/* Proxies as an operator may have them between the server and the world: HTTP (CONNECT, and plain
 * requests with a whole URL) and SOCKS5, on one port. Every name leads to loopback, whatever the
 * machine knows. SPDX-License-Identifier: MIT */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';

/* `asked`: what was asked for, {kind: 'CONNECT', 'GET' or 'SOCKS5', authority, auth, at}. What may be
 * set: `status`, which answers instead; `hang`, which answers nothing; `password` of "user", which is
 * then wanted. `files` {cert, key}: it is spoken to over TLS itself. */
export async function startForwardProxy(files) {
  const proxy = { asked: [], status: 0, hang: false, password: '', first: [] };
  const open = new Set();
  const hold = (socket) => {
    open.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => open.delete(socket));
    return socket;
  };
  const note = (kind, authority, auth = '') => proxy.asked.push({ kind, authority, auth, at: Date.now() });
  const join = (client, authority, ready) => {
    const onward = hold(net.connect(Number(authority.split(':').at(-1)), '127.0.0.1', () => {
      ready();
      client.pipe(onward).pipe(client);
    }));
    client.once('data', (bytes) => proxy.first.push(bytes[0]));
    onward.on('close', () => client.destroy());
    client.on('close', () => onward.destroy());
    return onward;
  };
  const right = (auth) => !proxy.password
    || auth === `Basic ${Buffer.from(`user:${proxy.password}`).toString('base64')}`;

  const web = http.createServer((request, response) => {
    const url = new URL(request.url);
    const auth = request.headers['proxy-authorization'];
    note(request.method, url.host, auth);
    if (proxy.hang) return;
    if (proxy.status || !right(auth)) {
      response.writeHead(proxy.status || 407).end();
      return;
    }
    const onward = http.request({ host: '127.0.0.1', port: url.port, path: url.pathname + url.search,
      headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end();
  });
  web.on('connect', (request, client) => {
    hold(client);
    const auth = request.headers['proxy-authorization'];
    note('CONNECT', request.url, auth);
    if (proxy.hang) return;
    const status = proxy.status || (right(auth) ? 0 : 407);
    if (status) {
      client.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    join(client, request.url, () => client.write('HTTP/1.1 200 Connection established\r\n\r\n'));
  });

  /* RFC 1928 and 1929, each message in one piece, as curl sends them. */
  const socks = (client, hello) => {
    const method = proxy.password ? 2 : 0;
    if (proxy.hang) return;
    client.write(Buffer.from([5, hello.subarray(2).includes(method) ? method : 0xff]));
    const ask = (bytes) => {
      const name = bytes[3] === 3 ? bytes.subarray(5, 5 + bytes[4]).toString() : [...bytes.subarray(4, 8)].join('.');
      const authority = `${name}:${bytes.readUInt16BE(bytes.length - 2)}`;
      note('SOCKS5', authority);
      const answer = (code) => client.write(Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]));
      if (proxy.status) {
        answer(proxy.status);
        client.end();
        return;
      }
      join(client, authority, () => answer(0));
    };
    client.once('data', (bytes) => {
      if (!method) {
        ask(bytes);
        return;
      }
      const user = bytes.subarray(2, 2 + bytes[1]).toString();
      const password = bytes.subarray(3 + bytes[1]).toString();
      const good = user === 'user' && password === proxy.password;
      client.write(Buffer.from([1, good ? 0 : 1]));
      if (good) client.once('data', ask);
    });
  };

  const greet = (client) => {
    hold(client);
    client.once('data', (bytes) => {
      if (bytes[0] === 5) {
        socks(client, bytes);
        return;
      }
      client.pause();
      client.unshift(bytes);
      web.emit('connection', client);
      process.nextTick(() => client.resume());
    });
  };
  const server = files
    ? tls.createServer({ cert: readFileSync(files.cert), key: readFileSync(files.key) }, greet)
    : net.createServer(greet);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  proxy.port = server.address().port;
  proxy.authority = `127.0.0.1:${proxy.port}`;
  proxy.cut = () => open.forEach((socket) => socket.destroy());
  proxy.stop = async () => {
    proxy.cut();
    await new Promise((done) => server.close(done));
  };
  return proxy;
}
