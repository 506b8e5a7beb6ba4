"""The Python peer of `throng serve`: asyncio protocols on uvloop, and websockets; one thread.

    server.py PORT sink|echo|ws [CERT KEY]

With a certificate and its key, over TLS. Prints "ready" when it listens and, on SIGTERM or SIGINT, how many
connections it accepted.
"""

import asyncio
import json
import os
import resource
import signal
import ssl
import sys

import uvloop

accepted = open_now = peak = 0


def up():
    global accepted, open_now, peak
    accepted += 1
    open_now += 1
    peak = max(peak, open_now)


def down():
    global open_now
    open_now -= 1


class Sink(asyncio.Protocol):
    __slots__ = ("transport",)

    def connection_made(self, transport):
        self.transport = transport
        up()

    def connection_lost(self, exc):
        down()


class Echo(Sink):
    __slots__ = ()

    def data_received(self, data):
        self.transport.write(data)


async def talk(connection):
    up()
    try:
        async for message in connection:
            await connection.send(message)
    except Exception:  # whatever way it ended: a reset is an ordinary end here
        pass
    finally:
        down()


async def main(port, mode, cert=None, key=None):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    context = None
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
    # The kernel cuts the backlog to somaxconn.
    options = {"backlog": 65535, "ssl": context}
    if mode == "ws":
        from websockets.asyncio.server import serve

        await serve(talk, "127.0.0.1", port, compression=None, ping_interval=None, open_timeout=60, **options)
    else:
        protocol = Echo if mode == "echo" else Sink
        await loop.create_server(protocol, "127.0.0.1", port, **options)
    print("ready", flush=True)
    await stop.wait()
    print(json.dumps({"connections": {"accepted": accepted, "peak": peak}}), flush=True)
    # Nothing to wait for: clients that are still connected are about to disconnect.
    os._exit(0)


if len(sys.argv) not in (3, 5):
    sys.exit("usage: server.py PORT sink|echo|ws [CERT KEY]")
uvloop.install()
asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
