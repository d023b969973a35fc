// npm ws as a hub with one topic: whoever connects gets every message posted to /api/v1/publish.
// usage: node ws.mjs PORT [deflate]
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { takePublish } from "./publish.mjs";

const [port, deflate] = process.argv.slice(2);
const server = createServer((request, response) =>
  takePublish(request, response, (text) => {
    for (const client of hub.clients) client.send(text);
  }),
);
const hub = new WebSocketServer({
  server,
  perMessageDeflate:
    deflate === "deflate" && { serverNoContextTakeover: true, clientNoContextTakeover: true, threshold: 0 },
});
hub.on("connection", (client) => client.on("error", () => client.terminate()));
server.listen(Number(port), "127.0.0.1", 4096);
