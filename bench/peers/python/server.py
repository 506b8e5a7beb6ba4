"""The Python peer of `throng serve`: asyncio protocols on uvloop, one thread.

    server.py PORT sink|echo

Prints "ready" when it listens and, on SIGTERM or SIGINT, how many connections it accepted.
"""

import asyncio
import json
import resource
import signal
import sys

import uvloop

accepted = open_now = peak = 0


class Sink(asyncio.Protocol):
    __slots__ = ("transport",)

    def connection_made(self, transport):
        global accepted, open_now, peak
        self.transport = transport
        accepted += 1
        open_now += 1
        peak = max(peak, open_now)

    def connection_lost(self, exc):
        global open_now
        open_now -= 1


class Echo(Sink):
    __slots__ = ()

    def data_received(self, data):
        self.transport.write(data)


async def main(port, mode):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)
    protocol = Echo if mode == "echo" else Sink
    # The kernel cuts the backlog to somaxconn.
    server = await loop.create_server(protocol, "127.0.0.1", port, backlog=65535)
    print("ready", flush=True)
    await stop.wait()
    print(json.dumps({"connections": {"accepted": accepted, "peak": peak}}), flush=True)
    server.close()


if len(sys.argv) != 3:
    sys.exit("usage: server.py PORT sink|echo")
uvloop.install()
asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
