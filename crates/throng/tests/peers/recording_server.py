"""Takes what comes and sends nothing. Arguments: port.

Of each connection that is gone it says a line of JSON on stderr: how many bytes came, how they began, and how
many seconds the connection lived."""

import asyncio
import json
import sys
import time


async def talk(reader, writer):
    begun, count, text = time.monotonic(), 0, b""
    try:
        while piece := await reader.read(1 << 16):
            count += len(piece)
            text += piece[: 1000 - len(text)]
    except ConnectionError:
        pass
    lived = time.monotonic() - begun
    said = {"bytes": count, "text": text.decode(), "lived": lived}
    print(json.dumps(said), file=sys.stderr)
    writer.close()


async def main(port):
    server = await asyncio.start_server(talk, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
