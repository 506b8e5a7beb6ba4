"""An asyncio echo server. Arguments: a port, or the path of a Unix socket."""

import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(place):
    loop = asyncio.get_running_loop()
    if place.startswith("/"):
        server = await loop.create_unix_server(Echo, place, backlog=1024)
    else:
        server = await loop.create_server(Echo, "127.0.0.1", int(place), backlog=1024)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
