// Front of the bench: flags, the order of the sections, and where results go.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as live from "./lib/live.mjs";
import { liveReport } from "./lib/live-report.mjs";
import { machine, output, stopAll } from "./lib/proc.mjs";
import { report } from "./lib/report.mjs";
import * as sections from "./lib/sections.mjs";
import { describeServers } from "./lib/servers.mjs";

const USAGE = `usage: bench/run [--live] [--quick | --medium] [--only SECTION,…] [--build DIR] [--server FILE] [--out FILE]

  --live         the section "Live markets" of the results and no other: prices from an exchange to
                 the clients, in seven minutes; with --quick in two. COINCAST_FIXTURES: the tapes
  --quick        about three minutes: fewer rotations, sizes and servers
  --medium       about twelve minutes: all sizes, more rotations where ratios are tight
  --only LIST    of cost, rate, memory, deflate, tls, shards, stalled, own, http;
                 with --live of ingest, latency, round, sets, delta, get
  --build DIR    where the programs were built (build/release)
  --server FILE  another coincast to measure with this build's load client
  --add FILE     the records of an earlier run (a copy of build/bench.json), to be taken together with
                 this one's: more rotations of everything
  --out FILE     where the tables go (bench/RESULTS.md; with --only to standard output)
`;

const bench = dirname(fileURLToPath(import.meta.url));
const root = dirname(bench);
const ALL = ["bare send", "bare send, coalescing", "bare io_uring", "bare io_uring, coalescing", ...sections.COINCAST, "npm ws", "npm socket.io"];

function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        live: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        medium: { type: "boolean", default: false },
        only: { type: "string" },
        build: { type: "string", default: join(root, "build/release") },
        server: { type: "string" },
        add: { type: "string" },
        out: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    return values;
  } catch (error) {
    process.stderr.write(`bench/run: ${error.message}\n${USAGE}`);
    process.exit(2);
  }
}

function plan(mode, present) {
  const { COINCAST, PAIR } = sections;
  const peers = ["npm ws", "npm socket.io"].filter(present);
  const both = [1000, 10000];
  if (mode === "medium") {
    return [
      ["cost", sections.cost, { rotations: 15, names: PAIR, clients: [1000], payloads: [200], modes: ["w1"] }],
      ["cost", sections.cost, { rotations: 7, names: PAIR, clients: [1000], payloads: [200], modes: ["b16"] }],
      ["cost", sections.cost, { rotations: 5, names: PAIR, clients: [10000], payloads: [200] }],
      ["cost", sections.cost, { rotations: 1, names: [...PAIR, ...peers], clients: [100], payloads: [200], seconds: 1 }],
      ["cost", sections.cost, { rotations: 1, names: [...PAIR, ...peers], clients: [1000], payloads: [4096], seconds: 1 }],
      ["cost", sections.cost, { rotations: 1, names: peers, clients: both, payloads: [200], seconds: 1.5 }],
      ["rate", sections.rate, { rotations: 3, names: PAIR, clients: both, seconds: 3 }],
      ["memory", sections.memory, { names: [...COINCAST, "bare send, coalescing"] }],
      ["memory", sections.memory, { names: COINCAST, tls: true }],
      ["deflate", sections.deflate, { rotations: 2, names: COINCAST, payloads: [200] }],
      ["deflate", sections.deflate, { rotations: 7, names: COINCAST, payloads: [4096] }],
      ["tls", sections.tls, { rotations: 15, names: COINCAST }],
      ["shards", sections.shards, { rotations: 15 }],
      ["stalled", sections.stalled, { rotations: 3, names: COINCAST, seconds: 2 }],
      ["own", sections.ownCode, { names: COINCAST, seconds: 2 }],
      ["http", sections.http, { rotations: 8, names: ["bare send", "nginx", ...COINCAST], seconds: 1 }],
    ];
  }
  if (mode === "quick") {
    return [
      ["cost", sections.cost, { rotations: 2, names: PAIR, clients: both, payloads: [200] }],
      ["cost", sections.cost, { rotations: 1, names: peers, clients: [1000], payloads: [200], seconds: 1 }],
      ["cost", sections.cost, { rotations: 1, names: PAIR, clients: [100], payloads: [200] }],
      ["cost", sections.cost, { rotations: 1, names: PAIR, clients: [1000], payloads: [4096] }],
      ["rate", sections.rate, { rotations: 1, names: PAIR, clients: both, seconds: 2 }],
      ["memory", sections.memory, { names: [...COINCAST, "bare send, coalescing"] }],
      ["deflate", sections.deflate, { rotations: 1, names: COINCAST, payloads: [4096] }],
      ["tls", sections.tls, { rotations: 1, names: COINCAST }],
      ["shards", sections.shards, { rotations: 1 }],
      ["stalled", sections.stalled, { rotations: 1, names: ["Coincast epoll"], seconds: 2 }],
      ["own", sections.ownCode, { names: COINCAST, seconds: 1 }],
      ["http", sections.http, { rotations: 1, names: ["bare send", "nginx", ...COINCAST], seconds: 2 }],
    ];
  }
  const all = ALL.filter(present);
  return [
    ["cost", sections.cost, { rotations: 9, names: all, clients: [100, 1000, 10000], payloads: [200], seconds: 2.5 }],
    ["cost", sections.cost, { rotations: 2, names: all, clients: [100, 1000, 10000], payloads: [4096], seconds: 2 }],
    ["rate", sections.rate, { rotations: 5, names: [...PAIR, ...peers], clients: both, seconds: 4 }],
    ["memory", sections.memory, { names: [...COINCAST, "bare send, coalescing", ...peers] }],
    ["memory", sections.memory, { names: [...COINCAST, ...peers], deflate: true }],
    ["memory", sections.memory, { names: COINCAST, tls: true }],
    ["tls", sections.tls, { rotations: 15, names: COINCAST }],
    ["deflate", sections.deflate, { rotations: 3, names: [...COINCAST, ...peers], payloads: [200, 4096], seconds: 2 }],
    ["shards", sections.shards, { rotations: 9 }],
    ["stalled", sections.stalled, { rotations: 5, names: COINCAST, seconds: 3 }],
    ["own", sections.ownCode, { names: [...COINCAST, "bare send, coalescing"], seconds: 3 }],
    ["http", sections.http, { rotations: 3, names: ["bare send", "nginx", ...COINCAST], seconds: 5 }],
  ];
}

function livePlan(mode) {
  const quick = mode === "quick";
  const gets = ["bare send", "nginx", ...sections.COINCAST];
  return [
    ["ingest", live.ingest, { rotations: quick ? 3 : 9, parseMs: quick ? 400 : 800 }],
    ["latency", live.latency, { rotations: quick ? 2 : 5, clients: 100, each: [5, 20], seconds: quick ? 2 : 3 }],
    ["round", live.rounds, { rotations: quick ? 1 : 4, clients: 10000, seconds: 2.5 }],
    ["sets", live.sets, { rotations: quick ? 1 : 2, members: 9900 }],
    ["delta", live.deltas, { speed: 10, seconds: quick ? 10 : 70 }],
    ["get", sections.paced, { rotations: quick ? 2 : 7, names: gets, seconds: 1 }],
  ];
}

/** The file with its part of this kind of run made new and the other part as it was. */
function merged(file, text, isLive) {
  const mark = "\n## Live markets\n";
  const old = existsSync(file) ? readFileSync(file, "utf8") : "# Results\n";
  const at = old.indexOf(mark);
  if (isLive) return `${at < 0 ? old : old.slice(0, at)}\n${text}`;
  return at < 0 ? text : `${text}${old.slice(at)}`;
}

/** Those of an earlier run, as rotations beside this one's. */
function earlier(file) {
  const { about, records } = JSON.parse(readFileSync(file, "utf8"));
  return { commit: about.commit, records: records.map((r) => ({ ...r, rotation: (r.rotation ?? 0) + 1000 })) };
}

async function main() {
  const flags = readFlags();
  if (flags.help) {
    process.stdout.write(USAGE);
    return;
  }
  const build = resolve(flags.build);
  const setup = {
    bench,
    build,
    client: join(build, "coincast"),
    server: resolve(flags.server ?? join(build, "coincast")),
    temp: mkdtempSync(join(tmpdir(), "coincast-bench-")),
    epoch: "0123456789ab",
    overhead: 120,
    records: [],
    say: (text) => process.stderr.write(`${text}\n`),
  };
  if (!flags.live && !existsSync(join(bench, "peers/node_modules"))) {
    await output("npm", ["ci", "--no-audit", "--no-fund"], { cwd: join(bench, "peers") }).catch((error) =>
      setup.say(`npm ws and socket.io are left out: ${error.message}`),
    );
  }
  const started = Date.now();
  const busy = loadavg()[0];
  setup.servers = describeServers(setup);
  await sections.makeCertificate(setup);
  await sections.calibrate(setup);
  setup.servers = describeServers(setup);
  const mode = flags.quick ? "quick" : flags.medium && !flags.live ? "medium" : "full";
  const wanted = flags.only?.split(",");
  const todo = flags.live ? livePlan(mode) : plan(mode, (server) => !setup.servers[server].missing);
  for (const [name, run, options] of todo) {
    if (wanted === undefined || wanted.includes(name)) await run(setup, options);
  }
  const added = flags.add ? earlier(flags.add) : null;
  setup.records.push(...(added?.records ?? []));
  const about = { ...(await machine(root)), mode, added: added?.commit, whole: wanted === undefined, minutes: (Date.now() - started) / 60000, overhead: setup.overhead, busy };
  const text = (flags.live ? liveReport : report)(setup.records, about);
  mkdirSync(join(root, "build"), { recursive: true });
  writeFileSync(join(root, flags.live ? "build/bench-live.json" : "build/bench.json"), JSON.stringify({ about, records: setup.records }, null, 1));
  const file = flags.out ?? join(bench, "RESULTS.md");
  if (flags.out ?? !wanted) writeFileSync(file, merged(file, text, flags.live));
  else process.stdout.write(text);
  rmSync(setup.temp, { recursive: true, force: true });
}

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => stopAll().then(() => process.exit(1)));
main().catch(async (error) => {
  await stopAll();
  process.stderr.write(`bench/run: ${error.message}\n`);
  process.exit(1);
});
