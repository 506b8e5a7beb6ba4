"""A server that does one thing as no good server would: misbehaving.py PORT KIND [SECONDS]

closes    closes each connection that many seconds after accepting it
answers   answers what it receives, unchanged, that many seconds later
once      answers the first read of each connection, and closes at the second
pages     answers each read with 100,000 bytes
shouts    answers what it receives, in capitals
talks     sends a line every 50 ms, and reads
ignores   reads, and never answers
deaf      does not read, and closes that many seconds after accepting
blind     does not read for that many seconds, not even into a buffer of its own
sips      reads a little at a time, with that many seconds in between
future    sends a message marker every 50 ms that is dated that many seconds ahead, and reads
ws-nine   WebSocket: leaves the first handshake without an answer, closes the second connection, upgrades all others
ws-half   WebSocket: refuses every second upgrade with 503, and closes the upgraded connections after that many seconds
ws-no     WebSocket: refuses all upgrades with 403
ws-shouts WebSocket: answers each message in capitals
ws-pieces WebSocket: answers each message unchanged, as binary, a byte in each frame
ws-bye    WebSocket: sends a Close frame with code 1013 after that many seconds and leaves TCP open
"""

import asyncio
import base64
import hashlib
import sys
import time

PORT, KIND = int(sys.argv[1]), sys.argv[2]
SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
accepted = 0


async def head(reader):
    return (await reader.readuntil(b"\r\n\r\n")).decode()


async def upgrade(reader, writer):
    request = await head(reader)
    key = next(
        line.split(": ", 1)[1]
        for line in request.split("\r\n")
        if line.lower().startswith("sec-websocket-key")
    )
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


async def messages(reader):
    """The payload of each short frame of a client's."""
    while True:
        head = await reader.readexactly(2)
        mask = await reader.readexactly(4)
        masked = await reader.readexactly(head[1] & 127)
        if head[0] == 0x88:
            break
        yield bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))


async def read_on(reader):
    while await reader.read(65536):
        pass


async def serve(reader, writer):
    global accepted
    accepted += 1
    number = accepted
    try:
        if KIND == "closes":
            await asyncio.sleep(SECONDS)
        elif KIND == "answers":
            while data := await reader.read(65536):
                asyncio.get_running_loop().call_later(SECONDS, writer.write, data)
        elif KIND == "once":
            writer.write(await reader.read(65536))
            await reader.read(65536)
        elif KIND == "pages":
            while await reader.read(65536):
                writer.write(bytes(100_000))
        elif KIND == "shouts":
            while data := await reader.read(65536):
                writer.write(data.upper())
        elif KIND in ("talks", "future"):
            reading = asyncio.ensure_future(read_on(reader))
            while not reading.done():
                ahead = int((time.time() + SECONDS) * 1e6)
                writer.write(b"tick\n" if KIND == "talks" else b"TCPKaliMsgTS-%016x." % ahead)
                await asyncio.sleep(0.05)
        elif KIND == "deaf":
            await asyncio.sleep(SECONDS)
        elif KIND == "blind":
            writer.transport.pause_reading()
            await asyncio.sleep(SECONDS)
            writer.transport.resume_reading()
            await read_on(reader)
        elif KIND == "sips":
            while await reader.read(65536):
                await asyncio.sleep(SECONDS)
        elif KIND == "ignores":
            await read_on(reader)
        elif KIND == "ws-nine":
            if number == 1:
                await read_on(reader)
            elif number != 2:
                await upgrade(reader, writer)
                await read_on(reader)
        elif KIND == "ws-half":
            if number % 2 == 0:
                await head(reader)
                writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            else:
                await upgrade(reader, writer)
                await asyncio.sleep(SECONDS)
        elif KIND == "ws-no":
            await head(reader)
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await read_on(reader)
        elif KIND in ("ws-shouts", "ws-pieces"):
            await upgrade(reader, writer)
            async for message in messages(reader):
                if KIND == "ws-shouts":
                    writer.write(bytes([0x81, len(message)]) + message.upper())
                else:
                    for n, byte in enumerate(message):
                        last = 0x80 if n == len(message) - 1 else 0
                        writer.write(bytes([last | (0 if n else 2), 1, byte]))
        elif KIND == "ws-bye":
            await upgrade(reader, writer)
            await asyncio.sleep(SECONDS)
            writer.write(b"\x88\x02" + (1013).to_bytes(2, "big"))
            await read_on(reader)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=1024)
    await server.serve_forever()


asyncio.run(main())
