"""An asyncio client of an echo server. Arguments: port, connections, messages on each.

Checks that what comes back is what was sent, and ends with 0 only then."""

import asyncio
import sys


async def talk(port, number, messages):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for i in range(messages):
        # Of every size, so that reads and messages don't coincide.
        message = f"{number}:{i};".encode() * (1 + (number * 31 + i * 977) % 4000)
        writer.write(message)
        await writer.drain()
        echo = await reader.readexactly(len(message))
        assert echo == message, f"connection {number}, message {i} came back changed"
    writer.write_eof()
    rest = await reader.read()
    assert rest == b"", f"connection {number}: {len(rest)} bytes too many"
    writer.close()


async def main(port, connections, messages):
    await asyncio.gather(*(talk(port, n, messages) for n in range(connections)))
    print("all", connections * messages, "came back as they were")


asyncio.run(main(*map(int, sys.argv[1:])))
