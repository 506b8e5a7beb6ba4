#!/usr/bin/env python3
"""Storms of real servers: what `throng load` tells of them, beside what the servers count and log.

    bench/suites/storm/run.py [NAME...]

nginx, HAProxy, a Go server and `throng serve` are killed under their connections and started again. Windows are
ordered as theory says, and `--find-window` is repeated. HAProxy and the servers behind it are drained. Each case has a
network namespace of its own.

Prints a table for each, and exits with 1 if a number is not the server's own. Needs root, iproute2, nginx, haproxy, go, curl,
python3, and files for the connections: each process may have `ulimit -Hn` of them, so by default there are 19,000.
"""

import argparse
import json
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PATIENCE = 120

GO = """
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"time"
)

// Accepts connections and never closes one. Prints when it accepted each, in nanoseconds since 1970.
func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:9000")
	if err != nil {
		panic(err)
	}
	times := make(chan int64, 1<<20)
	go func() {
		out := bufio.NewWriter(os.Stdout)
		for at := range times {
			fmt.Fprintln(out, at)
			if len(times) == 0 {
				out.Flush()
			}
		}
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			continue
		}
		times <- time.Now().UnixNano()
		go func() {
			buffer := make([]byte, 64)
			for {
				if _, err := conn.Read(buffer); err != nil {
					return
				}
			}
		}()
	}
}
"""

# Accepts so many connections a second, from a queue with room for so many.
SLOW = """
import socket, sys, time
rate, room = float(sys.argv[1]), int(sys.argv[2])
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 9000))
listener.listen(room)
kept, due = [], time.monotonic()
while True:
    kept.append(listener.accept()[0])
    if len(kept) > 6000:
        for old in kept[:2000]:
            old.close()
        del kept[:2000]
    due = max(due + 1 / rate, time.monotonic() - 0.002)
    time.sleep(max(0, due - time.monotonic()))
"""


class Space:
    """A network namespace, which ends when this script does."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "up\n":
            sys.exit("no network namespace: run as root")
        self.directory = tempfile.TemporaryDirectory()
        self.at = pathlib.Path(self.directory.name)
        self.started = []

    def words(self, *words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *map(str, words)]

    def read(self, *words):
        return subprocess.run(self.words(*words), check=True, capture_output=True, text=True).stdout

    def start(self, *words, port=None, **more):
        more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        process = subprocess.Popen(self.words(*words), **more)
        self.started.append(process)
        began = time.monotonic()
        while port and f":{port}" not in self.read("ss", "-Hltn"):
            if process.poll() is not None or time.monotonic() > began + PATIENCE:
                sys.exit(f"{words[0]} does not listen on port {port}")
            time.sleep(0.02)
        return process

    def load(self, throng, *words):
        """Starts a load; returns it once it holds its connections."""
        said = (self.at / "said").open("w+")
        process = self.start(throng, "load", "--output", "json", *words, stdout=(self.at / "out").open("w"), stderr=said)
        began = time.monotonic()
        while "holding" not in said_of(said):
            if process.poll() is not None or time.monotonic() > began + PATIENCE:
                sys.exit(f"no load: {said_of(said)}")
            time.sleep(0.05)
        time.sleep(1)
        return process

    def result(self, process):
        process.wait(PATIENCE * 5)
        return json.loads((self.at / "out").read_text())

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.holder.kill()
        self.holder.wait()
        self.directory.cleanup()


def said_of(file):
    file.seek(0)
    return file.read()


def family(pid):
    """A process and those that it started."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(p for child in children for p in family(int(child)))]


def kill(process):
    # nsenter becomes the program: its pid is the program's.
    for pid in family(process.pid):
        try:
            subprocess.os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()


def nginx(space, connections):
    config = f"""daemon off; worker_processes 2; user root; pid {space.at}/pid; error_log {space.at}/error;
worker_rlimit_nofile {connections + 100};
events {{ worker_connections {connections + 50}; }}
http {{ access_log off; keepalive_timeout 600s;
  client_body_temp_path {space.at}/b; proxy_temp_path {space.at}/p; fastcgi_temp_path {space.at}/f;
  uwsgi_temp_path {space.at}/u; scgi_temp_path {space.at}/s; client_header_timeout 600s;
  server {{ listen 127.0.0.1:9000 backlog=4096; location / {{ stub_status; }} }} }}"""
    (space.at / "nginx.conf").write_text(config)
    return space.start("nginx", "-p", space.at, "-c", space.at / "nginx.conf", port=9000)


def nginx_accepted(space, _):
    text = space.read("curl", "-s", "http://127.0.0.1:9000/")
    return int(text.splitlines()[2].split()[0]) - 1


def haproxy(space, connections):
    config = f"""global
 stats socket {space.at}/socket level admin
 maxconn {connections + 50}
defaults
 mode tcp
 timeout connect 5s
 timeout client 600s
 timeout server 600s
frontend f
 bind 127.0.0.1:9000
 tcp-request inspect-delay 600s
 tcp-request content accept if {{ req.len gt 0 }}
 default_backend b
backend b
 server s 127.0.0.1:9
"""
    (space.at / "haproxy.cfg").write_text(config)
    return space.start("haproxy", "-db", "-f", space.at / "haproxy.cfg", port=9000)


def haproxy_accepted(space, _):
    ask = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'show stat\\n'); print(s.makefile().read())"
    text = space.read("python3", "-c", ask, space.at / "socket")
    rows = [line.split(",") for line in text.splitlines() if line]
    column = rows[0].index("stot")
    return next(int(row[column]) for row in rows if row[0] == "f" and row[1] == "FRONTEND")


def go(space, _):
    binary = space.at / "server"
    if not binary.exists():
        (space.at / "server.go").write_text(GO)
        subprocess.run(["go", "build", "-o", binary, space.at / "server.go"], check=True)
    return space.start(binary, port=9000, stdout=(space.at / "accepted").open("w"))


def go_times(space):
    return [int(line) / 1e9 for line in (space.at / "accepted").read_text().split()]


def go_accepted(space, _):
    return len(go_times(space))


def serve(throng):
    def start(space, _):
        out = (space.at / "served").open("w")
        return space.start(throng, "serve", "--output", "json", "9000", port=9000, stdout=out)
    return start


def serve_accepted(space, process):
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)
    return json.loads((space.at / "served").read_text())["connections"]["accepted"]


def check(rows, what, ours, theirs, near=0.0):
    ok = abs(ours - theirs) <= near * max(abs(theirs), 1e-9)
    rows.append(ok)
    return f"{ours:,.6g}{'' if ok else ' (!)'} / {theirs:,.6g}"


def killed(asked, name, start, accepted, connections):
    space, rows = Space(), []
    try:
        server = start(space, connections)
        load = space.load(asked.throng, "-c", str(connections), "--hold", "25s", "--reconnect-policy", "window:5s",
                          "--allow-lost", "100%", "127.0.0.1:9000")
        kill(server)
        time.sleep(1)
        server = start(space, connections)
        result = space.result(load)
        storm = result["storms"][0]
        count = accepted(space, server)
        # A server that dies still has its listener for a moment: what comes back to that is lost again.
        again = storm["lost"] - connections
        told = check(rows, "established", storm["established"] - again, count)
        if name == "go":
            began = result["started_unix_s"] + storm["at_s"]
            times = sorted(at - began for at in go_times(space))
            for share, key in ((0.5, "back_50_s"), (0.9, "back_90_s"), (0.99, "back_99_s"), (1, "back_100_s")):
                theirs = times[min(len(times) - 1, int(share * len(times)) - 1)]
                told += f"; {key} " + check(rows, key, storm[key], theirs, 0.1 / theirs)
            peak = max(sum(1 for at in times if a <= at < a + 0.1) for a in times[:: max(1, len(times) // 500)]) / 0.1
            told += "; peak/s " + check(rows, "peak", storm["peak_per_s"], peak, 0.15)
        rows.append(len(result["storms"]) == 1 and storm["missing"] == 0 and again >= 0)
        print(f"| {name} | {connections:,} | {storm['lost']:,} | {storm['back_50_s']:.2f} | {storm['back_90_s']:.2f} "
              f"| {storm['back_99_s']:.2f} | {storm['back_100_s']:.2f} | {storm['peak_per_s']:,.0f} "
              f"| {sum(storm['failed'].values()):,} | {told} |", flush=True)
    finally:
        space.end()
    return all(rows)


def storms(asked):
    print("| server | connections | lost | 50 % back, s | 90 % | 99 % | 100 % | peak/s | failed | told / the server's own |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    n = asked.connections
    cases = [("nginx", nginx, nginx_accepted, n), ("haproxy", haproxy, haproxy_accepted, n), ("go", go, go_accepted, n),
             ("serve", serve(asked.throng), serve_accepted, 5 * n)]
    return all([killed(asked, *case) for case in cases])


def windows(asked):
    print("| window, s | connections | peak/s | in theory | 100 % back, s |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    peaks, n = [], 4000
    for window in (1, 2, 4, 8):
        space = Space()
        try:
            serve(asked.throng)(space, n)
            load = space.load(asked.throng, "-c", str(n), "--hold", f"{window + 4}s", "--drop", "all@1s:reset",
                              "--reconnect-policy", f"window:{window}s", "127.0.0.1:9000")
            storm = space.result(load)["storms"][0]
        finally:
            space.end()
        peaks.append(storm["peak_per_s"])
        print(f"| {window} | {n:,} | {storm['peak_per_s']:,.0f} | {n / window:,.0f} | {storm['back_100_s']:.2f} |", flush=True)
    return peaks == sorted(peaks, reverse=True)


def find_window(asked):
    print("| accepts/s, room | window found, ms | largest that broke | storms | in theory, ms |")
    print("| --- | ---: | ---: | ---: | ---: |")
    ok, n = True, 1000
    for rate, room in ((500, 64),):
        found = []
        for _ in range(3):
            space = Space()
            try:
                (space.at / "slow.py").write_text(SLOW)
                space.start("python3", space.at / "slow.py", rate, room, port=9000)
                out = space.at / "out"
                load = space.start(asked.throng, "load", "--output", "json", "-c", n, "--find-window", "127.0.0.1:9000",
                                   stdout=out.open("w"))
                window = space.result(load)["window"]
            finally:
                space.end()
            found.append(window["held_ms"] or 0)
            ok &= window["ending"] == "found"
            print(f"| {rate}, {room} | {window['held_ms']} | {window['broke_ms']} | {len(window['trials'])} "
                  f"| {(n - room) / rate * 1e3:,.0f} |", flush=True)
        median = statistics.median(found)
        ok &= all(abs(one - median) <= 0.2 * median for one in found)
    return ok


def main():
    cases = {"storms": storms, "windows": windows, "find-window": find_window}
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("names", nargs="*", metavar="NAME", help=", ".join(cases))
    asked.add_argument("--connections", type=int, default=19_000)
    asked.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = asked.parse_args()
    if unknown := set(asked.names) - set(cases):
        asked_for = ", ".join(sorted(unknown))
        sys.exit(f"no such case: {asked_for}; there are {', '.join(cases)}")
    well = True
    for name, case in cases.items():
        if not asked.names or name in asked.names:
            print(f"\n{name}\n")
            well &= case(asked)
    return int(not well)


if __name__ == "__main__":
    sys.exit(main())
