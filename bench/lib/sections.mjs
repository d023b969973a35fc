// What is measured, one function a section. Each adds records; report.mjs makes tables of them.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MODES, fixedRate, measure, median, startLoad } from "./load.mjs";
import { cpuNs, memoryBytes, output, sleep } from "./proc.mjs";
import { startServer } from "./servers.mjs";
import { takeTurns } from "./turns.mjs";

const COINCAST = ["Coincast epoll", "Coincast io_uring"];
const LIMITS = ["bare send, coalescing", "bare io_uring, coalescing"];
const PAIR = ["bare send, coalescing", "Coincast epoll", "bare io_uring, coalescing", "Coincast io_uring"];

const rotate = (list, by) => list.map((_, i) => list[(i + by) % list.length]);
/** Bytes of data that make a message of `payload` bytes with the envelope. */
const dataSize = (setup, payload) => Math.max(48, payload - setup.overhead);
const common = (setup, clients, payload, seconds) => [
  "--clients", clients, "--publish-size", dataSize(setup, payload), "--duration-ms", Math.round(seconds * 1000),
];

/** Measures and records one cell; a server that fails is recorded with the reason. */
async function cell(setup, what, name, args, options = {}) {
  const record = { what, server: name, ...options.tags };
  try {
    Object.assign(record, await measure(setup, name, args, options));
  } catch (error) {
    record.failed = error.message;
  }
  setup.records.push(record);
  say(setup, record, options.tags);
  return record;
}

function say(setup, { what, server, failed, incomplete, ...r }, tags) {
  const result = `${r.cpu_us_per_delivery?.toFixed(4) ?? "-"} us, ${r.deliveries_per_s ?? "-"}/s, p99 ${r.latency_us?.p99 ?? "-"} us`;
  setup.say(`${what} ${JSON.stringify(tags)} ${server}: ${failed ?? result}${incomplete ? ` INCOMPLETE: ${incomplete}` : ""}`);
}

/** Measures and records cells of one rotation side by side: members {name, tags, args, options}. */
async function together(setup, what, members, { clients, payload = 200 }) {
  // A turn's beginning is left out: for as long as a round of messages takes that was under way, and until
  // a connection costs again what it does in a long run.
  const timing = clients <= 1000 ? { turns: 2, turnMs: 400, leadMs: 120 } : { turns: 2, turnMs: 700, leadMs: payload > 1000 ? 350 : 250 };
  const results = await takeTurns(setup, members, timing);
  members.forEach(({ name, tags }, i) => {
    const result = results[i] instanceof Error ? { failed: results[i].message } : results[i];
    const record = { what, server: name, ...tags, ...result };
    setup.records.push(record);
    say(setup, record, tags);
  });
}

/** Node's servers take too long a round for turns, and are measured alone. */
const alone = (name) => name.startsWith("npm ");

/** Cost of a delivery, one in flight and in bursts, every server in every rotation. */
export async function cost(setup, { rotations, names, clients, payloads, modes = Object.keys(MODES), seconds }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const n of clients) {
      for (const payload of payloads) {
        for (const mode of modes) {
          const tags = { rotation, clients: n, payload, mode };
          const args = ["--clients", n, "--publish-size", dataSize(setup, payload), ...MODES[mode]];
          const members = names
            .filter((name) => !alone(name))
            .filter((name) => mode !== "w1" || setup.servers[name].coalesces !== false) // the same as with it
            .map((name) => ({ name, tags, args }));
          if (members.length > 0) await together(setup, "cost", members, { clients: n, payload });
          for (const name of names.filter(alone)) {
            await cell(setup, "cost", name, [...common(setup, n, payload, seconds), ...MODES[mode]], { tags });
          }
        }
      }
    }
  }
}

/** Latency at 50,000 deliveries a second in all, from when each message was due. */
export async function rate(setup, { rotations, names, clients, seconds }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const n of clients) {
      for (const name of rotate(names, rotation)) {
        const tags = { rotation, clients: n, payload: 200, mode: "r50k" };
        await cell(setup, "rate", name, [...common(setup, n, 200, seconds), ...fixedRate(n)], { tags });
      }
    }
  }
}

async function idleMemory(setup, server, clients, extra) {
  const load = startLoad(setup, server, ["--clients", clients, "--duration-ms", 3600000, ...extra]);
  await load.ready;
  await sleep(400);
  return load;
}

/** Memory of an idle connection: the slope between 1,000 and 10,000, before and after traffic. */
export async function memory(setup, { names, deflate = false, tls = false }) {
  for (const name of names) {
    const server = await startServer(setup.servers, name, { deflate, tls });
    const extra = deflate ? ["--deflate"] : [];
    const loads = [];
    const record = { what: "memory", server: name, deflate, tls };
    try {
      loads.push(await idleMemory(setup, server, 1000, extra));
      const few = memoryBytes(server.pids);
      loads.push(await idleMemory(setup, server, 8800, extra));
      const many = memoryBytes(server.pids);
      const traffic = startLoad(setup, server, [
        "--clients", 200, "--burst", 16, "--publish-size", dataSize(setup, 200), "--duration-ms", 1500, ...extra,
      ]);
      await traffic.result;
      await sleep(400);
      record.idle_bytes = (many - few) / 8800;
      record.after_bytes = (memoryBytes(server.pids) - few) / 8800;
    } catch (error) {
      record.failed = error.message;
    } finally {
      for (const load of loads) {
        load.state.child.kill("SIGTERM");
        await load.state.ended;
      }
      await server.close();
    }
    setup.records.push(record);
    setup.say(`memory ${name}${deflate ? " deflate" : ""}${tls ? " TLS" : ""}: ${record.failed ?? `${record.idle_bytes} B, after traffic ${record.after_bytes} B`}`);
  }
}

/** The same messages plain and compressed once for all. */
export async function deflate(setup, { rotations, names, payloads, seconds }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const payload of payloads) {
      const members = names.flatMap((name) =>
        [false, true].map((compressed) => ({
          name,
          tags: { rotation, clients: 1000, payload, mode: "w1", deflate: compressed },
          args: ["--clients", 1000, "--publish-size", dataSize(setup, payload), ...MODES.w1, ...(compressed ? ["--deflate"] : [])],
          options: { deflate: compressed },
        })),
      );
      await together(setup, "deflate", members.filter(({ name }) => !alone(name)), { clients: 1000, payload });
      for (const { name, tags, options } of members.filter((member) => alone(member.name))) {
        await cell(setup, "deflate", name, [...common(setup, 1000, payload, seconds), ...MODES.w1], { tags, ...options });
      }
    }
  }
}

/** What the library alone takes to encipher such a message, on one session and on as many as clients. */
async function seal(setup, rotation) {
  for (const sessions of [1, 1000]) {
    const text = await output(join(setup.build, "bench/seal"), [setup.cert, setup.key, sessions, 200, 500].map(String), { cores: "0" });
    const { ns_each, cipher } = JSON.parse(text);
    setup.records.push({ what: "seal", rotation, sessions, ns_each, cipher });
    setup.say(`seal ${sessions} sessions: ${ns_each} ns a record, ${cipher}`);
  }
}

/** The same messages plain and over TLS, one in flight. */
export async function tls(setup, { rotations, names }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    await seal(setup, rotation);
    const members = names.flatMap((name) =>
      [false, true].map((encrypted) => ({
        name,
        tags: { rotation, clients: 1000, payload: 200, mode: "w1", tls: encrypted },
        args: ["--clients", 1000, "--publish-size", dataSize(setup, 200), ...MODES.w1],
        options: { tls: encrypted },
      })),
    );
    await together(setup, "tls", members, { clients: 1000 });
  }
}

/** Shards on both cores beside the client: what sharing costs a delivery. */
export async function shards(setup, { rotations }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const mode of Object.keys(MODES)) {
      const members = [1, 2].map((count) => ({
        name: "Coincast epoll",
        tags: { rotation, clients: 1000, payload: 200, mode, shards: count },
        args: ["--clients", 1000, "--publish-size", dataSize(setup, 200), ...MODES[mode]],
        options: { shards: count, cores: "0-1" },
      }));
      await together(setup, "shards", members, { clients: 1000 });
    }
  }
}

/** Bytes the kernel holds to be sent on one side of a port. */
async function kernelSendBytes(port) {
  const text = await output("ss", ["-tmnH", "state", "established", `sport = :${port}`]);
  return [...text.matchAll(/skmem:\(r\d+,rb\d+,t\d+,tb\d+,f\d+,w(\d+)/g)].map((match) => Number(match[1]));
}

/** One client in ten reads nothing. */
export async function stalled(setup, { rotations, names, seconds }) {
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const name of rotate(names, rotation)) {
      for (const percent of [0, 10]) {
        const tags = { rotation, clients: 1000, payload: 4096, mode: "1k x 50/s", stalled: percent };
        const during = async (server) => {
          await sleep(seconds * 1000);
          const held = await kernelSendBytes(server.port);
          return { memory_bytes: memoryBytes(server.pids), kernel_bytes: Math.max(0, ...held) };
        };
        await cell(
          setup, "stalled", name,
          [...common(setup, 1000, 4096, seconds), "--burst", 1, "--publish-rate", 50, "--stall", percent],
          { tags, during },
        );
      }
    }
  }
}

/** Share of user code in the CPU time, by sampling. */
export async function ownCode(setup, { names, seconds }) {
  for (const name of names) {
    for (const mode of Object.keys(MODES)) {
      const during = async (server) => {
        const file = join(setup.temp, "perf.data");
        await sleep(800);
        await output("perf", [
          "record", "-q", "-e", "cpu-clock", "-F", 4000, "-p", server.pids.join(","), "-o", file, "--", "sleep", seconds,
        ].map(String), { cores: "1" });
        const samples = (await output("perf", ["script", "-i", file, "-F", "ip"])).trim().split("\n");
        const kernel = samples.filter((ip) => ip.trim().startsWith("ffff")).length;
        return { samples: samples.length, user_share: 1 - kernel / samples.length };
      };
      const tags = { clients: 1000, payload: 200, mode };
      await cell(setup, "own", name, [...common(setup, 1000, 200, seconds + 2), ...MODES[mode]], { tags, during });
    }
  }
}

async function wholeResponse(port, path) {
  const text = await output("curl", ["-sS", "-i", "--http1.1", `http://127.0.0.1:${port}${path}`]);
  const at = text.indexOf("\r\n\r\n");
  return { raw: text, headers: text.slice(0, at).split("\r\n").slice(1), body: text.slice(at + 4) };
}

async function wrk(setup, server, path, seconds) {
  const before = cpuNs(server.pids);
  const text = await output("wrk", ["-t1", "-c64", `-d${seconds}s`, "--latency", `http://127.0.0.1:${server.port}${path}`], { cores: "1" });
  const requests = Number(/(\d+) requests in/.exec(text)[1]);
  const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return {
    requests,
    bad,
    cpu_us_per_request: (cpuNs(server.pids) - before) / 1000 / requests,
    requests_per_s: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
    p99: /99%\s+(\S+)/.exec(text)[1],
  };
}

/** What Coincast answers to a GET of the summary, for nginx and the bare sender to answer the same. */
async function summaryAnswer(setup) {
  const path = "/api/crypto/dashboard-summary";
  const probe = await startServer(setup.servers, COINCAST[0]);
  const same = await wholeResponse(probe.port, path).finally(probe.close);
  const response = join(setup.temp, "response");
  writeFileSync(response, same.raw);
  return { path, same, response };
}

/** GET of the cached summary; nginx and the bare sender answer the same bytes. */
export async function http(setup, { rotations, names, seconds }) {
  const { path, same, response } = await summaryAnswer(setup);
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const name of rotate(names, rotation)) {
      const record = { what: "http", server: name, rotation, body_bytes: same.body.length };
      try {
        const server = await startServer(setup.servers, name, { ...same, response });
        try {
          Object.assign(record, await wrk(setup, server, path, seconds));
        } finally {
          await server.close();
        }
      } catch (error) {
        record.failed = error.message;
      }
      setup.records.push(record);
      setup.say(`http ${name}: ${record.failed ?? `${record.cpu_us_per_request.toFixed(2)} us, ${record.requests_per_s}/s, p99 ${record.p99}`}`);
    }
  }
  await paced(setup, { rotations: Math.max(rotations, 3), names, seconds });
}

/** 10,000 requests a second beside 1,000 idle clients; those of nginx are silent connections. */
export async function paced(setup, { rotations, names, seconds }) {
  const { path, same, response } = await summaryAnswer(setup);
  for (let rotation = 0; rotation < rotations; rotation++) {
    for (const name of rotate(names, rotation)) {
      const record = { what: "paced", server: name, rotation, seconds };
      const server = await startServer(setup.servers, name, { ...same, response });
      const takesClients = server.load !== undefined;
      let idle;
      try {
        if (takesClients) idle = await idleMemory(setup, server, 1000, []);
        const args = [server.port, path, 10000, 64, seconds * 1000, takesClients ? 0 : 1000];
        Object.assign(record, JSON.parse(await output(join(setup.build, "bench/paced"), args.map(String), { cores: "1" })));
      } catch (error) {
        record.failed = error.message;
      } finally {
        idle?.state.child.kill("SIGTERM");
        await idle?.state.ended;
        await server.close();
      }
      setup.records.push(record);
      setup.say(`paced ${name}: ${record.failed ?? `p50 ${record.p50_us} us, p99 ${record.p99_us} us, waited ${record.waited_ms} ms`}`);
    }
  }
}

/** A certificate of our own for the TLS rows. */
export async function makeCertificate(setup) {
  setup.cert = join(setup.temp, "cert.pem");
  setup.key = join(setup.temp, "key.pem");
  await output("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-keyout", setup.key, "-out", setup.cert,
  ]);
}

/** The epoch of Coincast's cursors and the bytes of its envelope, so that the bare sender's are alike. */
export async function calibrate(setup) {
  const server = await startServer(setup.servers, COINCAST[0]);
  try {
    const text = await output("curl", [
      "-sS", "-H", `Authorization: Bearer ${server.token}`, "-d", '[{"channel":"app:bench","data":1}]',
      `http://127.0.0.1:${server.port}/api/v1/publish`,
    ]);
    const { cursor } = JSON.parse(text);
    setup.epoch = cursor.slice(0, cursor.lastIndexOf("-"));
    const load = startLoad(setup, server, ["--clients", 10, "--burst", 1, "--publish-size", 200, "--duration-ms", 200]);
    setup.overhead = Math.round((await load.result).bytes_per_delivery) - 4 - 200;
  } finally {
    await server.close();
  }
}

export { COINCAST, LIMITS, PAIR, idleMemory, median, rotate };
