"""An HTTP server whose answers are wrong, cut or slow, each in a way that the path names.

Usage: http_cases.py PORT. It reads one request at a time, and prints how many it has read, in JSON, when it is ended.
"""

import asyncio
import json
import os
import signal
import socket
import struct
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def event(number):
    text = b"id: %d\r\ndata: x\r\n\r\n" % number
    return b"%x\r\n%s\r\n" % (len(text), text)


EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"".join(map(event, [1, 2, 5]))
)

# What is written, and whether the connection is closed behind it ("fin"), reset ("rst"), or kept ("keep").
CASES = {
    "good": (OK, "keep"),
    "chunked": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n"
        b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "keep",
    ),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK, "keep"),
    "announced": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "fin"),
    "until-close": (b"HTTP/1.1 200 OK\r\n\r\nhello", "fin"),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "fin"),
    "error": (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "keep"),
    "truncated": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "fin"),
    "half-head": (b"HTTP/1.1 200 OK\r\nContent-Le", "fin"),
    "half-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "fin"),
    "until-reset": (b"HTTP/1.1 200 OK\r\n\r\nhello", "rst"),
    "reset": (b"", "rst"),
    "nothing": (b"", "fin"),
    "garbage": (b"SSH-2.0-OpenSSH_9.2p1\r\n", "keep"),
    "bare-lf": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "keep"),
    "two-lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "keep",
    ),
    "smuggled": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "keep",
    ),
    "long-head": (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 20000 + b"\r\n\r\n", "keep"),
    "bad-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", "keep"),
    "switched": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "keep"),
    "twice": (OK + OK, "keep"),
    # Three events, two of whose numbers are left out: a stream that the server ends, one that it breaks off, and one that lasts.
    "events-end": (EVENTS + b"0\r\n\r\n", "keep"),
    "events-cut": (EVENTS, "fin"),
    "events-last": (EVENTS, "keep"),
}

requests = 0


async def serve(reader, writer):
    global requests
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            requests += 1
            name = head.split(b" ")[1].decode().lstrip("/")
            if name == "silent":
                await asyncio.sleep(3600)
            answer, then = CASES[name]
            # In two parts, as networks do.
            writer.write(answer[: len(answer) // 2])
            await writer.drain()
            await asyncio.sleep(0.001)
            writer.write(answer[len(answer) // 2 :])
            await writer.drain()
            if then == "rst":
                await asyncio.sleep(0.02)
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
            if then == "fin":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main():
    await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(json.dumps({"requests": requests}), file=sys.stderr, flush=True)
    # Without waiting for those that sleep.
    os._exit(0)


asyncio.run(main())
