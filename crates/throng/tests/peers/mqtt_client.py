"""A client of MQTT: mqtt_client.py PORT VERSION QOS CLIENTS MESSAGES [CERTIFICATE]

Each client subscribes to $SYS/echo, publishes messages to it, one after the other comes back, and disconnects. Says on stderr
what all clients together have seen, as a line of JSON."""

import json
import sys
import threading

import paho.mqtt.client as mqtt

PORT, VERSION, QOS, CLIENTS, MESSAGES = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
CERTIFICATE = sys.argv[6] if len(sys.argv) > 6 else None
PROTOCOL = {"5": mqtt.MQTTv5, "3.1.1": mqtt.MQTTv311}[VERSION]
TOPIC = "$SYS/echo"
lock = threading.Lock()
seen = {"connected": 0, "granted": 0, "acknowledged": 0, "echoes": 0, "wrong": 0}


def count(what):
    with lock:
        seen[what] += 1


def run(number):
    done = threading.Event()
    payloads = [f"{number} {n} ".encode() * (1 + 5000 * n) for n in range(MESSAGES)]
    echoes = []
    acknowledged = []

    def check():
        if len(echoes) == MESSAGES and len(acknowledged) == MESSAGES:
            done.set()

    def on_connect(client, _, flags, reason, properties):
        if not reason.is_failure:
            count("connected")
        client.subscribe(TOPIC, QOS)

    def on_subscribe(client, _, mid, reasons, properties):
        if [reason.value for reason in reasons] == [QOS]:
            count("granted")
        for payload in payloads:
            client.publish(TOPIC, payload, QOS)

    def on_publish(client, _, mid, reason, properties):
        acknowledged.append(mid)
        count("acknowledged")
        check()

    def on_message(client, _, message):
        right = message.topic == TOPIC and message.qos == QOS and not message.dup
        in_order = len(echoes) < MESSAGES and message.payload == payloads[len(echoes)]
        echoes.append(message.payload)
        count("echoes" if right and in_order else "wrong")
        check()

    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=f"client{number}", protocol=PROTOCOL
    )
    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.on_publish, client.on_message = on_publish, on_message
    if CERTIFICATE:
        client.tls_set(CERTIFICATE)
    client.connect("127.0.0.1", int(PORT), keepalive=60)
    client.loop_start()
    done.wait(30)
    client.disconnect()
    client.loop_stop()


threads = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(seen), file=sys.stderr)
