// Processes: starting them on a core, ending exactly those, and what /proc says of them.
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createServer, connect } from "node:net";
import { cpus, release } from "node:os";

const running = new Set();

/** Starts a program pinned to `cores` ("0"); its output is kept for error messages. */
export function start(cores, command, args, options = {}) {
  const child = spawn("taskset", ["-c", cores, command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
    env: { ...process.env, ...options.env },
  });
  const state = { child, pid: child.pid, out: "", err: "", exit: null };
  child.stdout.on("data", (text) => {
    state.out += text;
    state.onOutput?.();
  });
  child.stderr.on("data", (text) => (state.err = (state.err + text).slice(-4000)));
  state.ended = new Promise((resolve) => {
    child.on("error", (error) => {
      state.err += error.message;
      resolve((state.exit = -1));
    });
    child.on("close", (code, signal) => {
      running.delete(state);
      resolve((state.exit = code ?? signal));
    });
  });
  running.add(state);
  return state;
}

/** SIGTERM, and SIGKILL when that takes over 4 s. */
export async function stop(state) {
  if (state.exit === null) {
    state.child.kill("SIGTERM");
    const late = setTimeout(() => state.child.kill("SIGKILL"), 4000);
    await state.ended;
    clearTimeout(late);
  }
}

export const stopAll = () => Promise.all([...running].map(stop));

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(socket.destroy() && true));
    socket.on("error", () => resolve(false));
  });
}

/** Until the port accepts; false when the process ended or 10 s passed. */
export async function listening(state, port) {
  for (const end = Date.now() + 10000; Date.now() < end && state.exit === null; await sleep(20)) {
    if (await answers(port)) return true;
  }
  return false;
}

/** A process and its children (nginx works in one). */
export function family(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return [pid, ...(children === "" ? [] : children.split(" ").flatMap((child) => family(Number(child))))];
}

/** Nanoseconds of CPU over all threads of all these processes. */
export function cpuNs(pids) {
  let sum = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
    }
  }
  return sum;
}

/** Proportional resident bytes of all these processes. */
export function memoryBytes(pids) {
  let kb = 0;
  for (const pid of pids) {
    kb += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]);
  }
  return kb * 1024;
}

/** The kernel thread that does a core's deferred network work. */
export function ksoftirqd(core) {
  for (const entry of readdirSync("/proc")) {
    try {
      if (/^\d+$/.test(entry) && readFileSync(`/proc/${entry}/comm`, "utf8").trim() === `ksoftirqd/${core}`) {
        return Number(entry);
      }
    } catch {
      // it ended meanwhile
    }
  }
  return null;
}

/** Runs a program to its end; its standard output, or an error that says what it said. */
export async function output(command, args, options) {
  const state = start(options?.cores ?? "0-1", command, args, options);
  const late = setTimeout(() => state.child.kill("SIGKILL"), options?.timeoutMs ?? 120000);
  await state.ended;
  clearTimeout(late);
  if (state.exit !== 0) throw new Error(`${command}: ${state.err.trim() || `exit ${state.exit}`}`);
  return state.out;
}

export async function machine(root) {
  const compiler = (await output("cc", ["--version"])).split("\n")[0];
  const commit = (await output("git", ["-C", root, "rev-parse", "--short", "HEAD"])).trim();
  const memory = /MemTotal:\s+(\d+)/.exec(readFileSync("/proc/meminfo", "utf8"))[1];
  return {
    cpu: cpus()[0].model,
    cores: cpus().length,
    memoryGib: Math.round(memory / 1048576),
    kernel: release(),
    compiler,
    node: process.version,
    commit,
  };
}
