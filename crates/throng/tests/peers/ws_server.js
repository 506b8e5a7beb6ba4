// A WebSocket echo server, by the library ws. Arguments: port.
//
// Pings each client once. Answers "fragments" in three fragments, and "close 4001" by closing so.
"use strict";
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 1024,
  perMessageDeflate: true,
});
server.on("connection", (ws) => {
  ws.on("error", () => {});
  ws.ping("from the server");
  ws.on("message", (data, binary) => {
    const text = binary ? "" : data.toString();
    if (text === "close 4001") {
      ws.close(4001, "as asked");
    } else if (text === "fragments") {
      ws.send("ab", { fin: false });
      ws.send("€", { fin: false });
      ws.send("cd", { fin: true });
    } else {
      ws.send(data, { binary });
    }
  });
});
