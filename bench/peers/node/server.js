// The Node peer of `throng serve`: the net and tls modules, and ws. One process is one thread of JavaScript.
//
//   node server.js PORT sink|echo|ws [CERT KEY]
//
// With a certificate and its key, over TLS. Prints "ready" when it listens and, on SIGTERM or SIGINT, how
// many connections it accepted.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');

const [port, mode, cert, key] = process.argv.slice(2);
if (!mode) {
  console.error('usage: node server.js PORT sink|echo|ws [CERT KEY]');
  process.exit(2);
}
let accepted = 0;
let open = 0;
let peak = 0;

function up(it) {
  accepted++;
  open++;
  if (open > peak) peak = open;
  it.on('error', () => {}); // a reset is an ordinary end here
  it.on('close', () => open--);
}

function handle(socket) {
  up(socket);
  if (mode === 'echo') socket.on('data', (data) => socket.write(data));
  else socket.resume();
}

const secured = cert && { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
let server;
if (mode === 'ws') {
  const { WebSocketServer } = require('ws');
  server = secured
    ? require('node:https').createServer(secured)
    : require('node:http').createServer();
  new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws) => {
    up(ws);
    ws.on('message', (data, binary) => ws.send(data, { binary }));
  });
} else if (secured) {
  server = tls.createServer({ ...secured, noDelay: true }, handle);
} else {
  server = net.createServer({ noDelay: true }, handle);
}

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    console.log(JSON.stringify({ connections: { accepted, peak } }));
    process.exit(0);
  });
}

// The kernel cuts the backlog to somaxconn.
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 65535 }, () => console.log('ready'));
