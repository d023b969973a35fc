// The load client, on core 1, and what is read while it runs.
import { ksoftirqd, sleep, start } from "./proc.mjs";
import { startServer } from "./servers.mjs";

export const MODES = {
  w1: ["--burst", 1],
  b16: ["--burst", 16],
};

/** 50,000 deliveries a second in all. */
export const fixedRate = (clients) => ["--burst", 1, "--publish-rate", Math.max(1, Math.round(50000 / clients))];

/** Starts the client against a server; `ready` resolves when all have subscribed, `result` at the end. */
export function startLoad(setup, server, args) {
  const softirq = ksoftirqd(0);
  const pids = [...server.pids, ...(softirq === null ? [] : [softirq])].join(",");
  const state = start("1", setup.client, ["load", "--json", "--server-pid", pids, ...server.load, ...args].map(String));
  const lines = () => state.out.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const failed = () => new Error(`${server.name}, ${args.join(" ")}: ${state.err.trim() || `exit ${state.exit}`}`);
  const ready = new Promise((resolve, reject) => {
    state.onOutput = () => state.out.includes("\n") && resolve();
    state.ended.then(() => (state.out === "" ? reject(failed()) : resolve()));
  });
  const result = state.ended.then(() => {
    const last = state.exit === 0 ? lines().find((line) => line.event === "result") : undefined;
    if (last === undefined) throw failed();
    return last;
  });
  result.catch(() => {});
  ready.catch(() => {});
  return { state, ready, result };
}

/** One measurement: a fresh server, one load, both ended. */
export async function measure(setup, name, args, options = {}) {
  const server = await startServer(setup.servers, name, options);
  try {
    const load = startLoad(setup, server, [...args, ...(options.deflate ? ["--deflate"] : [])]);
    if (options.during !== undefined) {
      await load.ready;
      const seen = await options.during(server);
      return { ...(await load.result), ...seen };
    }
    const result = await load.result;
    checkResult(name, result);
    return result;
  } finally {
    await server.close();
    await sleep(50);
  }
}

/** A number is only worth comparing when everybody got everything. */
export function checkResult(name, r) {
  if (r.refused > 0 || r.lost > 0 || r.missing > 0 || r.repeated > 0) {
    r.incomplete = `${r.refused} refused, ${r.lost} lost (${r.first_loss}), ${r.missing} missing, ${r.repeated} repeated`;
  }
}

export function median(values) {
  const sorted = values.filter((v) => v !== null && Number.isFinite(v)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
