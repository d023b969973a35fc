#!/usr/bin/env node
// How many bytes price_updates put on the wire: whole messages against deltas, as text and as
// MessagePack, plain and with permessage-deflate, at full rate and at a limited one; all clients
// side by side on one server. Counted are whole data frames as they came, headers included, from
// the moment when all have subscribed; the replies to commands are not.
//
//     bench/delta.mjs PORT MS [HZ] [SYMBOLS;SYMBOLS…]     a line of JSON for each client
import { connect } from "node:net";
import { inflateRawSync } from "node:zlib";

const OPCODE_TEXT = 1;
const OPCODE_BINARY = 2;

const upgrade = (port, { packed, deflate }) =>
  [
    "GET /ws HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(packed ? ["Sec-WebSocket-Protocol: coincast.msgpack.v1"] : []),
    ...(deflate ? ["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"] : []),
    "\r\n",
  ].join("\r\n");

/** A masked text frame; the mask is zero. */
function frame(value) {
  const text = Buffer.from(JSON.stringify(value));
  const head = text.length < 126 ? Buffer.from([0x81, 0x80 | text.length]) : Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), text]);
}

/** The first frame of `bytes`, or null while it is not whole. */
function firstFrame(bytes) {
  if (bytes.length < 2) return null;
  const short = bytes[1];
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < head) return null;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < head + length) return null;
  return { size: head + length, opcode: bytes[0] & 15, deflated: (bytes[0] & 0x40) !== 0, payload: bytes.subarray(head, head + length) };
}

/** One client; resolves when its subscription was confirmed. */
function open(port, how) {
  return new Promise((resolve, reject) => {
    const client = { ...how, messages: 0, bytes: 0, deltas: 0, deflated: 0, conflated: 0, counting: false };
    const socket = connect(port, "127.0.0.1", () => socket.write(upgrade(port, how)));
    let rest = Buffer.alloc(0);
    let upgraded = false;
    const take = ({ size, opcode, deflated, payload }) => {
      if (opcode !== OPCODE_TEXT && opcode !== OPCODE_BINARY) return;
      if (!client.counting) {
        const plain = deflated ? inflateRawSync(payload, { finishFlush: 2 }) : payload;
        if (plain.includes("subscribed") && plain.includes("price_updates")) resolve(client);
        return;
      }
      client.bytes += size;
      client.messages++;
      client.deflated += deflated ? 1 : 0;
      if (deflated) return; // what is in it needs not be known
      client.deltas += payload.includes("delta") ? 1 : 0;
      client.conflated += payload.includes("conflated") ? 1 : 0;
    };
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("the server closed a connection")));
    socket.on("data", (piece) => {
      rest = rest.length > 0 ? Buffer.concat([rest, piece]) : piece;
      if (!upgraded) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        if (!rest.subarray(0, end).includes(" 101 ")) return reject(new Error("the upgrade was refused"));
        upgraded = true;
        rest = rest.subarray(end + 4);
        for (const channel of ["dashboard_update", "btc_price_update"]) socket.write(frame({ type: "unsubscribe", channel }));
        const params = { symbols: how.symbols, delta: how.delta, ...(how.hz ? { max_hz: how.hz } : {}) };
        socket.write(frame({ type: "subscribe", channel: "price_updates", params }));
      }
      for (let one = firstFrame(rest); one !== null; one = firstFrame(rest)) {
        take(one);
        rest = rest.subarray(one.size);
      }
    });
  });
}

const [port, ms, hz = "10", sets = "BTC;ETH;BTC,ETH"] = process.argv.slice(2);
if (!(Number(port) > 0) || !(Number(ms) > 0) || !(Number(hz) > 0)) {
  process.stderr.write("usage: bench/delta.mjs PORT MS [HZ] [SYMBOLS;SYMBOLS…]\n");
  process.exit(2);
}
const both = [false, true];
const hows = sets.split(";").flatMap((set) =>
  [null, Number(hz)].flatMap((rate) =>
    both.flatMap((packed) => both.flatMap((deflate) => both.map((delta) => ({ symbols: set.split(","), hz: rate, packed, deflate, delta })))),
  ),
);
try {
  const clients = await Promise.all(hows.map((how) => open(Number(port), how)));
  for (const client of clients) client.counting = true;
  await new Promise((resolve) => setTimeout(resolve, Number(ms)));
  for (const { counting, ...client } of clients) process.stdout.write(`${JSON.stringify(client)}\n`);
  process.exit(0);
} catch (error) {
  process.stderr.write(`bench/delta.mjs: ${error.message}\n`);
  process.exit(1);
}
