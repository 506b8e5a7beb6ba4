#!/usr/bin/env python3
"""Servers that fall short, each for a reason of its own: limited.py PORT KIND [NUMBER]

holds     accepts and holds, as many as it may have files
limit     holds NUMBER connections, and closes further ones at once
at-once   the same, but others may come once those are gone
none      never accepts; its backlog is NUMBER
slowly    accepts NUMBER connections a second
crashes   exits when NUMBER are connected
deaf      stops listening when NUMBER are connected, and holds those
refuses   answers each connection like an MQTT broker that does not know its user, and closes it
once      closes each connection once it has answered
idle      closes each connection that was idle for NUMBER seconds
random    closes connections at random, aged 0 to NUMBER seconds
half      closes every second connection at once, like a balancer with a dead backend
forks     starts a process for each connection
knee      answers at once, but with more than NUMBER connections only after 300 ms
slower    answers after NUMBER milliseconds for each connection that it holds
group     three listeners with SO_REUSEPORT, one of which is never accepted from; backlog NUMBER
flooded   a listener with a backlog of 1 that never accepts; connects to itself over and over
"""

import heapq
import itertools
import os
import random
import selectors
import signal
import socket
import sys
import time

PORT, KIND = int(sys.argv[1]), sys.argv[2]
NUMBER = float(sys.argv[3]) if len(sys.argv) > 3 else 0
NOT_AUTHORISED = b"\x20\x02\x00\x05"

selector = selectors.DefaultSelector()
# When to close connections that are to be closed.
closing = {}
# Answers that are sent later: when, in which order, on which connection, and what.
later = []
order = itertools.count()
held = 0
accepted = 0


def listen(backlog=4096, group=False):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if group:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def forget(connection):
    global accepted, held
    accepted -= KIND == "at-once"
    held -= 1
    closing.pop(connection, None)
    selector.unregister(connection)
    connection.close()


def hold(connection):
    global held
    held += 1
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ)


def take(listener):
    global accepted
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return
    except OSError:  # No file is left.
        time.sleep(0.05)
        return
    accepted += 1
    limited = KIND in ("limit", "at-once")
    if limited and accepted > NUMBER or KIND == "half" and accepted % 2 == 0:
        connection.close()
        accepted -= limited
    elif KIND == "refuses":
        connection.send(NOT_AUTHORISED)
        connection.close()
    elif KIND == "forks":
        if os.fork() == 0:
            listener.close()
            connection.recv(1)
            os._exit(0)
        connection.close()
    else:
        hold(connection)
        if KIND == "idle":
            closing[connection] = time.monotonic() + NUMBER
        elif KIND == "random":
            closing[connection] = time.monotonic() + random.uniform(0, NUMBER)
    if KIND == "crashes" and accepted >= NUMBER:
        os._exit(70)
    if KIND == "deaf" and accepted >= NUMBER:
        selector.unregister(listener)
        listener.close()
    if KIND == "slowly":
        time.sleep(1 / NUMBER)


def serve(listeners):
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    while True:
        # Those that are gone first: they leave their places to new ones.
        patience = min(0.05, max(0, later[0][0] - time.monotonic())) if later else 0.05
        for key, _ in sorted(selector.select(patience), key=lambda ready: ready[0].fileobj in listeners):
            if key.fileobj in listeners:
                take(key.fileobj)
                continue
            try:
                data = key.fileobj.recv(65536)
            except OSError:
                data = b""
            if data:
                if KIND == "idle":
                    closing[key.fileobj] = time.monotonic() + NUMBER
                after = NUMBER / 1000 * held if KIND == "slower" else 0.3
                if KIND == "slower" or KIND == "knee" and held > NUMBER:
                    heapq.heappush(later, (time.monotonic() + after, next(order), key.fileobj, data))
                else:
                    key.fileobj.send(data)
                    if KIND == "once":
                        forget(key.fileobj)
            else:
                forget(key.fileobj)
        now = time.monotonic()
        while later and later[0][0] <= now:
            _, _, connection, data = heapq.heappop(later)
            try:
                connection.send(data)
            except OSError:  # It was closed meanwhile.
                pass
        for connection in [c for c, at in closing.items() if at <= now]:
            forget(connection)


if KIND == "none":
    listener = listen(int(NUMBER))
    signal.pause()
elif KIND == "flooded":
    listener = listen(1)
    while True:
        connections = [socket.socket() for _ in range(20)]
        for connection in connections:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", PORT))
        time.sleep(0.2)
        for connection in connections:
            connection.close()
elif KIND == "group":
    group = [listen(int(NUMBER), True) for _ in range(3)]
    serve(group[1:])
else:
    if KIND == "forks":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    serve([listen()])
