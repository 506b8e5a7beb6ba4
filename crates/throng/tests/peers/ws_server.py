"""A WebSocket server, by the library websockets. Arguments: port, or port, certificate and key for TLS.

What it does is in the path: /echo echoes; /ping also pings all the time; /close/CODE closes so after the
first message; /sink takes messages. "close 4001" and "fragments" as messages do what they say. Of each
connection that is gone it says a line of JSON on stderr."""

import asyncio
import hashlib
import json
import ssl
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


async def ping(ws, seen):
    while True:
        await (await ws.ping())
        seen["pongs"] += 1
        await asyncio.sleep(0.02)


async def answer(ws, message):
    path = ws.request.path.split("?")[0]
    if path.startswith("/close/"):
        await ws.close(int(path[7:]), "as asked")
    elif message == "close 4001":
        await ws.close(4001, "as asked")
    elif message == "fragments":
        await ws.send(["ab", "€", "cd"])
    elif path != "/sink":
        await ws.send(message)


async def talk(ws):
    seen = {"path": ws.request.path, "x": ws.request.headers.get("X-Test"), "messages": 0, "pongs": 0}
    first, kinds = [], {}
    await ws.ping("from the server")
    pinging = asyncio.create_task(ping(ws, seen)) if ws.request.path == "/ping" else None
    try:
        async for message in ws:
            seen["messages"] += 1
            if len(first) < 4:
                first.append(message if isinstance(message, str) else len(message))
            if not isinstance(message, str):
                kinds[hashlib.sha256(message).hexdigest()] = len(message)
            await answer(ws, message)
    except ConnectionClosed:
        pass
    if pinging:
        pinging.cancel()
    print(json.dumps({**seen, "first": first, "binary": kinds, "code": ws.close_code}), file=sys.stderr)


async def main(port, *identity):
    tls = None
    if identity:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*identity)
    async with serve(talk, "127.0.0.1", port, max_size=None, backlog=1024, ssl=tls) as server:
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
