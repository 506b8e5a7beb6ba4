#!/usr/bin/env python3
"""What a request costs: throng against other HTTP clients, and against nginx.

Clients (throng with one worker, wrk and h2load with one thread, ab, oha) take turns against nginx with one process, which answers
from memory; servers (throng with one worker, nginx) take turns under wrk with one thread. Processor time is what the kernel
charged each process for, its start included. Ratios are computed within a round.

    cargo build --release -p throng
    bench/suites/http/run.py [--rounds N] [--seconds S] [--connections 64,1000,10000] [--only clients,each,servers]

wrk, apache2-utils (ab), nghttp2-client (h2load) and nginx are Debian packages; oha comes by `cargo install oha`. What is not
installed is left out, and named.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
TICKS = os.sysconf("SC_CLK_TCK")
PORT = 20080
NGINX = """daemon off; master_process off; pid {at}/pid; error_log stderr error; worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
    client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
    uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
    server {{ listen 127.0.0.1:{port} backlog=16384; location = /hello {{ return 200 "Hello, world!\\n"; }} }}
}}
"""
URL = f"http://127.0.0.1:{PORT}/hello"


class Server:
    """A server's process, which is ended and waited for."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", PORT), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.process.kill()
                    sys.exit(f"{argv[0]} does not listen: {self.process.stderr.read().strip()}")
                time.sleep(0.05)

    def cpu(self):
        """Seconds of processor time until now."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


def clients(throng, seconds, each):
    """Command lines of clients by name, for a number of connections, and how to read how many requests were answered."""

    def number(pattern):
        def read(out):
            found = re.search(pattern, out)
            return int(found[1]) if found else sys.exit(f"no '{pattern}' in what it printed:\n{out}")

        return read

    def of_throng(out):
        http = json.loads(out)["http"]
        assert not http["failed"], http
        return http["completed"]

    load = [throng, "load", "--quiet", "--output", "json", "-w", "1", "--after-ramp", "--hold", f"{seconds}s", URL]
    load += ["--requests-per-connection", "1"] if each else []
    # ab asks for 50,000 requests at most unless it is told otherwise, behind -t.
    ab = ["ab", "-q", "-r", "-t", str(seconds), "-n", "100000000", *([] if each else ["-k"])]
    wrk = ["wrk", "-t1", "-d", f"{seconds}s", *(["-H", "Connection: close"] if each else [])]
    all = {
        "throng": (lambda c: [*load, "-c", str(c)], of_throng),
        "throng epoll": (lambda c: [*load, "-c", str(c), "--engine", "epoll"], of_throng),
        "wrk": (lambda c: [*wrk, "-c", str(c), URL], number(r"(\d+) requests in")),
        "ab": (lambda c: [*ab, "-c", str(c), URL], number(r"Complete requests:\s+(\d+)")),
    }
    if not each:
        all["h2load"] = (
            lambda c: ["h2load", "--h1", "-t1", "-c", str(c), "-D", str(seconds), URL],
            number(r"(\d+) succeeded"),
        )
        all["oha"] = (
            lambda c: ["oha", "--no-tui", "-c", str(c), "-z", f"{seconds}s", URL],
            number(r"\[200\] (\d+) responses"),
        )
    return {name: how for name, how in all.items() if name.startswith("throng") or shutil.which(name)}


def run(argv):
    """What a command printed, the processor time it took, and how long it ran."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return out.read(), usage.ru_utime + usage.ru_stime, time.monotonic() - began


def table(title, rounds, reference):
    """Prints medians, and the ratio of the reference to each other by round: below 1, the reference is cheaper."""
    print(f"\n### {title}\n\n| | requests/s | CPU µs a request | throng's CPU ÷ this | the other end's µs |\n|---|---:|---:|---:|---:|")
    for name in rounds[0]:
        rates, cpu, other = zip(*(one[name] for one in rounds if name in one))
        ratios = [one[reference][1] / one[name][1] for one in rounds if name in one]
        middle = statistics.median(ratios)
        print(
            f"| {name} | {statistics.median(rates):,.0f} | {statistics.median(cpu):.2f} "
            f"| {middle:.2f} ({min(ratios):.2f}–{max(ratios):.2f}) | {statistics.median(other):.2f} |",
            flush=True,
        )


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--seconds", type=int, default=5)
    parse.add_argument("--connections", default="64,1000,10000")
    parse.add_argument("--only", default="clients,each,servers")
    parse.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parse.parse_args()
    sizes = [int(n) for n in asked.connections.split(",")]
    missing = [p for p in ("nginx", "wrk", "ab", "h2load", "oha") if not shutil.which(p)]
    if missing:
        print("not installed, so left out:", ", ".join(missing), file=sys.stderr)

    with tempfile.TemporaryDirectory() as at:
        config = pathlib.Path(at, "nginx.conf")
        config.write_text(NGINX.format(at=at, port=PORT))
        nginx = ["nginx", "-c", str(config), "-p", at]
        serve = [asked.throng, "serve", "--mode", "http", "-w", "1", "--quiet", f"127.0.0.1:{PORT}"]
        servers = {"throng": serve, "throng epoll": [*serve, "--engine", "epoll"], "nginx": nginx}

        def measure(server, client, connections, of_server):
            argv, read = client
            before = server.cpu()
            out, cpu, took = run(argv(connections))
            requests = read(out)
            costs = (cpu * 1e6 / requests, (server.cpu() - before) * 1e6 / requests)
            return (requests / took, *(reversed(costs) if of_server else costs))

        def in_turn(names, one):
            rounds = []
            for n in range(asked.rounds):
                order = list(names) if n % 2 == 0 else list(reversed(names))
                done = {name: one(name) for name in order}
                rounds.append({name: done[name] for name in names})
            return rounds

        for what, each in (("clients", False), ("each", True)):
            if what not in asked.only.split(","):
                continue
            all = clients(asked.throng, asked.seconds, each)
            with Server(nginx) as server:
                for connections in sizes if not each else sizes[:1]:
                    kept = "a connection a request" if each else "keep-alive"
                    one = lambda name: measure(server, all[name], connections, False)
                    table(f"clients of nginx, {connections:,} connections, {kept}", in_turn(list(all), one), "throng")
        if "servers" in asked.only.split(","):
            wrk = clients(asked.throng, asked.seconds, False)["wrk"]
            for connections in sizes:

                def one(name):
                    with Server(servers[name]) as server:
                        return measure(server, wrk, connections, True)

                table(f"servers under wrk, {connections:,} connections", in_turn(list(servers), one), "throng")


if __name__ == "__main__":
    main()
