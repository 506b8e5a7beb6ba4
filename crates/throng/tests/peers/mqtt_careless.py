"""A broker of MQTT 3.1.1 that sends what is published to a topic to all that subscribed to exactly that topic, but not every
message: of the messages of a publisher it drops each number that leaves 3 when divided by 10, sends each that leaves 5 twice, and
sends each that leaves 7 behind the one that leaves 8. `mute` has it drop whatever follows number 19.

Usage: mqtt_careless.py PORT [mute]. When all clients are gone, it writes what it sent to stderr, as JSON.
"""

import asyncio
import json
import sys

PORT = int(sys.argv[1])
MUTE = "mute" in sys.argv
topics = {}
held = {}
told = {"arrived": 0, "lost": 0, "late": 0, "repeated": 0, "silenced": 0}
clients = 0


async def packet(reader):
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, await reader.readexactly(length)


def publish(writer, topic, payload):
    body = len(topic).to_bytes(2, "big") + topic + payload
    length, rest = bytearray(), len(body)
    while True:
        length.append(rest & 127 | (128 if rest > 127 else 0))
        rest >>= 7
        if not rest:
            break
    writer.write(b"\x30" + bytes(length) + body)


def send(writer, topic, payload):
    number = int(payload[19:27], 16)
    key = (id(writer), payload[:19])
    if MUTE and number > 19:
        told["silenced"] += 1
        return
    if number % 10 == 3:
        told["lost"] += 1
        return
    if number % 10 == 7:
        held[key] = payload
        return
    publish(writer, topic, payload)
    told["arrived"] += 1
    if number % 10 == 5:
        publish(writer, topic, payload)
        told["repeated"] += 1
    if number % 10 == 8 and key in held:
        publish(writer, topic, held.pop(key))
        told["arrived"] += 1
        told["late"] += 1


async def client(reader, writer):
    global clients
    clients += 1
    try:
        while True:
            first, body = await packet(reader)
            kind = first >> 4
            if kind == 1:
                writer.write(b"\x20\x02\0\0")
            elif kind == 8:
                size = int.from_bytes(body[2:4], "big")
                topics.setdefault(body[4 : 4 + size], []).append(writer)
                writer.write(b"\x90\x03" + body[:2] + b"\0")
            elif kind == 3:
                size = int.from_bytes(body[:2], "big")
                topic, rest = body[2 : 2 + size], body[2 + size :]
                if first >> 1 & 3:
                    writer.write(b"\x40\x02" + rest[:2])
                    rest = rest[2:]
                for to in topics.get(topic, []):
                    send(to, topic, rest)
            elif kind == 12:
                writer.write(b"\xd0\0")
            elif kind == 14:
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    for all_of_it in topics.values():
        if writer in all_of_it:
            all_of_it.remove(writer)
    writer.close()
    clients -= 1
    if not clients:
        told["kept"] = len(held)
        print(json.dumps(told), file=sys.stderr)


async def main():
    server = await asyncio.start_server(client, "127.0.0.1", PORT, backlog=1000)
    async with server:
        await server.serve_forever()


asyncio.run(main())
