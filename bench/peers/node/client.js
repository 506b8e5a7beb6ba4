// The Node peer of `throng load`: the net and tls modules, and ws. One process is one thread of JavaScript.
//
//   node client.js PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]
//
// The same job and the same output as ../go/client.go.
'use strict';

const net = require('node:net');
const tls = require('node:tls');
const { performance } = require('node:perf_hooks');

const DIALING = 512; // connects under way at once
const [port, mode, connections, holdSeconds, size, secured] = process.argv.slice(2);
if (!holdSeconds) {
  console.error('usage: node client.js PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]');
  process.exit(2);
}
const WebSocket = mode === 'ws' ? require('ws') : null;
const n = Number(connections);
const message = Buffer.alloc(Number(size || 16), 'x');
const open = []; // a function for each connection that sends a message on it
const sockets = [];
let dialled = 0;
let replies = 0;
let sending = false;
let done = false;

function up(it) {
  open.push(it);
  if (dialled < n) dial();
  else if (open.length === n) hold();
}

function failed(error) {
  if (done) return;
  console.error(error.message);
  process.exit(1);
}

function dial() {
  dialled++;
  if (WebSocket) dialWebSocket();
  else dialSocket();
}

function dialWebSocket() {
  const url = `${secured ? 'wss' : 'ws'}://127.0.0.1:${port}/`;
  const ws = new WebSocket(url, { perMessageDeflate: false, rejectUnauthorized: false });
  ws.on('open', () => {
    sockets.push(ws._socket);
    up((it) => ws.send(it, { binary: false }));
  });
  ws.on('message', () => {
    if (!sending) return;
    replies++;
    ws.send(message, { binary: false });
  });
  ws.on('error', failed);
}

function dialSocket() {
  let missing = message.length;
  const to = { host: '127.0.0.1', port: Number(port), noDelay: true, rejectUnauthorized: false };
  const socket = (secured ? tls : net).connect(to, () => {
    sockets.push(socket);
    up((it) => socket.write(it));
  });
  socket.on('data', (data) => {
    missing -= data.length;
    if (missing === 0 && sending) {
      replies++;
      missing = message.length;
      socket.write(message);
    }
  });
  socket.on('error', failed);
}

function hold() {
  const seconds = (performance.now() - start) / 1000;
  if (mode !== 'sink') {
    sending = true;
    for (const it of open) it(message);
  }
  setTimeout(() => {
    sending = false;
    done = true;
    console.log(JSON.stringify({
      started_unix_s: started,
      connections: { established: open.length },
      set_up: { seconds },
      message_rate: { reached_per_s: replies / Number(holdSeconds) },
    }));
    // No TIME_WAIT for the next run to meet.
    for (const socket of sockets) (secured ? socket.destroy() : socket.resetAndDestroy());
    setTimeout(() => process.exit(0), 200);
  }, Number(holdSeconds) * 1000);
}

const started = Date.now() / 1000;
const start = performance.now();
for (let i = Math.min(DIALING, n); i > 0; i--) dial();
