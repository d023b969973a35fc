// Tables of the records, and the goals: ratios within one rotation, medians over rotations.
import { limits } from "./limits.mjs";
import { median } from "./load.mjs";

export const number = (value, digits = 2) => (value === null || value === undefined || !Number.isFinite(value) ? "-" : value.toFixed(digits));
const ms = (us) => number(us === null || us === undefined ? null : us / 1000, us >= 100000 ? 0 : 1);
const thousands = (value) => (value === null || !Number.isFinite(value) ? "-" : `${Math.round(value / 1000)}k`);
export const table = (head, rows) =>
  [`| ${head.join(" | ")} |`, `|${head.map(() => "---").join("|")}|`, ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");
export const unique = (list) => [...new Set(list)];

/** Records of a kind whose fields equal `where`, those that failed left out. */
export const pick = (records, what, where) =>
  records.filter((r) => r.what === what && !r.failed && Object.entries(where).every(([key, value]) => r[key] === value));

/** The bare sender that a server is paired with: of its back end; pooled (coalescing or not) for one in flight. */
export const limitOf = (server) => (/uring/.test(server) ? "bare io_uring, coalescing" : "bare send, coalescing");

/** Median over rotations of value(server) / value(base), both of the same rotation. */
export function pairedRatio(records, what, server, base, where, value, baseWhere = where) {
  const of = (list) => new Map(list.map((r) => [r.rotation, value(r)]));
  const below = of(pick(records, what, { ...baseWhere, server: base }));
  const above = of(pick(records, what, { ...where, server }));
  const ratios = [...above].filter(([rotation]) => below.get(rotation) > 0).map(([rotation, v]) => v / below.get(rotation));
  return { ratio: median(ratios), runs: ratios.length, error: medianError(ratios) };
}

/** The standard error of a median, as that of normally distributed values; null for fewer than three. */
function medianError(values) {
  if (values.length < 3) return null;
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
  return 1.253 * Math.sqrt(variance / values.length);
}

export const mid = (records, what, where, value) => median(pick(records, what, where).map(value));
const costOf = (r) => r.cpu_us_per_delivery;

function costTables(records) {
  const all = records.filter((r) => r.what === "cost");
  const parts = [];
  for (const payload of unique(all.map((r) => r.payload))) {
    const cells = unique(all.filter((r) => r.payload === payload).map((r) => `${r.clients} ${r.mode}`))
      .map((text) => ({ clients: Number(text.split(" ")[0]), mode: text.split(" ")[1] }))
      .sort((a, b) => a.clients - b.clients || (a.mode < b.mode ? 1 : -1));
    const rows = unique(all.map((r) => r.server)).map((server) => [
      server,
      ...cells.map(({ clients, mode }) => {
        const where = { clients, mode, payload };
        const cost = mid(records, "cost", { ...where, server }, costOf);
        const rate = mid(records, "cost", { ...where, server }, (r) => r.deliveries_per_s);
        const { ratio } = pairedRatio(records, "cost", server, limitOf(server), where, costOf);
        return cost === null ? "-" : `${number(cost, mode === "w1" ? 2 : 3)} (${number(ratio)}) ${thousands(rate)}/s`;
      }),
    ]);
    parts.push(
      `### Cost of a delivery, ${payload} B\n\nMicroseconds of server CPU (ksoftirqd counted), in brackets the ratio to the bare sender of its kind in the same rotation, and deliveries a second. w1: one in flight; b16: bursts of 16.\n\n` +
        table(["server", ...cells.map(({ clients, mode }) => `${clients} ${mode}`)], rows),
    );
  }
  return parts;
}

function rateTable(records) {
  const all = records.filter((r) => r.what === "rate");
  if (all.length === 0) return [];
  const sizes = unique(all.map((r) => r.clients));
  const rows = unique(all.map((r) => r.server)).map((server) => [
    server,
    ...sizes.map((clients) => {
      const where = { clients, server };
      const at = (key) => ms(mid(records, "rate", where, (r) => r.latency_us[key]));
      const { ratio } = pairedRatio(records, "rate", server, limitOf(server), { clients }, (r) => r.latency_us.p99);
      return `${at("p50")} / ${at("p99")} / ${at("p999")} (${number(ratio)})`;
    }),
  ]);
  return [
    "### Latency at 50,000 deliveries a second in all\n\nMilliseconds p50 / p99 / p99.9 from when the message was due; in brackets p99 against the bare sender.\n\n" +
      table(["server", ...sizes.map((n) => `${n} clients x ${Math.round(50000 / n)}/s`)], rows),
  ];
}

function connectionTable(records) {
  const memory = records.filter((r) => r.what === "memory");
  const names = unique(records.filter((r) => r.what === "memory" || r.what === "cost").map((r) => r.server));
  if (memory.length === 0) return [];
  const bytes = (r) => (r === undefined || r.failed ? "-" : `${number(r.idle_bytes, 0)} (${number(r.after_bytes, 0)})`);
  const rows = names.map((server) => {
    const of = (deflate, tls = false) => memory.find((r) => r.server === server && r.deflate === deflate && r.tls === tls);
    const at = (clients, value, digits) => number(mid(records, "cost", { server, clients }, value), digits);
    return [
      server,
      bytes(of(false)),
      bytes(of(true)),
      bytes(of(false, true)),
      at(1000, (r) => r.connect_cpu_us, 1),
      at(10000, (r) => r.connect_cpu_us, 1),
      at(1000, (r) => r.subscribe_cpu_us || null, 1),
      at(10000, (r) => r.connects_per_s, 0),
    ];
  });
  return [
    "### Connections\n\nUser memory (PSS) of an idle connection with one subscription, the slope between 1,000 and 9,800, in brackets after traffic; CPU of accept and upgrade, and of a subscription after it (who connects to the bare sender or to npm's ws has everything).\n\n" +
      table(["server", "B, plain", "B, deflate", "B, TLS", "us accept and upgrade, 1k", "10k", "us a subscription, 1k", "upgrades/s, 10k"], rows),
  ];
}

function deflateTable(records) {
  const all = records.filter((r) => r.what === "deflate");
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => `${r.server}|${r.payload}`)).map((key) => {
    const [server, payload] = [key.split("|")[0], Number(key.split("|")[1])];
    const where = { payload, server };
    const at = (deflate, value) => mid(records, "deflate", { ...where, deflate }, value);
    return [
      server,
      payload,
      number(at(false, costOf)),
      number(at(true, costOf)),
      number(deflateRatio(records, server, payload).ratio),
      `${number(at(false, (r) => r.bytes_per_delivery), 0)} -> ${number(at(true, (r) => r.bytes_per_delivery), 0)}`,
    ];
  });
  return [
    "### permessage-deflate, 1,000 clients, one in flight\n\n" +
      table(["server", "payload B", "plain us", "deflate us", "ratio", "wire B a delivery"], rows),
  ];
}

const deflateRatio = (records, server, payload) =>
  pairedRatio(records, "deflate", server, server, { payload, deflate: true }, costOf, { payload, deflate: false });

/** How many deliveries one core does over TLS, against plain: the inverse of their costs. */
const tlsRatio = (records, server) => pairedRatio(records, "tls", server, server, { tls: false }, costOf, { tls: true });

function tlsTable(records) {
  const all = records.filter((r) => r.what === "tls");
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).map((server) => {
    const at = (encrypted, value) => mid(records, "tls", { server, tls: encrypted }, value);
    return [
      server,
      number(at(false, costOf)),
      number(at(true, costOf)),
      number(tlsRatio(records, server).ratio),
      `${thousands(at(false, (r) => r.deliveries_per_s))} -> ${thousands(at(true, (r) => r.deliveries_per_s))}`,
      number(at(true, (r) => r.connect_cpu_us), 0),
    ];
  });
  const alone = (sessions) => number(mid(records, "seal", { sessions }, (r) => r.ns_each / 1000));
  return [
    "### TLS, 1,000 clients, one in flight\n\nDeliveries a second of the server's core are the inverse of its CPU a delivery; those measured are bounded by the client, which decrypts. " +
      `OpenSSL alone enciphers such a message in ${alone(1)} us on one session, in ${alone(1000)} us on a thousand in turn (\`bench/seal.c\`); in between, the server sends, which pushes all of a session out of the caches (docs/decisions/0013).\n\n` +
      table(["server", "plain us", "TLS us", "deliveries/s of a core, TLS / plain", "measured deliveries/s", "us a handshake and upgrade"], rows),
  ];
}

const shardRatio = (records, mode) =>
  pairedRatio(records, "shards", "Coincast epoll", "Coincast epoll", { shards: 2, mode }, costOf, { shards: 1, mode });

function stalledTable(records) {
  const all = records.filter((r) => r.what === "stalled");
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).map((server) => {
    const p99 = (stalled) => ms(mid(records, "stalled", { server, stalled }, (r) => r.latency_us.p99));
    const s = stalledOf(records, server);
    return [server, p99(0), p99(10), number(s.ratio), number(s.user / 1024, 1), number(s.kernel / 1024, 0)];
  });
  return [
    "### 100 of 1,000 clients read nothing (4 KB x 50/s)\n\n" +
      table(["server", "p99 ms, none", "p99 ms of the others", "ratio", "user KiB a stalled client", "kernel KiB at most"], rows),
  ];
}

function stalledOf(records, server) {
  const p99 = (r) => r.latency_us.p99;
  const { ratio } = pairedRatio(records, "stalled", server, server, { stalled: 10 }, p99, { stalled: 0 });
  const memory = (stalled) => mid(records, "stalled", { server, stalled }, (r) => r.memory_bytes);
  const kernel = mid(records, "stalled", { server, stalled: 10 }, (r) => r.kernel_bytes);
  return { ratio, user: (memory(10) - memory(0)) / 100, kernel };
}

function ownOf(records, server, mode) {
  return mid(records, "own", { server, mode }, (r) => r.user_share * r.cpu_us_per_delivery);
}

function ownTable(records) {
  const all = records.filter((r) => r.what === "own");
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).map((server) => [
    server, number(ownOf(records, server, "w1"), 3), number(ownOf(records, server, "b16"), 4),
  ]);
  return ["### Own code of a delivery (perf, cpu-clock, user share), 1,000 clients\n\n" + table(["server", "w1 us", "b16 us"], rows)];
}

function httpTable(records) {
  const all = records.filter((r) => r.what === "http");
  if (all.length === 0) return [];
  const rows = unique(all.map((r) => r.server)).map((server) => {
    const at = (value) => mid(records, "http", { server }, value);
    return [server, number(at((r) => r.cpu_us_per_request)), thousands(at((r) => r.requests_per_s)), number(pacedOf(records, server), 2)];
  });
  const body = all.find((r) => !r.failed)?.body_bytes;
  return [
    `### GET of the cached summary (${body} B, all answer the same bytes), 64 connections\n\n` +
      table(["server", "CPU us a request", "requests/s", "p99 ms at 10,000/s beside 1,000 idle clients"], rows),
  ];
}

/** p99 in ms of a GET at 10,000/s. */
export const pacedOf = (records, server) => mid(records, "paced", { server }, (r) => r.p99_us / 1000);

/** [goal, target, value, met], or null when there is no value. */
export function goalRow(goal, target, value, digits = 3, atLeast = false) {
  if (value === null || !Number.isFinite(value)) return null;
  const met = atLeast ? value >= target : value <= target;
  return [goal, `${atLeast ? ">=" : "<="} ${target}`, number(value, digits), met ? "yes" : "no"];
}

/** Which command made it, where and when the machine was how busy. */
export const madeOn = (command, about) =>
  `Made by \`${command}${about.mode === "full" ? "" : ` --${about.mode}`}\` at commit ${about.commit} in ${number(about.minutes, 0)} minutes on ${about.cores} cores (${about.cpu}), ` +
  `${about.memoryGib} GiB, Linux ${about.kernel}, ${about.compiler}, Node ${about.node}; load average before: ${number(about.busy)}.${about.added ? ` Taken together with an earlier run on this machine, at commit ${about.added}.` : ""}`;

/** What is no ratio depends on the hour: somebody else's figure of the same run stands beside it. */
const besides = (value, who, theirs, digits) => ({ ratio: value, beside: theirs === null ? "" : `${who}: ${number(theirs, digits)}` });

/** `whole`: every section was run, so what has no value was not measured and says so. */
function goals(records, whole) {
  const rows = [];
  const add = (goal, target, measured, ...how) => {
    const { ratio, error = null, runs = null, beside = "" } = typeof measured === "object" && measured !== null ? measured : { ratio: measured };
    const row = goalRow(goal, target, ratio, ...how);
    const spread = error === null ? beside : `±${number(error, 3)}, ${runs} rotations`;
    if (row !== null) rows.push([...row, spread]);
    else if (whole) rows.push([goal, target, "-", "not measured", ""]);
  };
  for (const server of ["Coincast epoll", "Coincast io_uring"]) {
    const ratio = (what, where, value) => pairedRatio(records, what, server, limitOf(server), where, value);
    for (const clients of [1000, 10000]) {
      add(`${server}, one in flight, ${clients}: cost / bare`, 1.1, ratio("cost", { clients, payload: 200, mode: "w1" }, costOf));
      add(`${server}, bursts of 16, ${clients}: cost / coalescing bare`, 1.2, ratio("cost", { clients, payload: 200, mode: "b16" }, costOf));
    }
    add(`${server}: p99 at 10,000 x 5/s / bare`, 1.15, ratio("rate", { clients: 10000 }, (r) => r.latency_us.p99));
    add(`${server}: p99 at 1,000 x 50/s / bare`, 1.15, ratio("rate", { clients: 1000 }, (r) => r.latency_us.p99));
    add(`${server}: a value's way to 1,000 sockets / bare round`, 1.2, ratio("cost", { clients: 1000, payload: 200, mode: "w1" }, (r) => r.round_us.p50));
    const memory = records.find((r) => r.what === "memory" && r.server === server && !r.deflate && !r.tls && !r.failed);
    add(`${server}: user bytes an idle connection`, 512, memory?.idle_bytes ?? null, 0);
    add(`${server}: the same after traffic`, 512, memory?.after_bytes ?? null, 0);
    for (const clients of [1000, 10000]) {
      const accept = (who) => mid(records, "cost", { server: who, clients }, (r) => r.connect_cpu_us);
      add(`${server}: accept and upgrade, us, ${clients}`, 25, besides(accept(server), "bare sender", accept(limitOf(server)), 1), 1);
    }
    add(`${server}: deflate / plain, 4 KB`, 1.1, deflateRatio(records, server, 4096));
    add(`${server}: TLS / plain deliveries/s of a core`, 0.7, tlsRatio(records, server), 3, true);
    add(`${server}: own code, one in flight, us`, 0.4, ownOf(records, server, "w1"), 3);
    add(`${server}: own code, coalesced, us`, 0.06, ownOf(records, server, "b16"), 4);
    add(`${server}: CPU of a GET / nginx`, 1, pairedRatio(records, "http", server, "nginx", {}, (r) => r.cpu_us_per_request));
    add(`${server}: GET p99 at 10,000/s, ms`, 1, besides(pacedOf(records, server), "nginx", pacedOf(records, "nginx"), 3));
    const stalled = pick(records, "stalled", { server }).length > 0 ? stalledOf(records, server) : null;
    add(`${server}: others' p99 beside stalled / none`, 1.25, stalled?.ratio ?? null);
    add(`${server}: user KiB a stalled client`, 64, stalled ? stalled.user / 1024 : null, 1);
  }
  for (const mode of ["w1", "b16"]) add(`two shards / one, ${mode}: cost`, 1.1, shardRatio(records, mode));
  for (const clients of [1000, 10000]) {
    const where = { clients, payload: 200, mode: "w1" };
    add(`aim beyond: io_uring / plain bare send, ${clients}`, 0.95, pairedRatio(records, "cost", "Coincast io_uring", "bare send, coalescing", where, costOf));
  }
  return rows;
}

export function report(records, about) {
  const incomplete = records.filter((r) => r.failed || r.incomplete);
  const notes = incomplete.map((r) => `- ${r.what}, ${r.server}${r.clients ? `, ${r.clients}` : ""}${r.mode ? ` ${r.mode}` : ""}: ${r.failed ?? r.incomplete}`);
  return [
    "# Results",
    `${madeOn("bench/run", about)} Loopback only; server on core 0, client on core 1; every server freshly started for each cell. ` +
      "Microseconds differ between machines and hours; ratios within one rotation are what counts, and what they are worth their standard error says. " +
      "Costs of a delivery: servers that are compared run at once and take turns of a fraction of a second in a random order (`bench/lib/turns.mjs`); npm's are measured alone.",
    "One in flight, the coalescing bare sender does what the plain one does (there is one frame a send), so it alone stands for both there.",
    ...(records.some((r) => r.what !== "http") ? ["## Goals\n\n" + table(["goal", "target", "measured", "met", "standard error, or beside it in the same run"], goals(records, about.whole))] : []),
    "## Measurements",
    ...costTables(records),
    ...rateTable(records),
    ...connectionTable(records),
    ...deflateTable(records),
    ...tlsTable(records),
    ...(pick(records, "shards", {}).length > 0
      ? [`### Two shards against one\n\n${table(["mode", "cost ratio"], ["w1", "b16"].map((mode) => [mode, number(shardRatio(records, mode).ratio)]))}`]
      : []),
    ...stalledTable(records),
    ...ownTable(records),
    ...httpTable(records),
    ...(about.whole ? [limits(table)] : []),
    ...(notes.length > 0 ? ["## What failed or was not complete\n\n" + notes.join("\n")] : []),
  ].join("\n\n") + "\n";
}
