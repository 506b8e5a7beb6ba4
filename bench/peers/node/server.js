// The Node peer of `throng serve`: the net module. One process is one thread of JavaScript.
//
//   node server.js PORT sink|echo
//
// Prints "ready" when it listens and, on SIGTERM or SIGINT, how many connections it accepted.
'use strict';

const net = require('node:net');

const [port, mode] = process.argv.slice(2);
if (!mode) {
  console.error('usage: node server.js PORT sink|echo');
  process.exit(2);
}
let accepted = 0;
let open = 0;
let peak = 0;

const server = net.createServer({ noDelay: true }, (socket) => {
  accepted++;
  open++;
  if (open > peak) peak = open;
  if (mode === 'echo') socket.on('data', (data) => socket.write(data));
  else socket.resume();
  socket.on('error', () => {}); // a reset is an ordinary end here
  socket.on('close', () => open--);
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => {
    console.log(JSON.stringify({ connections: { accepted, peak } }));
    process.exit(0);
  });
}

// The kernel cuts the backlog to somaxconn.
server.listen({ host: '127.0.0.1', port: Number(port), backlog: 65535 }, () => console.log('ready'));
