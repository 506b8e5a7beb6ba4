"""Carries what an agent of a fleet says over TCP, so that a test can cut the way, or make it slow.

    relay.py serve PORT COMMAND...   starts COMMAND, whose stdin and stdout are the first connection to PORT
    relay.py to PORT DELAY_S         joins stdin and stdout to a connection to PORT; all arrives DELAY_S later
"""

import collections
import os
import socket
import subprocess
import sys
import threading
import time


def serve(port, command):
    listener = socket.create_server(("127.0.0.1", port))
    connection, _ = listener.accept()
    started = subprocess.Popen(command, stdin=connection, stdout=connection)
    # The command's copies are all that is left: when it ends, so does the connection.
    connection.close()
    return started.wait()


def late(read, write, delay):
    """Copies until there is no more, each piece `delay` seconds after it came."""
    pieces, more = collections.deque(), threading.Condition()

    def take():
        while True:
            piece = read()
            with more:
                pieces.append((time.monotonic() + delay, piece))
                more.notify()
            if not piece:
                return

    threading.Thread(target=take, daemon=True).start()
    while True:
        with more:
            more.wait_for(lambda: pieces)
            due, piece = pieces.popleft()
        time.sleep(max(0.0, due - time.monotonic()))
        if not piece:
            return
        write(piece)


def to(port, delay):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def out():
        late(lambda: os.read(0, 1 << 16), connection.sendall, delay)
        connection.shutdown(socket.SHUT_WR)

    threading.Thread(target=out, daemon=True).start()
    # When the agent has ended, so does this.
    late(lambda: connection.recv(1 << 16), lambda piece: os.write(1, piece), delay)


match sys.argv[1:]:
    case ["serve", port, *command]:
        sys.exit(serve(int(port), command))
    case ["to", port, delay]:
        to(int(port), float(delay))
    case _:
        sys.exit(__doc__)
