"""A WebSocket echo server, by the library websockets. Arguments: port.

Pings each client once. Answers "fragments" in three fragments, and "close 4001" by closing so."""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(ws):
    await ws.ping("from the server")
    async for message in ws:
        if message == "close 4001":
            await ws.close(4001, "as asked")
        elif message == "fragments":
            await ws.send(["ab", "€", "cd"])
        else:
            await ws.send(message)


async def main(port):
    async with serve(echo, "127.0.0.1", port, max_size=None) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
