"""A server whose connections behave each in a way of its own: chaos.py PORT SEED PROTOCOL KINDS [CERTIFICATE KEY]

PROTOCOL is raw, ws, dns, tls or wss. KINDS are words, separated by commas; each connection takes one at random:

echo       answers all that it receives, as the protocol has it
sink       reads
silent     never reads
slow       reads 64 bytes every 10 ms, and answers
late       answers up to 1.5 s later
talkative  answers, and sends by itself
pages      answers each read with 20,000 bytes
closing    answers, and closes at a random age
once       closes at its second read
resetting  resets at a random age, after some bytes or none
half       ends its direction at a random age, and reads on
lying      says what is no part of the protocol
bye        says goodbye as the protocol has it, and leaves TCP open

Two words are about the listener: refusing closes it for a while, deaf does not accept for a while.

On SIGTERM it reads what is there, and prints what it counted as JSON: accepted, received and sent (bytes), and ends (when, in
seconds since 1970, it ended a connection that the other side had not).
"""

import base64
import hashlib
import heapq
import itertools
import json
import random
import selectors
import signal
import socket
import ssl
import struct
import sys
import time

PORT, SEED, PROTOCOL = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
WORDS = sys.argv[4].split(",")
LISTENER = {"refusing", "deaf"}
KINDS = [word for word in WORDS if word not in LISTENER]
SECURED = PROTOCOL in ("tls", "wss")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

rng = random.Random(SEED)
selector = selectors.EpollSelector()
timers, ticket = [], itertools.count()
connections = set()
counted = {"accepted": 0, "received": 0, "sent": 0, "ends": []}
stopping = False

if SECURED:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[5], sys.argv[6])


def after(seconds, what, *args):
    heapq.heappush(timers, (time.monotonic() + seconds, next(ticket), what, args))


class Connection:
    def __init__(self, sock):
        self.sock, self.kind = sock, rng.choice(KINDS)
        self.out, self.plain = bytearray(), bytearray()
        self.up = PROTOCOL in ("raw", "dns", "tls")
        self.open, self.writes, self.reads, self.events = True, True, 0, 0
        self.tls = None
        if SECURED:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        age = rng.uniform(0, 2.5) if rng.random() < 0.8 else 0
        if self.kind == "closing":
            after(age, self.close)
        elif self.kind == "resetting":
            after(age, self.reset, rng.choice([0, 0, 100, 20000]))
        elif self.kind == "half":
            after(age, self.end)
        elif self.kind == "talkative":
            after(0.02, self.talk)
        elif self.kind == "bye":
            after(age, self.bye)
        elif self.kind == "lying":
            after(min(age, 0.3), self.lie)
        connections.add(self)
        self.want()

    def want(self):
        if not self.open:
            return
        events = 0 if self.kind == "silent" or self.paused() else selectors.EVENT_READ
        if self.out and self.writes:
            events |= selectors.EVENT_WRITE
        if events == self.events:
            return
        if not self.events:
            selector.register(self.sock, events, self)
        elif not events:
            selector.unregister(self.sock)
        else:
            selector.modify(self.sock, events, self)
        self.events = events

    def paused(self):
        return len(self.out) > 1 << 20 and not stopping

    def gone(self):
        """Its socket is closed."""
        if self.open:
            if self.events:
                selector.unregister(self.sock)
            self.open = False
            self.sock.close()
            connections.discard(self)

    def ended_here(self):
        counted["ends"].append(time.time())

    def close(self):
        if self.open:
            if self.writes:
                self.ended_here()
            self.gone()

    def reset(self, first):
        if self.open:
            self.push(bytes(first))
            if self.open:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close()

    def end(self):
        if self.open and self.writes:
            try:
                self.sock.shutdown(socket.SHUT_WR)
            except OSError:
                return self.gone()
            self.ended_here()
            self.writes = False
            self.out.clear()
            self.want()

    def talk(self):
        if self.open and not stopping:
            self.say(rng.randbytes(rng.randrange(1, 200)))
            after(rng.uniform(0.02, 0.2), self.talk)

    def bye(self):
        if PROTOCOL == "ws" and self.up:
            self.push(b"\x88\x02\x03\xf5")
        elif self.tls and self.up:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass
            self.flush()
        else:
            self.end()

    def lie(self):
        self.push(
            rng.choice(
                [
                    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
                    b"\x16\x03\x03\x00\x05hello",
                    b"\x15\x03\x03\x00\x02\x02\x28",
                    b"220 mail.example.com ESMTP\r\n",
                    b"\x00",
                    rng.randbytes(300),
                ]
            )
        )

    def push(self, data):
        """Bytes for the wire."""
        if self.open and self.writes:
            self.out += data
            self.write()

    def flush(self):
        self.push(self.outgoing.read())

    def say(self, data):
        """Bytes for the application."""
        if not (self.up and data and self.open):
            return
        if PROTOCOL in ("ws", "wss"):
            size = len(data)
            head = bytes([0x82, size]) if size < 126 else b"\x82\x7e" + struct.pack("!H", size)
            data = head + data
        if self.tls:
            try:
                self.tls.write(data)
            except ssl.SSLError:
                return
            self.flush()
        else:
            self.push(data)

    def write(self):
        try:
            while self.out:
                n = self.sock.send(self.out)
                counted["sent"] += n
                del self.out[:n]
        except BlockingIOError:
            pass
        except OSError:
            return self.gone()
        self.want()

    def read(self):
        try:
            data = self.sock.recv(64 if self.kind == "slow" and not stopping else 65536)
        except BlockingIOError:
            return
        except OSError:
            return self.gone()
        if not data:
            return self.gone()
        counted["received"] += len(data)
        self.reads += 1
        if self.kind == "once" and self.reads == 2:
            return self.close()
        if self.kind == "slow" and not stopping:
            selector.unregister(self.sock)
            self.events = 0
            after(0.01, self.want)
        if self.kind in ("sink", "lying") and not SECURED and PROTOCOL != "ws":
            return
        if self.tls:
            self.incoming.write(data)
            data = b""
            try:
                while piece := self.tls.read(65536):
                    data += piece
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                self.flush()
                return self.close()
            self.flush()
        if data:
            self.take(data)

    def take(self, data):
        """Bytes of the application."""
        self.plain += data
        if not self.up:
            head, found, rest = self.plain.partition(b"\r\n\r\n")
            if not found or self.kind == "lying":
                return
            key = next((l for l in head.split(b"\r\n") if l.lower().startswith(b"sec-websocket-key")), b": ")
            digest = base64.b64encode(hashlib.sha1(key.split(b": ", 1)[1].strip() + GUID).digest())
            answer = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
            )
            if self.tls:
                self.tls.write(answer)
                self.flush()
            else:
                self.push(answer)
            self.up, self.plain = True, bytearray(rest)
        for answer in self.answers():
            if self.kind in ("sink", "lying"):
                pass
            elif self.kind == "late":
                after(rng.uniform(0.01, 1.5), self.say, answer)
            elif self.kind == "pages":
                self.say(bytes(20000))
            else:
                self.say(answer)

    def answers(self):
        """What answers the bytes so far, message by message where the protocol has messages."""
        if PROTOCOL in ("raw", "tls"):
            yield bytes(self.plain)
            self.plain.clear()
        elif PROTOCOL == "dns":
            while len(self.plain) >= 2:
                size = int.from_bytes(self.plain[:2], "big")
                if len(self.plain) < 2 + size:
                    return
                query = self.plain[2 : 2 + size]
                yield bytes(self.plain[:2]) + bytes(query[:2]) + b"\x81\x80" + bytes(query[4:])
                del self.plain[: 2 + size]
        else:
            while len(self.plain) >= 6:
                size, at = self.plain[1] & 0x7F, 2
                if size == 126:
                    size, at = int.from_bytes(self.plain[2:4], "big"), 4
                if len(self.plain) < at + 4 + size:
                    return
                mask = self.plain[at : at + 4]
                body = self.plain[at + 4 : at + 4 + size]
                opcode = self.plain[0] & 0x0F
                del self.plain[: at + 4 + size]
                if opcode < 8:
                    yield bytes(b ^ mask[i & 3] for i, b in enumerate(body))


def listen():
    global listener
    listener = socket.create_server(("127.0.0.1", PORT), backlog=4096)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ, None)


def accept(at_most=64):
    for _ in range(at_most):
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        counted["accepted"] += 1
        Connection(sock)


def refuse(seconds):
    selector.unregister(listener)
    listener.close()
    after(seconds, listen)


def deafen(seconds):
    selector.unregister(listener)
    after(seconds, lambda: selector.register(listener, selectors.EVENT_READ, None))


def stop(*_):
    global stopping
    stopping = True


def rounds(wait):
    """One round of the loop. Returns whether anything happened."""
    events = selector.select(wait)
    for key, mask in events:
        if key.data is None:
            accept()
            continue
        if mask & selectors.EVENT_WRITE and key.data.open:
            key.data.write()
        if mask & selectors.EVENT_READ and key.data.open:
            key.data.read()
    return bool(events)


signal.signal(signal.SIGTERM, stop)
listen()
if "refusing" in WORDS:
    after(rng.uniform(0, 1.5), refuse, rng.uniform(0.05, 1.5))
elif "deaf" in WORDS:
    after(rng.uniform(0, 1.5), deafen, rng.uniform(0.05, 3))
print("listening", file=sys.stderr, flush=True)
while not stopping:
    now = time.monotonic()
    while timers and timers[0][0] <= now:
        _, _, what, args = heapq.heappop(timers)
        what(*args)
    rounds(min(0.2, max(0, timers[0][0] - now)) if timers else 0.2)
if listener.fileno() >= 0:
    accept(1 << 20)
end = time.monotonic() + 3
while rounds(0.1) and time.monotonic() < end:
    pass
print(json.dumps(counted), flush=True)
