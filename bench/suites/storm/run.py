#!/usr/bin/env python3
"""Storms of real servers: what `throng load` tells of them, beside what the servers count and log.

    bench/suites/storm/run.py [NAME...]

nginx, HAProxy, a Go server and `throng serve` are killed under their connections and started again. Windows are
ordered as theory says, and `--find-window` is repeated. HAProxy and the servers behind it are drained. Each case has a
network namespace of its own.

Prints a table for each, and exits with 1 if a number is not the server's own: how many came back, and when, as it logged
them. Needs root, iproute2, nginx with its stream module, haproxy, go, python3, and files for the connections: each process may
have `ulimit -Hn` of them, so nginx has two workers, and the Go server is two processes that share the port (SO_REUSEPORT).
HAProxy keeps two for each connection free, one for its server, so it is three. `throng serve` needs none (io_uring), and has
five times the connections.
"""

import argparse
import json
import os
import pathlib
import re
import resource
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
	"context"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// SO_REUSEPORT, which package syscall does not have everywhere.
const reusePort = 15

// Accepts connections and never closes one. Prints when it accepted each, in nanoseconds since 1970.
func main() {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) })
		return err
	}}
	listener, err := shared.Listen(context.Background(), "tcp", "127.0.0.1:9000")
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

    def listeners(self, port):
        return self.read("ss", "-Hltn").count(f":{port} ")

    def start(self, *words, port=None, listeners=1, **more):
        """Starts a process. With a port, returns once there are so many listeners on it."""
        more = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        process = subprocess.Popen(self.words(*words), **more)
        self.started.append(process)
        began = time.monotonic()
        while port and self.listeners(port) < listeners:
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


def kill(processes):
    # nsenter becomes the program: its pid is the program's.
    for pid in [pid for process in processes for pid in family(process.pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for process in processes:
        process.wait()


# Processes that share the connections to a server, and to HAProxy.
SHARE, SHARE_HAPROXY = 2, 3
HARD = resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def share(connections, processes, each=1):
    """What one of the processes has room for: an uneven share, at so many files each."""
    room = connections // processes + connections // 20 + 100
    if room * each + 100 > HARD:
        sys.exit(f"{connections:,} connections take {room * each + 100:,} files of a process; ulimit -Hn is {HARD:,}")
    return room


def settled(path):
    """The lines of a log, once no more come."""
    before = None
    while (lines := path.read_text().splitlines()) != before:
        before = lines
        time.sleep(0.5)
    return lines


STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def nginx(space, connections):
    # A session waits for its first bytes, and is logged when its client closes: a line has the time of its end, and how long
    # it was.
    config = f"""{f"load_module {STREAM};" if STREAM.exists() else ""}
daemon off; worker_processes {SHARE}; user root; pid {space.at}/pid; error_log {space.at}/error;
worker_rlimit_nofile {share(connections, SHARE) + 100};
events {{ worker_connections {share(connections, SHARE)}; }}
stream {{ log_format times "$msec $session_time"; access_log {space.at}/log times; preread_timeout 600s;
  server {{ listen 127.0.0.1:9000 backlog=4096 reuseport; ssl_preread on; proxy_pass 127.0.0.1:9; }} }}"""
    (space.at / "nginx.conf").write_text(config)
    (space.at / "log").write_text("")
    return [space.start("nginx", "-p", space.at, "-c", space.at / "nginx.conf", port=9000, listeners=SHARE)]


def nginx_own(space, _):
    lines = [line.split() for line in settled(space.at / "log")]
    return len(lines), [float(end) - float(took) for end, took in lines]


def haproxy(space, connections):
    started = []
    for n in range(SHARE_HAPROXY):
        config = f"""global
 stats socket {space.at}/socket{n} level admin
 log stdout format raw local0
 maxconn {share(connections, SHARE_HAPROXY, each=2)}
defaults
 mode tcp
 log global
 log-format %Ts.%ms
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
        (space.at / f"haproxy{n}.cfg").write_text(config)
        log = (space.at / f"log{n}").open("w")
        started.append(space.start("haproxy", "-db", "-f", space.at / f"haproxy{n}.cfg", port=9000, listeners=n + 1, stdout=log))
    return started


def haproxy_own(space, _):
    ask = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'show stat\\n'); print(s.makefile().read())"
    accepted, times = 0, []
    for n in range(SHARE_HAPROXY):
        text = space.read("python3", "-c", ask, space.at / f"socket{n}")
        rows = [line.split(",") for line in text.splitlines() if line]
        column = rows[0].index("stot")
        accepted += next(int(row[column]) for row in rows if row[0] == "f" and row[1] == "FRONTEND")
        times += [float(line) for line in settled(space.at / f"log{n}") if re.fullmatch(r"\d+\.\d{3}", line)]
    return accepted, times


def go(space, _):
    binary = space.at / "server"
    if not binary.exists():
        (space.at / "server.go").write_text(GO)
        subprocess.run(["go", "build", "-o", binary, space.at / "server.go"], check=True)
    return [space.start(binary, port=9000, listeners=n + 1, stdout=(space.at / f"accepted{n}").open("w")) for n in range(SHARE)]


def go_own(space, _):
    times = [int(line) / 1e9 for n in range(SHARE) for line in settled(space.at / f"accepted{n}")]
    return len(times), times


def serve(throng):
    def start(space, _):
        out = (space.at / "served").open("w")
        return [space.start(throng, "serve", "--output", "json", "9000", port=9000, stdout=out)]
    return start


def serve_own(space, processes):
    """Its record has an interval a second: what was accepted in it, spread evenly."""
    processes[0].send_signal(signal.SIGINT)
    processes[0].wait(PATIENCE)
    served = json.loads((space.at / "served").read_text())
    times = []
    for source in served["record"]["sources"].values():
        for interval in source["intervals"]:
            n = interval.get("accepted", {}).get("counts", {}).get("accepted", 0)
            begin, end = (source["started_unix_s"] + interval[key] / 1e9 for key in ("from_ns", "to_ns"))
            times += [begin + (end - begin) * (at + 0.5) / n for at in range(n)]
    return served["connections"]["accepted"], times


def check(rows, what, ours, theirs, near=0.0):
    ok = abs(ours - theirs) <= near * max(abs(theirs), 1e-9)
    rows.append(ok)
    return f"{ours:,.6g}{'' if ok else ' (!)'} / {theirs:,.6g}"


def killed(asked, name, start, own, connections, exact):
    space, rows = Space(), []
    try:
        server = start(space, connections)
        load = space.load(asked.throng, "-c", str(connections), "--hold", "25s", "--reconnect-policy", "window:5s",
                          "--allow-lost", "100%", "127.0.0.1:9000")
        kill(server)
        time.sleep(1)
        # A process with many connections takes a while to die.
        while space.listeners(9000):
            time.sleep(0.02)
        server = start(space, connections)
        result = space.result(load)
        storm = result["storms"][0]
        count, times = own(space, server)
        # A server that dies still has its listener for a moment: what comes back to that is lost again.
        again = storm["lost"] - connections
        told = check(rows, "established", storm["established"] - again, count)
        rows.append(len(times) == count)
        began = result["started_unix_s"] + storm["at_s"]
        times = sorted(at - began for at in times)
        for share, key in ((0.5, "back_50_s"), (0.9, "back_90_s"), (0.99, "back_99_s"), (1, "back_100_s")):
            theirs = times[min(len(times) - 1, int(share * len(times)) - 1)]
            told += f"; {key} " + check(rows, key, storm[key], theirs, (0.1 if exact else 1) / theirs)
        if exact:
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
    # The last one logs by the second.
    cases = [("nginx", nginx, nginx_own, n, True), ("haproxy", haproxy, haproxy_own, n, True), ("go", go, go_own, n, True),
             ("serve", serve(asked.throng), serve_own, 5 * n, False)]
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
    asked.add_argument("--connections", type=int, default=20_000)
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
