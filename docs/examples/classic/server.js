// The server of the classic experiment: answers /hello. server.js PORT
const server = require("http").createServer((request, response) => response.end("Hello World\n"));
server.keepAliveTimeout = 60_000;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 65_535 });
