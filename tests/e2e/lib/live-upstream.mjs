/* The stand-in upstream behind a proxy that takes its mark away, so that a server believes it live:
 * the only way to see what a live server does without asking a real provider.
 * SPDX-License-Identifier: MIT */
import http from 'node:http';
import { startUpstream } from './server.mjs';

export async function startLiveUpstream() {
  const upstream = await startUpstream();
  const proxy = http.createServer((request, response) => {
    const { 'accept-encoding': _, ...headers } = request.headers;
    const onward = http.request({ host: '127.0.0.1', port: upstream.port, path: request.url, headers },
      (answer) => {
        delete answer.headers['x-coincast-upstream'];
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
    onward.on('error', () => response.destroy());
    onward.end();
  });
  await new Promise((done) => proxy.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${proxy.address().port}`;
  const env = Object.fromEntries(Object.entries(upstream.env)
    .map(([name, url]) => [name, url.replace(upstream.origin, origin)]));
  return {
    env,
    control: upstream.control,
    async stop() {
      proxy.closeAllConnections();
      await new Promise((done) => proxy.close(done));
      await upstream.stop();
    },
  };
}
