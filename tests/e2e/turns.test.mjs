// The bench counts only what lies within one turn of a load client (bench/lib/turns.mjs).
import assert from "node:assert/strict";
import test from "node:test";
import { withinTurns } from "../../bench/lib/turns.mjs";

/** Ticks of 10 ms with 100 deliveries and 500 us of CPU each, from these moments on. */
function turn(ticks, fromMs, count) {
  for (let i = 0; i < count; i++) {
    const last = ticks.at(-1) ?? { deliveries: 0, server_cpu_ns: 0 };
    ticks.push({ us: (fromMs + i * 10) * 1000, deliveries: last.deliveries + 100, server_cpu_ns: last.server_cpu_ns + 500000 });
  }
  return ticks;
}

test("what lies between two turns and at their beginning is left out", () => {
  const ticks = turn([], 1000, 11); // 100 ms, of which 60 count
  ticks.push({ us: 1500000, deliveries: ticks.at(-1).deliveries + 7777, server_cpu_ns: ticks.at(-1).server_cpu_ns + 1 });
  turn(ticks, 1510, 10); // 100 ms from the pause on
  assert.deepEqual(withinTurns(ticks, 40), { us: 120000, deliveries: 1200, cpuNs: 6000000 });
});

test("turns that are all beginning give nothing", () => {
  assert.deepEqual(withinTurns(turn([], 0, 4), 40), { us: 0, deliveries: 0, cpuNs: 0 });
  assert.deepEqual(withinTurns([], 40), { us: 0, deliveries: 0, cpuNs: 0 });
});
