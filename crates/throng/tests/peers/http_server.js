// An HTTP server in Node: http_server.js PORT|PATH [CERTIFICATE KEY], where a path is that of a Unix socket. Answers every request with a short text, 3 ms late for /late. On
// SIGTERM it prints how many requests, and how many connections, it had, and ends.
const fs = require("fs");
const [port, certificate, key] = process.argv.slice(2);
let requests = 0;
let bodies = 0;
let connections = 0;
const answer = (request, response) => {
  requests += 1;
  request.on("data", (data) => (bodies += data.length));
  const say = () => response.end("Hello from Node\n");
  request.on("end", () => (request.url === "/late" ? setTimeout(say, 3) : say()));
};
const server = certificate
  ? require("https").createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) }, answer)
  : require("http").createServer(answer);
server.keepAliveTimeout = 60_000;
server.on("connection", () => (connections += 1));
const place = port.startsWith("/") ? { path: port } : { port: Number(port), host: "127.0.0.1" };
server.listen({ ...place, backlog: 4096 });
process.on("SIGTERM", () => {
  console.error(JSON.stringify({ requests, bodies, connections }));
  process.exit(0);
});
