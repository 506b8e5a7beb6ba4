#!/usr/bin/env python3
"""Peers that send and reset at once, against each mode of `throng serve`, and what they leave behind.

    cargo build --release && sudo bench/suites/resets/run.py [--seconds 12] [--throng PATH]

For each mode and engine: a server in a network namespace of its own; two processes connect to it for that many seconds,
send 100 bytes (half of them in TLS or WebSocket: the beginning of a handshake) and reset. Then, after the 10 s that a
handshake has, the server's memory, open files and the namespace's sockets are compared with those from before. Exits
with 1 if anything was left: a connection, a file, a socket, or more than 64 MiB.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
MODES = {"sink": [], "echo": [], "echo over TLS": ["--tls"], "ws": [], "http": []}
# More than a handshake may take.
SETTLE_S = 11
LEFT_BYTES = 64 << 20
RESET = struct.pack("ii", 1, 0)
HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(89)
UPGRADE = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n".ljust(100, b"x")


def storm(port, until, first):
    """Connects, sends and resets until then. Prints how often."""
    count = 0
    while time.monotonic() < until:
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                peer.connect(("127.0.0.1", port))
                peer.sendall(first if count % 2 else bytes(100))
            except OSError:
                continue
        count += 1
    print(count)


class Server:
    """`throng serve` in a network namespace of its own."""

    def __init__(self, throng, mode, engine, directory):
        self.name = f"throng-resets-{os.getpid()}"
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        tls = MODES[mode]
        if tls:
            key, cert = directory / "key.pem", directory / "cert.pem"
            tls = [*tls, "--ssl-key", str(key), "--ssl-cert", str(cert)]
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "1", "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert))
        args = ["serve", "127.0.0.1:9701", "--mode", mode.split()[0], "--engine", engine, "--output", "json", *tls]
        inside = ["ip", "netns", "exec", self.name]
        self.process = subprocess.Popen([*inside, throng, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.inside = inside
        while not self.look("ss", "-Hltn"):
            if self.process.poll() is not None:
                sys.exit(f"{throng} did not start")
            time.sleep(0.05)

    def look(self, *command):
        return subprocess.run([*self.inside, *command], capture_output=True, text=True, check=True).stdout

    def state(self):
        """Its resident bytes, its open files, and the namespace's sockets."""
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        rss = int(status["VmRSS"].split()[0]) << 10
        files = len(list((proc / "fd").iterdir()))
        return rss, files, len(self.look("ss", "-Htan", "state", "connected").splitlines())

    def attack(self, seconds, first):
        until = str(time.monotonic() + seconds)
        command = [*self.inside, sys.executable, __file__, "--storm", until, "--first", first.hex()]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        return sum(int(one.communicate()[0]) for one in both)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        summary = json.loads(self.process.communicate()[0])
        run("ip", "netns", "del", self.name)
        return summary["connections"]


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=12.0, help="how long each storm lasts")
    asked.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked.add_argument("--storm", type=float, help=argparse.SUPPRESS)
    asked.add_argument("--first", type=bytes.fromhex, help=argparse.SUPPRESS)
    asked = asked.parse_args()
    if asked.storm:
        storm(9701, asked.storm, asked.first)
        return 0
    left = False
    print("| mode | engine | connections | open after | memory before, after | files before, after | sockets |")
    print("| --- | --- | ---: | ---: | --- | --- | ---: |")
    with tempfile.TemporaryDirectory() as directory:
        for mode in MODES:
            first = {"echo over TLS": HELLO, "ws": UPGRADE}.get(mode, bytes(100))
            for engine in ("uring", "epoll"):
                server = Server(asked.throng, mode, engine, pathlib.Path(directory))
                rss, files, _ = server.state()
                peers = server.attack(asked.seconds, first)
                time.sleep(SETTLE_S)
                rss_after, files_after, sockets = server.state()
                counts = server.end()
                still = counts["open_at_end"]
                mib = lambda n: f"{n / 2**20:.1f}"
                print(f"| {mode} | {engine} | {peers:,} | {still} | {mib(rss)}, {mib(rss_after)} MiB "
                      f"| {files}, {files_after} | {sockets} |", flush=True)
                # Rings are created as they are needed, and kept.
                grown = rss_after - rss > LEFT_BYTES
                left |= still > 0 or sockets > 0 or grown or (engine == "epoll" and files_after > files)
    return int(left)


if __name__ == "__main__":
    sys.exit(main())
