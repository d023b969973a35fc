// Live markets: from an exchange's bytes to the clients' sockets, one function a section.
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { cpuNs, freePort, output, sleep, start, stop } from "./proc.mjs";
import { COINCAST, rotate } from "./sections.mjs";
import { startServer } from "./servers.mjs";

const SYMBOLS = "BTC,ETH,XRP,BNB,SOL,TRX,DOGE,ADA,BCH,LINK,XLM,LTC,AVAX,SUI,HBAR,TON,SHIB,DOT,UNI,NEAR";
const NOWHERE = "127.0.0.1:1"; // nobody listens there: of all providers only the one exchange speaks

/** The recorded files, or null with a word to the user when there are none. */
function tapes(setup) {
  const folder = process.env.COINCAST_FIXTURES;
  const of = (name) => join(folder ?? "", "ws/binance", `spot_${name}.txt.gz`);
  const found = { btc: ["btcusdt_20240808", "btcusdt_20240809"].map(of), eth: [of("ethusdt_20240808")] };
  if (folder && [...found.btc, ...found.eth].every(existsSync)) return found;
  setup.say("COINCAST_FIXTURES names no folder with the recorded tapes: ingest and deltas are left out");
  return null;
}

async function record(setup, tags, measure) {
  const result = { ...tags };
  try {
    Object.assign(result, await measure());
  } catch (error) {
    result.failed = error.message;
  }
  setup.records.push(result);
  setup.say(JSON.stringify(result));
  return result;
}

const lastLine = (text) => JSON.parse(text.trim().split("\n").at(-1));

/** Plays `files` as fast as it goes on one core: time and CPU from the start to the last item. */
async function playOnce(setup, files) {
  const log = join(setup.temp, "publish.log");
  writeFileSync(log, "");
  const server = await startServer(setup.servers, "Coincast epoll", {
    source: `replay:${files.join(",")}`,
    flags: ["--speed", "max", "--publish-log", log],
    env: { COINCAST_LOG: "info" },
  });
  try {
    const at = (mark) => Date.parse(server.state.err.split("\n").find((line) => line.includes(mark))?.slice(0, 24) ?? "");
    const late = Date.now() + 30000;
    while (!(at("the recording has ended") > 0)) {
      if (Date.now() > late) throw new Error(`the replay did not end: ${server.state.err}`);
      await sleep(20);
    }
    const items = Number(/items=(\d+)/.exec(server.state.err)[1]);
    const seconds = (at("the recording has ended") - at("serve: ready")) / 1000;
    await sleep(150); // what is still on its way to the publish log
    return { items, seconds, cpu_ns: cpuNs(server.pids), log_bytes: statSync(log).size };
  } finally {
    await server.close();
  }
}

/** The way of a recorded frame through parse, market, candles, indicators and publish. */
export async function ingest(setup, { rotations, parseMs }) {
  const files = tapes(setup)?.btc;
  if (!files) return;
  const one = join(setup.temp, "one.txt");
  writeFileSync(one, `${gunzipSync(readFileSync(files[0])).toString().split("\n", 1)[0]}\n`);
  for (let rotation = 0; rotation < rotations; rotation++) {
    await record(setup, { what: "ingest", rotation }, async () => {
      const parse = lastLine(await output(join(setup.build, "bench/parse"), [files.join(","), String(parseMs)], { cores: "0" }));
      const idle = await playOnce(setup, [one]);
      const played = await playOnce(setup, files);
      if (played.items !== parse.frames || parse.bad > 0) throw new Error(`${played.items} items, ${parse.frames} frames, ${parse.bad} bad`);
      const ns_each = (played.cpu_ns - idle.cpu_ns) / played.items;
      return { ...played, ns_each, per_s: played.items / played.seconds, parse_ns: parse.ns_each, ratio: ns_each / parse.ns_each };
    });
  }
}

/** Our exchange and our clients on core 1, a server that follows that exchange on core 0. */
async function live(setup, name, mode, args, symbols) {
  const [port, exchange] = [await freePort(), await freePort()];
  const flags = [mode, "--port", port, "--exchange", exchange, "--symbols", symbols, ...args];
  const ends = start("1", join(setup.build, "bench/live"), flags.map(String));
  const http = Object.fromEntries(
    ["COINGECKO", "ALTERNATIVE", "TAAPI", "BINANCE", "COINBASE", "KRAKEN"].map((one) => [`COINCAST_${one}_URL`, `http://${NOWHERE}`]),
  );
  const env = {
    ...http,
    COINCAST_BINANCE_WS_URL: `ws://127.0.0.1:${exchange}`,
    COINCAST_COINBASE_WS_URL: `ws://${NOWHERE}`,
    COINCAST_KRAKEN_WS_URL: `ws://${NOWHERE}`,
    COINCAST_SYMBOLS: symbols,
    COINCAST_LOG: "error",
  };
  let server;
  const late = setTimeout(() => ends.child.kill("SIGKILL"), 90000);
  try {
    while (!ends.out.includes("listening") && ends.exit === null) await sleep(5);
    server = await startServer(setup.servers, name, { port, source: "live", env });
    await ends.ended;
    if (ends.exit !== 0) throw new Error(ends.err.trim() || `exit ${ends.exit}`);
    return lastLine(ends.out);
  } finally {
    clearTimeout(late);
    await stop(ends);
    await server?.close();
  }
}

/** 5,000 trades a second over 20 symbols; each client follows some of them, or all. */
export async function latency(setup, { rotations, clients, each, seconds }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const some of each) {
      for (const server of rotate(COINCAST, rotation)) {
        const args = ["--clients", clients, "--each", some, "--rate", 5000, "--ms", seconds * 1000];
        const tags = { what: "latency", server, rotation, clients, each: some, seconds };
        await record(setup, tags, () => live(setup, server, "latency", args, SYMBOLS));
      }
    }
  }
}

/** One trade at a time to everybody, and a message as long of the bare sender. */
export async function rounds(setup, { rotations, clients, seconds }) {
  const names = ["Coincast epoll", "bare send, coalescing", "Coincast io_uring", "bare io_uring, coalescing"];
  let size = 455;
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const server of rotate(names, rotation)) {
      const args = ["--clients", clients, "--ms", seconds * 1000];
      const result = await record(setup, { what: "round", server, rotation, clients }, () =>
        COINCAST.includes(server) ? live(setup, server, "round", args, "BTC") : bareRounds(setup, server, [...args, "--size", size]),
      );
      if (COINCAST.includes(server) && !result.failed) size = result.bytes_each;
    }
  }
}

async function bareRounds(setup, name, args) {
  const server = await startServer(setup.servers, name);
  try {
    const flags = ["bare", "--port", server.port, "--symbols", "BTC", ...args];
    return lastLine(await output(join(setup.build, "bench/live"), flags.map(String), { cores: "1" }));
  } finally {
    await server.close();
  }
}

/** CPU of a delivery when each client has a set of rows of its own, against one set for all. */
export async function sets(setup, { rotations, members }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const io of rotate(["epoll", "io_uring"], rotation)) {
      const text = await output(join(setup.build, "bench/sets"), [io, String(members)], { cores: "1" });
      for (const line of text.trim().split("\n").map((one) => JSON.parse(one))) {
        if (line.ratio !== undefined) setup.records.push({ what: "sets", server: `Coincast ${io}`, rotation, members, ...line });
      }
      setup.say(`sets ${io}: ${text.match(/"ratio":[\d.]+/g).join(" ")}`);
    }
  }
}

/** Bytes of price_updates: both tapes in the order of receipt, `speed` times as fast as they came. */
export async function deltas(setup, { speed, seconds }) {
  const found = tapes(setup);
  if (!found) return;
  const time = (line) => BigInt(line.slice(0, line.indexOf(" ")));
  const lines = [...found.btc, ...found.eth]
    .flatMap((file) => gunzipSync(readFileSync(file)).toString().split("\n").filter(Boolean))
    .map((line) => [time(line), line])
    .sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const both = join(setup.temp, "both.txt");
  writeFileSync(both, lines.map((pair) => `${pair[1]}\n`).join(""));
  const span = Number(lines.at(-1)[0] - lines[0][0]) / 1e9;
  const ms = Math.round(1000 * Math.min(seconds, span / speed));
  const server = await startServer(setup.servers, "Coincast epoll", { source: `replay:${both}`, flags: ["--speed", String(speed)] });
  try {
    // 10 Hz of recorded time, for the rate is limited in real time.
    const args = [join(setup.bench, "delta.mjs"), server.port, ms, 10 * speed].map(String);
    const text = await output("node", args, { cores: "1", timeoutMs: ms + 30000 });
    for (const line of text.trim().split("\n")) {
      const client = JSON.parse(line);
      setup.records.push({ what: "delta", ...client, symbols: client.symbols.join(" and "), hz: client.hz && 10, span: (ms / 1000) * speed });
    }
    setup.say(`delta: ${text.trim().split("\n").length} clients, ${ms} ms`);
  } finally {
    await server.close();
  }
}
