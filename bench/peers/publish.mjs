// The publishing side that the peers share: the request Coincast takes, and its envelope.
let seq = 0;

/** Answers POST /api/v1/publish; calls send(text, message) for each item of the list. */
export function takePublish(request, response, send) {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    if (request.method !== "POST") {
      response.writeHead(404).end();
      return;
    }
    const list = JSON.parse(Buffer.concat(parts).toString());
    for (const { channel, data } of list) {
      const message = { type: "message", channel, data, timestamp: new Date().toISOString(), cursor: `peer-${++seq}` };
      send(JSON.stringify(message), message);
    }
    const answer = JSON.stringify({ accepted: list.length, cursor: `peer-${seq}` });
    response.writeHead(200, { "Content-Type": "application/json", "Content-Length": answer.length });
    response.end(answer);
  });
}
