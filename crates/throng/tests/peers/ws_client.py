"""A client of a WebSocket server, by the library websockets. Arguments: port, what the server does,
and for TLS whom to trust.

echo: tries messages of many kinds, fragments, pings and close codes. sink: sends 20 messages of 1 MiB.
listen: reads what it sends by itself. Prints what was right, and ends with 0 only if everything was."""

import asyncio
import os
import ssl
import sys

from websockets.asyncio.client import connect

PORT, WHAT, *TRUSTED = sys.argv[1:]
TLS = {"ssl": ssl.create_default_context(cafile=TRUSTED[0])} if TRUSTED else {}

MESSAGES = {
    "text": "hello, wörld €",
    "empty text": "",
    "binary": b"\x00\xff\x80",
    "empty binary": b"",
    "64 KiB binary": os.urandom(64 << 10),
    "1 MiB binary": os.urandom(1 << 20),
    "64 KiB text": "€a" * (16 << 10),
    "1 MiB text": "äöü€" * 116_508,
}


async def echoes(url):
    async with connect(url, max_size=None, **TLS) as ws:
        for name, message in MESSAGES.items():
            await ws.send(message)
            assert await ws.recv() == message, name
            print("ok", name)
        await ws.send(["ab", "€", "", "cd"])
        assert await ws.recv() == "ab€cd"
        await ws.send([b"ab", b"c" * 100_000, b"d"])
        assert await ws.recv() == b"ab" + b"c" * 100_000 + b"d"
        print("ok fragments")
        await (await ws.ping("marked"))
        await ws.pong("unasked")
        print("ok ping")

        async def with_a_ping_inside():
            yield "one "
            await (await ws.ping())
            yield "two"

        await ws.send(with_a_ping_inside())
        assert await ws.recv() == "one two"
        print("ok ping between fragments")
        for start in range(0, 20_000, 100):
            for n in range(start, start + 100):
                await ws.send(f"message {n}")
            for n in range(start, start + 100):
                assert await ws.recv() == f"message {n}"
        print("ok 20000 messages, 100 at a time")
    assert ws.close_code == 1000, ws.close_code


async def closes(url):
    for code in (1000, 1001, 1003, 1011, 3000, 4999):
        ws = await connect(url, **TLS)
        await ws.close(code, "because")
        answer = ws.protocol.close_rcvd
        assert answer is not None and answer.code == code, (code, answer)
        print("ok close", code)


async def many(url):
    all = await asyncio.gather(*(connect(url, **TLS) for _ in range(300)))
    await asyncio.gather(*(ws.send("x" * 1000) for ws in all))
    assert set(await asyncio.gather(*(ws.recv() for ws in all))) == {"x" * 1000}
    await asyncio.gather(*(ws.close() for ws in all))
    print("ok 300 connections")


async def sink(url):
    async with connect(url, **TLS) as ws:
        for n in range(20):
            await ws.send(os.urandom(1 << 20))
            if n % 5 == 0:
                await (await ws.ping())
        await ws.close(1001, "enough")
        assert ws.protocol.close_rcvd.code == 1001
    async for message in ws:
        raise AssertionError(message)
    print("ok sink")


async def listen(url):
    async with connect(url, **TLS) as ws:
        assert await ws.recv() == "first"
        for _ in range(10):
            assert await ws.recv() == "tick"
        await (await ws.ping("still there?"))
        assert await ws.recv() == "tick"
        await ws.close(3000)
        assert ws.protocol.close_rcvd.code == 3000
    print("ok listen")


async def main():
    url = f"{'wss' if TLS else 'ws'}://127.0.0.1:{PORT}/any?path=1"
    async with asyncio.timeout(50):
        if WHAT == "echo":
            await echoes(url)
            await closes(url)
            await many(url)
        elif WHAT == "sink":
            await sink(url)
        else:
            await listen(url)


asyncio.run(main())
