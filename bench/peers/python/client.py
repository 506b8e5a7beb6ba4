"""The Python peer of `throng load`: asyncio protocols on uvloop, one thread.

    client.py PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]

The same job and the same output as ../go/client.go.
"""

import asyncio
import json
import resource
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


async def main(port, mode, n, hold, size):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    clients = []
    left = iter(range(n))

    async def dial():
        for _ in left:
            _, client = await loop.create_connection(Client, "127.0.0.1", port)
            clients.append(client)

    started, start = time.time(), time.monotonic()
    await asyncio.gather(*(dial() for _ in range(min(DIALING, n))))
    set_up = time.monotonic() - start
    if mode == "echo":
        Client.message, Client.sending = b"x" * size, True
        for client in clients:
            client.send()
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


if len(sys.argv) < 5:
    sys.exit("usage: client.py PORT sink|echo CONNECTIONS HOLD_SECONDS [SIZE]")
uvloop.install()
args = sys.argv[1:] + ["16"]
asyncio.run(main(int(args[0]), args[1], int(args[2]), float(args[3]), int(args[4])))
