// Several servers at once, on one core, their load clients taking turns of a fraction of a second in an
// order drawn anew each round: what the machine does meanwhile meets all alike, so that ratios of some
// percent can be seen. A client that is not at its turn is stopped (SIGSTOP), and its server then idle.
import { sleep } from "./proc.mjs";
import { checkResult, startLoad } from "./load.mjs";
import { startServer } from "./servers.mjs";

const TICK_MS = 10;

function shuffled(list) {
  const left = [...list];
  return list.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}

/** The sums over what lay between two ticks of one turn, but for a turn's first `leadMs`: in those the
 * client reads what was sent before, and the one whose turn is over is still being served. */
export function withinTurns(ticks, leadMs) {
  const sum = { us: 0, deliveries: 0, cpuNs: 0 };
  let resumed = ticks[0]?.us ?? 0;
  for (let i = 1; i < ticks.length; i++) {
    const [before, now] = [ticks[i - 1], ticks[i]];
    if (now.us - before.us > TICK_MS * 5000) {
      resumed = now.us;
    } else if (before.us - resumed >= leadMs * 1000) {
      sum.us += now.us - before.us;
      sum.deliveries += now.deliveries - before.deliveries;
      sum.cpuNs += now.server_cpu_ns - before.server_cpu_ns;
    }
  }
  return sum;
}

async function begin(setup, member) {
  const server = await startServer(setup.servers, member.name, member.options);
  try {
    const load = startLoad(setup, server, [
      ...member.args, "--duration-ms", 3600000, "--warmup-ms", 100, "--settle-ms", 100, "--tick-ms", TICK_MS,
    ]);
    await load.ready;
    load.state.child.kill("SIGSTOP");
    return { server, load };
  } catch (error) {
    await server.close();
    throw error;
  }
}

async function finish({ server, load }, leadMs) {
  try {
    const lines = load.state.out.split("\n").slice(0, -1); // the last one may not be whole
    const ticks = lines.map((line) => JSON.parse(line)).filter((line) => line.event === "tick");
    load.state.child.kill("SIGTERM");
    load.state.child.kill("SIGCONT");
    const result = await load.result;
    checkResult(server.name, result);
    const { us, deliveries, cpuNs } = withinTurns(ticks, leadMs);
    if (deliveries === 0) throw new Error(`${server.name}: nothing was delivered within the turns`);
    return {
      ...result,
      cpu_us_per_delivery: cpuNs / 1000 / deliveries,
      deliveries_per_s: Math.round((deliveries * 1e6) / us),
      latency_us: undefined, // the stops would be in it
    };
  } finally {
    await server.close();
  }
}

/** One measurement of all members, [{name, options, args}], new servers for each; gives their results in
 * the order of the members, an Error for one that failed. */
export async function takeTurns(setup, members, { turns, turnMs, leadMs }) {
  const results = new Map();
  const running = new Map();
  for (const member of shuffled(members)) {
    try {
      running.set(member, await begin(setup, member));
    } catch (error) {
      results.set(member, error);
    }
  }
  for (let turn = 0; turn < turns; turn++) {
    for (const { load } of shuffled([...running.values()])) {
      load.state.child.kill("SIGCONT");
      await sleep(turnMs);
      load.state.child.kill("SIGSTOP");
    }
  }
  for (const [member, run] of running) {
    results.set(member, await finish(run, leadMs).catch((error) => error));
  }
  return members.map((member) => results.get(member));
}
