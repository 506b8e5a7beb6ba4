"""Looks at the page of a run as browsers do. Prints what it sees as JSON.

    web_viewer.py URL page [NAME=VALUE ...]     loads it, with these header fields: status, fields, text
    web_viewer.py URL follow N                  follows it N times at once until it is over: each viewer's events
    web_viewer.py URL crowd N                   N viewers that read nothing, and one more that is turned away
"""
import http.client
import json
import socket
import sys
import threading
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
target = url.path + ("?" + url.query if url.query else "")


def ask(path, fields):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in fields)
    for name, value in fields.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection.getresponse()


def events(answer):
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def follow(into):
    answer = ask("/events", {})
    into.append({"status": answer.status, "events": list(events(answer))})


what, more = sys.argv[2], sys.argv[3:]
if what == "page":
    answer = ask(target, dict(pair.split("=", 1) for pair in more))
    print(json.dumps({
        "status": answer.status,
        "fields": {name.lower(): value for name, value in answer.getheaders()},
        "text": answer.read().decode(),
    }))
elif what == "follow":
    seen = []
    viewers = [threading.Thread(target=follow, args=(seen,)) for _ in range(int(more[0]))]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    print(json.dumps(seen))
elif what == "crowd":
    stalled = []
    for _ in range(int(more[0])):
        viewer = socket.socket()
        viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        viewer.connect((url.hostname, url.port))
        viewer.sendall(f"GET /events HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
        # It is a viewer once its answer has begun.
        viewer.recv(12)
        stalled.append(viewer)
    print(json.dumps({"status": ask("/events", {}).status}), flush=True)
    sys.stdin.read()
