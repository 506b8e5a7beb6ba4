// An echo server on Node's net. Arguments: port.
"use strict";
const net = require("node:net");

net
  .createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  })
  .listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 1024 });
