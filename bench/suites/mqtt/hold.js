// Opens connections to an MQTT server with MQTT.js, holds them, and prints how long that took.
//
// Usage: hold.js MODULE HOST PORT CONNECTIONS SECONDS
const [module_, host, port, connections, seconds] = process.argv.slice(2);
const mqtt = require(module_);
// Those that may wait for the server at a time.
const AT_A_TIME = 200;
const began = process.hrtime.bigint();
let opened = 0;
let accepted = 0;
const clients = [];

function open() {
  const client = mqtt.connect(`mqtt://${host}:${port}`, {
    protocolVersion: 5,
    clientId: `js${opened++}`,
    keepalive: 600,
    reconnectPeriod: 0,
    connectTimeout: 600000,
  });
  clients.push(client);
  client.on('error', (error) => {
    console.error(`refused: ${error.message}`);
    process.exit(1);
  });
  client.on('connect', () => {
    accepted++;
    if (opened < connections) open();
    if (accepted == connections) {
      const took = Number(process.hrtime.bigint() - began) / 1e9;
      console.log(`${connections} accepted in ${took.toFixed(6)}`);
      setTimeout(() => process.exit(0), seconds * 1000);
    }
  });
}

for (let n = 0; n < Math.min(AT_A_TIME, connections); n++) open();
