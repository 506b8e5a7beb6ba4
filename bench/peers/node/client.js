// The Node peer of `throng load`: the net module. One process is one thread of JavaScript.
//
//   node client.js PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]
//
// The same job and the same output as ../go/client.go.
'use strict';

const net = require('node:net');
const { performance } = require('node:perf_hooks');

const DIALING = 512; // connects under way at once
const [port, mode, connections, holdSeconds, size] = process.argv.slice(2);
if (!holdSeconds) {
  console.error('usage: node client.js PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]');
  process.exit(2);
}
const n = Number(connections);
const message = Buffer.alloc(Number(size || 16), 'x');
const sockets = [];
let dialled = 0;
let replies = 0;
let sending = false;

function dial() {
  dialled++;
  let missing = message.length;
  const socket = net.connect({ host: '127.0.0.1', port: Number(port), noDelay: true }, () => {
    sockets.push(socket);
    if (dialled < n) dial();
    else if (sockets.length === n) hold();
  });
  socket.on('data', (data) => {
    missing -= data.length;
    if (missing === 0 && sending) {
      replies++;
      missing = message.length;
      socket.write(message);
    }
  });
  socket.on('error', (error) => {
    console.error(error.message);
    process.exit(1);
  });
}

function hold() {
  const seconds = (performance.now() - start) / 1000;
  if (mode === 'echo') {
    sending = true;
    for (const socket of sockets) socket.write(message);
  }
  setTimeout(() => {
    sending = false;
    console.log(JSON.stringify({
      started_unix_s: started,
      connections: { established: sockets.length },
      set_up: { seconds },
      message_rate: { reached_per_s: replies / Number(holdSeconds) },
    }));
    for (const socket of sockets) socket.resetAndDestroy();
  }, Number(holdSeconds) * 1000);
}

const started = Date.now() / 1000;
const start = performance.now();
for (let i = Math.min(DIALING, n); i > 0; i--) dial();
