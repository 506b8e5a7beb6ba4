"""The Python peer of `throng load`: asyncio protocols on uvloop, and websockets; one thread.

    client.py PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]

The same job and the same output as ../go/client.go.
"""

import asyncio
import json
import os
import resource
import ssl
import sys
import time

import uvloop

DIALING = 512  # connects under way at once


class Client(asyncio.Protocol):
    """Sends the message again whenever the whole of it has come back."""

    __slots__ = ("transport", "missing")
    message = b""
    replies = 0
    sending = False

    def connection_made(self, transport):
        self.transport = transport

    def send(self):
        self.missing = len(Client.message)
        self.transport.write(Client.message)

    def data_received(self, data):
        self.missing -= len(data)
        if self.missing == 0 and Client.sending:
            Client.replies += 1
            self.send()


async def converse(connection, text):
    while Client.sending:
        await connection.send(text)
        await connection.recv()
        Client.replies += 1


async def main(port, mode, n, hold, size, secured=None):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    context = None
    if secured:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    clients = []
    left = iter(range(n))

    async def open_one():
        if mode != "ws":
            _, client = await loop.create_connection(Client, "127.0.0.1", port, ssl=context)
            return client
        from websockets.asyncio.client import connect

        url = f"{'wss' if secured else 'ws'}://127.0.0.1:{port}/"
        return await connect(url, ssl=context, compression=None, ping_interval=None, open_timeout=60, proxy=None)

    async def dial():
        for _ in left:
            clients.append(await open_one())

    started, start = time.time(), time.monotonic()
    await asyncio.gather(*(dial() for _ in range(min(DIALING, n))))
    set_up = time.monotonic() - start
    Client.message, Client.sending = b"x" * size, mode != "sink"
    talking = []
    if mode == "echo":
        for client in clients:
            client.send()
    elif mode == "ws":
        talking = [asyncio.create_task(converse(client, "x" * size)) for client in clients]
    await asyncio.sleep(hold)
    Client.sending = False
    report = {
        "started_unix_s": started,
        "connections": {"established": len(clients)},
        "set_up": {"seconds": set_up},
        "message_rate": {"reached_per_s": Client.replies / hold},
    }
    print(json.dumps(report), flush=True)
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(0)  # lets the aborts happen
    os._exit(0)  # with what may still wait for an answer


if len(sys.argv) < 5:
    sys.exit("usage: client.py PORT sink|echo|ws CONNECTIONS HOLD_SECONDS [SIZE [tls]]")
uvloop.install()
args = sys.argv[1:] + ["16"][len(sys.argv) - 5 :]
asyncio.run(main(int(args[0]), args[1], int(args[2]), float(args[3]), int(args[4]), *args[5:]))
