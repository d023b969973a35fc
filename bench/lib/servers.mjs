// The servers that are measured, each started fresh for one measurement, on core 0.
import { existsSync, mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { family, freePort, listening, start, stop } from "./proc.mjs";

const TOKEN = "bench-token";
const plain = (port) => ["--url", `ws://127.0.0.1:${port}/ws`, "--protocol", "plain"];

/** How each is started, and how the load client speaks to it. `limit` names its bare sender. */
export function describeServers(setup) {
  const bare = (flags) => ({
    command: join(setup.build, "bench/bare"),
    args: (port, options) => [
      "--port", port, "--epoch", setup.epoch, ...flags,
      ...(options.response ? ["--response", options.response] : []),
    ],
    load: plain,
  });
  const coincast = (io) => ({
    command: setup.server,
    args: (port, options, dir) => [
      "serve", "--source", options.source ?? "none", "--listen", `127.0.0.1:${port}`, "--data-dir", join(dir, "data"),
      ...(options.tls ? ["--tls-cert", setup.cert, "--tls-key", setup.key] : []),
      ...(options.flags ?? []),
    ],
    env: (options) => ({
      COINCAST_API_TOKEN: TOKEN,
      COINCAST_IO: io,
      COINCAST_SHARDS: String(options.shards ?? 1),
      COINCAST_LOG: "warn",
      ...options.env,
    }),
    load: (port, options) => [
      "--url", `${options.tls ? "wss" : "ws"}://127.0.0.1:${port}/ws`, "--protocol", "coincast", "--token", TOKEN,
    ],
    limit: io === "uring" ? "bare io_uring" : "bare send",
  });
  const peer = (script, load) => ({
    command: "node",
    args: (port, options) => [join(setup.bench, "peers", script), port, options.deflate ? "deflate" : "plain"],
    load,
    missing: !existsSync(join(setup.bench, "peers/node_modules")),
  });
  return {
    "bare send": { ...bare([]), coalesces: false },
    "bare send, coalescing": bare(["--coalesce"]),
    "bare io_uring": { ...bare(["--uring"]), coalesces: false },
    "bare io_uring, coalescing": bare(["--uring", "--coalesce"]),
    "Coincast epoll": coincast("epoll"),
    "Coincast io_uring": coincast("uring"),
    "npm ws": peer("ws.mjs", plain),
    "npm socket.io": peer("socketio.mjs", (port) => [
      "--url", `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, "--protocol", "socketio",
    ]),
    nginx: {
      command: "nginx",
      args: (port, options, dir) => ["-p", dir, "-e", join(dir, "error.log"), "-c", nginxConf(port, options, dir)],
    },
  };
}

/** One worker that answers every request with the body and the headers it was given. */
function nginxConf(port, { body = "", headers = [] }, dir) {
  const own = /^(content-length|content-type|connection|date|server):/i;
  const quote = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const added = headers
    .filter((line) => !own.test(line))
    .map((line) => `add_header ${line.slice(0, line.indexOf(":"))} ${quote(line.slice(line.indexOf(":") + 1).trim())};`);
  const path = join(dir, "nginx.conf");
  mkdirSync(join(dir, "temp"), { recursive: true });
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path temp;`);
  writeFileSync(
    path,
    `worker_processes 1; daemon off; pid nginx.pid; error_log error.log crit;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; ${temp.join(" ")}
server { listen 127.0.0.1:${port} backlog=4096; default_type application/json;
location / { ${added.join(" ")} return 200 ${quote(body)}; } } }
`,
  );
  return path;
}

/** Starts one; `close()` ends it. Its `pids` include children. */
export async function startServer(all, name, options = {}) {
  const how = all[name];
  const port = options.port ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), "coincast-bench-"));
  const state = start(options.cores ?? "0", how.command, how.args(port, options, dir).map(String), {
    env: how.env?.(options),
    cwd: dir,
  });
  const close = async () => {
    await stop(state);
    rmSync(dir, { recursive: true, force: true });
  };
  if (!(await listening(state, port))) {
    await close();
    throw new Error(`${name} did not start: ${state.err.trim()}`);
  }
  return { name, port, dir, state, close, pids: family(state.pid), token: TOKEN, load: how.load?.(port, options) };
}
