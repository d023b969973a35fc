// npm socket.io as a hub with one topic: whoever connects gets every message posted to /api/v1/publish.
// usage: node socketio.mjs PORT [deflate]
import { createServer } from "node:http";
import { Server } from "socket.io";
import { takePublish } from "./publish.mjs";

const [port, deflate] = process.argv.slice(2);
const server = createServer((request, response) =>
  takePublish(request, response, (text, message) => io.emit("message", message)),
);
const io = new Server(server, {
  transports: ["websocket"],
  perMessageDeflate:
    deflate === "deflate" && { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
});
server.listen(Number(port), "127.0.0.1", 4096);
