"""A server that gets WebSocket wrong, each path in its own way. Arguments: port.

Says on stderr how each connection ended: the path, and the code of the client's close frame, if one came."""

import asyncio
import base64
import hashlib
import struct
import sys

ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
FRAMES = {
    "/masked": b"\x81\x81\x00\x00\x00\x00a",
    "/reserved": b"\xc1\x00",
    "/opcode": b"\x83\x00",
    "/continuation": b"\x80\x01a",
    "/interrupted": b"\x01\x01a\x81\x01b",
    "/text": b"\x81\x02\xc3\x28",
    "/close-code": b"\x88\x02\x03\xed",
    "/long-ping": b"\x89\x7e\x00\x7e" + b"x" * 126,
    "/and-much-more": b"\x83\x00" + b"x" * 2_000_000,
}


def answer(path, key):
    if path == "/404":
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
    if path == "/no-http":
        return b"220 mail.example.com ESMTP\r\n"
    if path == "/long-head":
        return b"HTTP/1.1 101 Switching Protocols\r\nX-Long: " + b"x" * 20000 + b"\r\n\r\n"
    accept = base64.b64encode(hashlib.sha1(key + ACCEPT).digest())
    if path == "/accept":
        accept = accept[::-1]
    more = {
        "/extension": b"Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "/subprotocol": b"Sec-WebSocket-Protocol: other\r\n",
    }.get(path, b"")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + b"Sec-WebSocket-Accept: "
        + accept
        + b"\r\n"
        + more
        + b"\r\n"
    )


def pong(path, payload):
    """What answers a ping: on some paths, something else than its pong."""
    if path == "/no-pong":
        return b""
    if path == "/empty-pong":
        payload = b""
    if path == "/other-pong":
        payload = payload[::-1]
    return bytes([0x8A, len(payload)]) + payload


async def close_code(path, reader, writer):
    """The code of the next close frame. Pings before it are answered; anything else is passed over."""
    while True:
        head = await reader.readexactly(2)
        length = head[1] & 127
        if length == 126:
            length = struct.unpack(">H", await reader.readexactly(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", await reader.readexactly(8))[0]
        mask = await reader.readexactly(4)
        payload = await reader.readexactly(length)
        plain = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
        if head[0] & 15 == 9:
            writer.write(pong(path, plain))
        if head[0] & 15 == 8:
            return struct.unpack(">H", plain[:2])[0]


async def talk(reader, writer):
    request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    path = request[0].split()[1].decode()
    key = next(line[19:] for line in request if line.lower().startswith(b"sec-websocket-key: "))
    code = None
    try:
        writer.write(answer(path, key))
        writer.write(FRAMES.get(path, b""))
        await writer.drain()
        code = await close_code(path, reader, writer)
    except (asyncio.IncompleteReadError, ConnectionError) as e:
        code = type(e).__name__
    print(path, code, file=sys.stderr)
    writer.close()


async def main(port):
    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
