// The section "Live markets" of RESULTS.md.
import { median } from "./load.mjs";
import { goalRow, limitOf, madeOn, mid, number, pacedOf, pairedRatio, pick, table, unique } from "./report.mjs";

const COINCAST = ["Coincast epoll", "Coincast io_uring"];
const ms = (us) => number(us === null ? null : us / 1000, 2);
const of = (list, value) => median(list.map(value));

/** Bytes of one kind of client against whole plain text, at the same rate and of the same symbols. */
function deltaShare(records, symbols, hz, { packed = false, deflate = false, delta = false }, base = {}) {
  const find = (how) => pick(records, "delta", { symbols, hz, packed: false, deflate: false, delta: false, ...how })[0];
  const [above, below] = [find({ packed, deflate, delta }), find(base)];
  return above && below?.bytes > 0 ? above.bytes / below.bytes : null;
}

const roundRatio = (records, server) => pairedRatio(records, "round", server, limitOf(server), {}, (r) => r.p50_us).ratio;
const worstSet = (records, server) => {
  const cases = unique(pick(records, "sets", { server }).map((r) => r.case));
  const ratios = cases.map((one) => mid(records, "sets", { server, case: one }, (r) => r.ratio));
  return ratios.length > 0 ? Math.max(...ratios) : null;
};
const fewest = (records) => Math.min(...pick(records, "latency", {}).map((r) => r.each));

function goals(records) {
  const runs = pick(records, "ingest", {});
  const both = "BTC and ETH";
  const rows = [goalRow("messages/s in on one core", 100000, of(runs, (r) => r.per_s), 0, true)];
  for (const server of COINCAST) {
    const some = { server, each: fewest(records) };
    rows.push(goalRow(`${server}: p99 from the exchange to 100 clients at 5,000 trades/s, ms`, 1, mid(records, "latency", some, (r) => r.p99_us / 1000), 2));
    rows.push(goalRow(`${server}: a trade's way to 10,000 sockets / bare round`, 2.2, roundRatio(records, server), 2));
    rows.push(goalRow(`${server}: different sets of rows / one set, the worst case`, 2, worstSet(records, server), 2));
    rows.push(goalRow(`${server}: GET p99 at 10,000/s, ms`, 1, pacedOf(records, server), 2));
  }
  rows.push(goalRow("deltas / whole messages, full rate", 0.35, deltaShare(records, both, null, { delta: true })));
  rows.push(goalRow("the same, deflated", 0.28, deltaShare(records, both, null, { delta: true, deflate: true })));
  return rows.filter((row) => row !== null);
}

function ingestTable(records) {
  const runs = pick(records, "ingest", {});
  if (runs.length === 0) return [];
  const row = [of(runs, (r) => r.per_s), of(runs, (r) => 1e9 / r.ns_each), of(runs, (r) => r.ns_each), of(runs, (r) => r.parse_ns)].map((v) => number(v, 0));
  return [
    "### In: a recorded frame's way through the server, one core\n\n" +
      `Replay of the two BTC tapes (${runs[0].items} frames: trades, book tickers, depth) at \`--speed max\` with \`--publish-log\`: unzipped, parsed, market, candles, indicators, published. ` +
      "CPU is of all threads, that of a start with a tape of one frame taken off. The parse alone is jansson's `json_loadb` of the same frames in memory (`bench/parse.c`).\n\n" +
      table(["messages/s", "messages/s of CPU", "ns CPU each", "ns of the parse alone", "ratio"], [[...row, number(of(runs, (r) => r.ratio))]]),
  ];
}

function latencyTable(records) {
  const all = pick(records, "latency", {});
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.each)).flatMap((each) =>
    COINCAST.map((server) => {
      const at = (value) => mid(records, "latency", { server, each }, value);
      const best = Math.min(...pick(records, "latency", { server, each }).map((r) => r.p99_us));
      return [server, each, ms(at((r) => r.p50_us)), ms(at((r) => r.p99_us)), ms(best), ms(at((r) => r.p999_us)), number(at((r) => r.messages / r.due)), number(at((r) => r.bytes_each), 0), number(at((r) => r.waited_ms / r.seconds), 1)];
    }),
  );
  return [
    `### Through: 5,000 trades/s in, ${all[0].clients} clients of price_updates\n\n` +
      "Milliseconds from the exchange's `write()` of a trade to the return of the client's `read()` that brings its price or a later one of the symbol, over all trades and clients. " +
      "One program (`bench/live.c`) is the exchange and all clients, so there is one clock; what it is late by counts against the server. How long it was ready to run and others had its core stands last: more than a few ms/s, and the tails are the machine's. 20 symbols, trades evenly spaced, one frame a trade.\n\n" +
      table(["server", "symbols a client", "p50", "p99", "best p99", "p99.9", "messages a trade and client", "bytes each", "client waited, ms/s"], rows),
  ];
}

function roundTable(records) {
  const all = pick(records, "round", {});
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).sort().map((server) => {
    const at = (key) => mid(records, "round", { server }, (r) => r[key]);
    return [server, ms(at("p50_us")), ms(at("p99_us")), number(at("bytes_each"), 0), COINCAST.includes(server) ? number(roundRatio(records, server)) : "1"];
  });
  return [
    `### Out: one trade to ${all[0].clients} clients\n\n` +
      "Milliseconds from the exchange's `write()` until the last client has read it, one trade in flight; the bare sender of the same back end is posted a message of the same size by the same program.\n\n" +
      table(["server", "p50", "p99", "bytes each", "p50 / bare, same rotation"], rows),
  ];
}

function setsTable(records) {
  const all = pick(records, "sets", {});
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.case)).map((one) => [one, ...COINCAST.map((server) => number(mid(records, "sets", { server, case: one }, (r) => r.ratio)))]);
  return [
    `### ${all[0].members} clients with different sets of 10 rows of 200\n\nCPU of a delivery against the same clients with one set (\`bench/sets.c\`).\n\n` +
      table(["case", ...COINCAST], rows),
  ];
}

function deltaTable(records) {
  const all = pick(records, "delta", {});
  if (all.length === 0) return [];
  const share = (value) => (value === null ? "-" : `${number(value * 100, 1)} %`);
  const rows = unique(all.map((r) => r.symbols)).flatMap((symbols) =>
    [null, 10].map((hz) => {
      const whole = pick(records, "delta", { symbols, hz, packed: false, deflate: false, delta: false })[0];
      const to = (how, base) => share(deltaShare(records, symbols, hz, how, base));
      return [
        symbols, hz === null ? "full" : `${hz} Hz`, whole.messages, number(whole.bytes / whole.messages, 0),
        to({ deflate: true }), to({ delta: true }), to({ delta: true, deflate: true }), to({ packed: true }), to({ packed: true, delta: true }),
        to({ packed: true, delta: true, deflate: true }), to({ packed: true, delta: true }, { packed: true }),
      ];
    }),
  );
  return [
    "### Bytes of price_updates\n\n" +
      `Whole data frames on the wire against whole messages as plain text, over ${number(all[0].span, 0)} s of the recorded BTC and ETH tapes, played faster than they came with the limited rate raised alike (\`bench/delta.mjs\`).\n\n` +
      table(["symbols", "rate", "messages", "bytes each", "deflate", "delta", "delta, deflate", "MessagePack", "MessagePack, delta", "MessagePack, delta, deflate", "the two MessagePacks"], rows),
  ];
}

function pacedTable(records) {
  const all = pick(records, "paced", {});
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).sort().map((server) => {
    const at = (key) => number(mid(records, "paced", { server }, (r) => r[key] / 1000), 2);
    const best = Math.min(...pick(records, "paced", { server }).map((r) => r.p99_us / 1000));
    const waited = mid(records, "paced", { server }, (r) => r.waited_ms / r.seconds);
    return [server, at("p50_us"), at("p99_us"), number(best), at("p999_us"), number(waited, 1)];
  });
  return [
    "### GET of the summary at 10,000/s beside 1,000 idle clients\n\n" +
      "Milliseconds from when the request was due (`bench/paced.c`, 64 connections); all answer the same bytes. Medians over rotations, and the best p99 of them.\n\n" +
      table(["server", "p50", "p99", "best p99", "p99.9", "client waited, ms/s"], rows),
  ];
}

/** From its heading to the end; `about` as for report(). */
export function liveReport(records, about) {
  const failed = records.filter((r) => r.failed).map((r) => `- ${r.what}, ${r.server ?? ""}: ${r.failed}`);
  return [
    "## Live markets",
    `${madeOn("bench/run --live", about)} Loopback only; the server with all its threads on core 0, exchange and clients on core 1; medians over rotations.`,
    table(["goal", "target", "measured", "met"], goals(records)),
    ...ingestTable(records),
    ...latencyTable(records),
    ...roundTable(records),
    ...setsTable(records),
    ...deltaTable(records),
    ...pacedTable(records),
    ...(failed.length > 0 ? [`### What failed\n\n${failed.join("\n")}`] : []),
  ].join("\n\n") + "\n";
}
