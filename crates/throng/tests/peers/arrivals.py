"""Takes messages, and compares the times between them with those of a Poisson process. Arguments: port, bytes of a message, messages
per second.

When a message arrived is what the kernel says (SO_TIMESTAMPNS, socket(7)), so it does not matter when this program had a processor. Once
all connections are gone it says a line of JSON on stderr: how many messages came, and the statistic and p of a Kolmogorov-Smirnov test."""

import json
import selectors
import socket
import struct
import sys

SO_TIMESTAMPNS = 35

port, length, rate = (int(word) for word in sys.argv[1:])
listener = socket.create_server(("127.0.0.1", port), backlog=1024)
# Accepted sockets inherit it.
listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
loop = selectors.DefaultSelector()
loop.register(listener, selectors.EVENT_READ)
times, open_now = [], 0


def receive(connection):
    """One message, so that its time is its own. Returns whether there may be others."""
    message, control, _, _ = connection.recvmsg(length, 128)
    if not message:
        return False
    [(_, kind, stamp)] = control
    if len(message) != length or kind != SO_TIMESTAMPNS:
        sys.exit(f"{len(message)} bytes with {control}")
    seconds, nanoseconds = struct.unpack("qq", stamp)
    times.append(seconds + nanoseconds / 1e9)
    return True


while open_now or not times:
    for key, _ in loop.select():
        if key.fileobj is listener:
            loop.register(listener.accept()[0], selectors.EVENT_READ)
            open_now += 1
        elif not receive(key.fileobj):
            loop.unregister(key.fileobj)
            key.fileobj.close()
            open_now -= 1

import numpy  # noqa: E402  takes a second, in which messages would wait
from scipy.stats import kstest  # noqa: E402

found = kstest(numpy.diff(numpy.sort(times)), "expon", args=(0, 1 / rate))
print(json.dumps({"messages": len(times), "statistic": found.statistic, "p": found.pvalue}), file=sys.stderr)
