"""Says at a NATS server what no coordinator and no agent of a fleet would say.

    nats_stranger.py PORT USER PASSWORD before   to the only agent there: no orders, orders without its token
    nats_stranger.py PORT USER PASSWORD during   in the run that reports come from: orders and reports of nobody

Speaks the protocol of NATS clients itself (docs.nats.io/reference/reference-protocols/nats-protocol)."""

import json
import socket
import sys

port, user, password, when = sys.argv[1:]
connection = socket.create_connection(("127.0.0.1", int(port)))
stream = connection.makefile("rb")


def send(text, payload=b""):
    connection.sendall(text.encode() + b"\r\n" + (payload + b"\r\n" if text[0] != "S" else b""))


def publish(subject, payload, headers=None, reply=""):
    if headers is None:
        return send(f"PUB {subject} {reply} {len(payload)}", payload)
    head = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(payload)}", head.encode() + payload)


def message():
    """The subject and the bytes of the next message."""
    while True:
        words = stream.readline().decode().split()
        match words and words[0]:
            case "PING":
                connection.sendall(b"PONG\r\n")
            case "MSG" | "HMSG" as kind:
                payload = stream.read(int(words[-1]) + 2)[:-2]
                return words[1], payload[int(words[-2]) if kind == "HMSG" else 0 :]
            case "-ERR" | "":
                sys.exit(" ".join(words) or "the server has closed the connection")


def order(run, **what):
    return json.dumps({"run": run, "order": what}).encode()


stream.readline()
login = {"verbose": False, "pedantic": False, "headers": True, "user": user, "pass": password}
connection.sendall(b"CONNECT " + json.dumps(login).encode() + b"\r\n")
hello = {"kind": "hello", "version": 3, "agent": "mine", "token": None}
if when == "before":
    send("SUB answers 1")
    publish("throng.find", b"", reply="answers")
    agent = "throng.agent." + json.loads(message()[1])["instance"]
    publish(agent, b"explode")
    pieces = 9
    for nth in range(pieces):
        publish(agent, b"x" * 1000000, {"Throng-Piece": f"7 {nth} {pieces}"})
    publish(agent, order("r", **hello))
    publish(agent, order("r", **hello), {"Throng-Token": "guess"})
    publish(agent, order("../../r", **hello), {"Throng-Token": "guess"})
else:
    send("SUB throng.run.*.* 1")
    subject, said = message()
    while b'"phase":"holding"' not in said:
        subject, said = message()
    _, _, run, instance = subject.split(".")
    agent = f"throng.agent.{instance}"
    publish(agent, order(run, kind="stop"))
    publish(agent, b"explode")
    record = {"version": 2, "sources": {}}
    publish(subject, b"explode")
    publish(subject, json.dumps({"run": run, "report": {"kind": "done", "record": record}}).encode())
connection.sendall(b"PING\r\n")
while not stream.readline().startswith(b"PONG"):
    pass
