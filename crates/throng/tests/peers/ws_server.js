// A WebSocket server, by the library ws. Arguments: port.
//
// The path selects what it does: /echo echoes; /ping also pings all the time; /close/CODE closes with CODE after the
// first message; /sink discards messages. The messages "close 4001" and "fragments" do what they say. For each
// connection that has ended it prints a line of JSON to stderr.
"use strict";
const { WebSocketServer } = require("ws");
const crypto = require("node:crypto");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 1024,
  maxPayload: 0,
  perMessageDeflate: true,
});
server.on("connection", (ws, request) => {
  const path = request.url.split("?")[0];
  const seen = { path: request.url, x: request.headers["x-test"], messages: 0, pings: 0, pongs: 0 };
  const first = [];
  const kinds = {};
  let pinging;
  if (path === "/ping") pinging = setInterval(() => ws.ping(), 20);
  ws.on("error", (e) => (seen.error = e.message));
  ws.ping("from the server");
  ws.on("ping", () => seen.pings++);
  ws.on("pong", () => seen.pongs++);
  ws.on("close", (code) => {
    clearInterval(pinging);
    console.error(JSON.stringify({ ...seen, first, binary: kinds, code }));
  });
  ws.on("message", (data, binary) => {
    seen.messages++;
    const text = binary ? "" : data.toString();
    if (first.length < 4) first.push(binary ? data.length : text);
    if (binary) kinds[crypto.createHash("sha256").update(data).digest("hex")] = data.length;
    if (path.startsWith("/close/")) {
      ws.close(Number(path.slice(7)), "as asked");
    } else if (text === "close 4001") {
      ws.close(4001, "as asked");
    } else if (text === "fragments") {
      ws.send("ab", { fin: false });
      ws.send("€", { fin: false });
      ws.send("cd", { fin: true });
    } else if (path !== "/sink") {
      ws.send(data, { binary });
    }
  });
});
