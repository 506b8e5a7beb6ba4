// A client of a WebSocket server, by the library ws. Arguments: port, and what the server does.
//
// echo: tries messages, fragments, pings and close codes, and then everything that breaks the protocol. sink:
// sends 20 messages of 1 MiB. listen: reads what the server sends unasked. Prints what was right, and exits with 0 only
// if everything was.
"use strict";
const WebSocket = require("ws");
const crypto = require("node:crypto");
const net = require("node:net");

const port = Number(process.argv[2]);

function fail(what) {
  console.log("WRONG", what);
  process.exit(1);
}
setTimeout(() => fail("it took too long"), 50_000).unref();

const open = () =>
  new Promise((done) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/any?path=1`);
    ws.on("open", () => done(ws));
    ws.on("error", (e) => ws.readyState === WebSocket.CONNECTING && fail(e.message));
  });
const message = (ws) =>
  new Promise((done) => ws.once("message", (data, binary) => done(binary ? data : data.toString())));
const pong = (ws) => new Promise((done) => ws.once("pong", (data) => done(data.toString())));
const close = (ws) =>
  new Promise((done) => ws.once("close", (code, why) => done([code, why.toString()])));

async function echoes() {
  const ws = await open();
  const messages = [
    "hello wörld €",
    "",
    Buffer.from([0, 255]),
    crypto.randomBytes(64 << 10),
    crypto.randomBytes(1 << 20),
    "äöü€".repeat(116_508),
  ];
  for (const sent of messages) {
    const back = message(ws);
    ws.send(sent);
    const got = await back;
    if (typeof sent === "string" ? got !== sent : !sent.equals(got)) fail(`echo of ${sent.length}`);
    console.log("ok", typeof sent === "string" ? "text" : "binary", sent.length);
  }
  const back = message(ws);
  const ponged = pong(ws);
  ws.send("ab", { fin: false });
  ws.send("", { fin: false });
  ws.ping("between");
  ws.send("cd", { fin: true });
  if ((await ponged) !== "between") fail("pong");
  if ((await back) !== "abcd") fail("fragments");
  console.log("ok fragments, with a ping between them");
  ws.pong("unasked");
  const closed = close(ws);
  ws.close(1000);
  if ((await closed)[0] !== 1000) fail("close");
}

async function closes() {
  for (const code of [1000, 1001, 1003, 1011, 3000, 4999]) {
    const ws = await open();
    const closed = close(ws);
    ws.close(code, "because");
    if ((await closed)[0] !== code) fail(`close ${code}`);
    console.log("ok close", code);
  }
}

// Written past the library: it would not send these.
async function violations() {
  const bytes = (...all) => Buffer.from(all);
  const late = Buffer.concat([bytes(0x81, 0xfe, 0x40, 0, 0, 0, 0, 0), Buffer.alloc(5000, 97), bytes(255)]);
  for (const [name, sent, code] of [
    ["not masked", bytes(0x81, 1, 97), 1002],
    ["a reserved bit", bytes(0xc1, 0x80, 0, 0, 0, 0), 1002],
    ["opcode 3", bytes(0x83, 0x80, 0, 0, 0, 0), 1002],
    ["a long ping", bytes(0x89, 0xfe, 0, 126, 0, 0, 0, 0), 1002],
    ["a fragmented ping", bytes(0x09, 0x80, 0, 0, 0, 0), 1002],
    ["a continuation of nothing", bytes(0x80, 0x80, 0, 0, 0, 0), 1002],
    ["a message in a message", bytes(0x01, 0x80, 0, 0, 0, 0, 0x81, 0x80, 0, 0, 0, 0), 1002],
    ["a length not in its shortest form", bytes(0x82, 0xfe, 0, 1, 0, 0, 0, 0, 1), 1002],
    ["no UTF-8", bytes(0x81, 0x81, 0, 0, 0, 0, 255), 1007],
    ["no UTF-8 in the middle of a frame", late, 1007],
    ["a message of 4 GiB", bytes(0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), 1009],
    ["close code 1005", bytes(0x88, 0x82, 0, 0, 0, 0, 3, 237), 1002],
  ]) {
    const ws = await open();
    const closed = close(ws);
    ws._socket.write(sent);
    const [got, why] = await closed;
    if (got !== code) fail(`${name}: closed with ${got} ${why}`);
    console.log("ok", name, got, why);
  }
}

async function strangers() {
  for (const [request, status] of [
    ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "426"],
    ["POST / HTTP/1.1\r\nHost: x\r\n\r\n", "405"],
    ["hello\r\n\r\n", "400"],
    ["\x16\x03\x01", "400"],
  ]) {
    const got = await new Promise((done) => {
      let all = "";
      const socket = net.connect(port, "127.0.0.1", () => socket.write(request));
      socket.on("data", (data) => (all += data));
      socket.on("end", () => done(all));
      socket.on("error", (e) => done(e.message));
    });
    if (!got.startsWith(`HTTP/1.1 ${status} `)) fail(`${request}: ${got}`);
    console.log("ok", JSON.stringify(request), status);
  }
}

async function sink() {
  const ws = await open();
  ws.on("message", () => fail("a sink sent a message"));
  for (let n = 0; n < 20; n++) {
    await new Promise((sent) => ws.send(crypto.randomBytes(1 << 20), sent));
    if (n % 5 === 0) {
      const ponged = pong(ws);
      ws.ping("there?");
      if ((await ponged) !== "there?") fail("pong");
    }
  }
  const closed = close(ws);
  ws.close(1001, "enough");
  if ((await closed)[0] !== 1001) fail("close");
  console.log("ok sink");
}

async function listen() {
  const got = [];
  const ws = new WebSocket(`ws://127.0.0.1:${port}/any`);
  await new Promise((done) => ws.on("message", (data) => got.push(data.toString()) === 11 && done()));
  if (got.shift() !== "first" || got.some((text) => text !== "tick")) fail(got);
  const ponged = pong(ws);
  ws.ping("still there?");
  if ((await ponged) !== "still there?") fail("pong");
  const closed = close(ws);
  // Past the library: it would not send this.
  ws._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
  const [code, why] = await closed;
  if (code !== 1002) fail(`closed with ${code} ${why}`);
  console.log("ok listen");
}

async function echo() {
  await echoes();
  await closes();
  await violations();
  await strangers();
}

const all = { echo, sink, listen };
all[process.argv[3]]().then(() => process.exit(0), (e) => fail(e.stack));
