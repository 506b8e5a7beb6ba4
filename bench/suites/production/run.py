#!/usr/bin/env python3
"""Holds 15,000 connections with the configurations that `throng tune --for nginx|haproxy` prints, and counts them at both ends.

    cargo build --release -p throng
    sudo bench/suites/production/run.py [--connections N] [--hold T] [--throng FILE] [NAME...]

Three servers, one after the other, each in a network namespace of its own: nginx that answers by itself (`nginx`), nginx as a proxy of
WebSocket connections (`nginx-proxy`), HAProxy as a proxy of TCP (`haproxy`). Each has the configuration as printed, besides where nginx
writes its files and where HAProxy answers questions. The sysctls that the configuration's comments ask for are set in the namespace;
those of the whole machine are left as they are.

`throng load` opens the connections and holds them, each with a message every ten seconds. While they are held they are counted by the kernel (sockets at the
server's port), by the server itself (nginx: sockets of its workers; HAProxy: `show stat`), and behind a proxy by the kernel and `throng
serve`. Prints the counts, and exits with 1 unless all are what was asked for.

An open file of nginx and HAProxy is a connection. Where the hard limit on open files (`ulimit -Hn`) can't be raised to what the
configuration for one process of HAProxy needs, several share the port, each with the configuration for its part; where that is nginx, as
many connections are held as fit. The script says so.

Needs root, iproute2, and the servers that are asked for.
"""

import argparse
import csv
import io
import json
import math
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
THRONG = HERE.parents[3] / "target/release/throng"
PORT, BEHIND = 8080, 9000
# HAProxy's files besides its connections, with room to spare.
OTHER_FILES = 1000
# Processes that share a port get connections by chance: how many more than its part each has room for.
UNEVEN = 1.05
# How long it may take to open all connections, and a server to begin or to end.
OPENING_S, PATIENCE_S = 180, 30


def until(what, holds, seconds=PATIENCE_S):
    """Waits until `holds` does."""
    give_up = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > give_up:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.3)


def sockets(*of):
    """How many TCP sockets of this namespace the kernel lists."""
    command = ["ss", "-Htn", *of]
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def established(port):
    """Established connections of whoever listens on `port`."""
    return sockets("state", "established", "sport", "=", f":{port}")


class Nginx:
    """nginx, whose connections are sockets of its workers."""

    def __init__(self, role, each, scheme, mode):
        self.role, self.each, self.scheme, self.mode = role, each, scheme, mode

    name = "nginx"
    shares_a_port = False

    def files(self, sample):
        return int(re.search(r"worker_rlimit_nofile (\d+);", sample)[1])

    def command(self, file, place, _number):
        return ["nginx", "-c", file, "-g", f"daemon off; pid {place}/pid; error_log {place}/errors warn;"]

    def begun(self, processes, _place):
        (self.process,) = processes
        self.before = self.open_sockets()

    def open_sockets(self):
        workers = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        links = (link for pid in workers for link in pathlib.Path(f"/proc/{pid}/fd").iterdir())
        return sum(os.readlink(link).startswith("socket:") for link in links)

    def counts(self):
        """What the server has, by name, and how many of that a connection is."""
        what = "sockets of its workers" if self.each == 1 else "sockets of its workers, two for each"
        return [(what, self.open_sockets() - self.before, self.each)]


class Haproxy:
    """HAProxy, each process of which is asked at a socket of its own."""

    name, role, scheme, mode = "haproxy", "both", "", "echo"
    shares_a_port = True

    def files(self, sample):
        return 2 * int(re.search(r"maxconn (\d+)", sample)[1]) + OTHER_FILES

    def command(self, file, place, number):
        besides = pathlib.Path(place, f"besides-{number}.cfg")
        besides.write_text(f"global\n    stats socket {self.asked_at(place, number)}\n")
        return ["haproxy", "-f", file, "-f", str(besides)]

    def asked_at(self, place, number):
        return pathlib.Path(place, f"stats-{number}")

    def begun(self, processes, place):
        self.at = [self.asked_at(place, number) for number in range(len(processes))]
        until("HAProxy's sockets", lambda: all(at.exists() for at in self.at))

    def counts(self):
        has = dict.fromkeys(("FRONTEND", "BACKEND"), 0)
        for at in self.at:
            with socket.socket(socket.AF_UNIX) as asked:
                asked.connect(str(at))
                asked.sendall(b"show stat\n")
                with asked.makefile() as answer:
                    for row in csv.DictReader(io.StringIO(answer.read().lstrip("# "))):
                        if row["svname"] in has:
                            has[row["svname"]] += int(row["scur"])
        return [("its frontend", has["FRONTEND"], 1), ("its backend", has["BACKEND"], 1)]


SERVERS = {
    "nginx": Nginx("server", 1, "http://", None),
    "nginx-proxy": Nginx("both", 2, "ws://", "ws"),
    "haproxy": Haproxy(),
}


def sample(args, server, n):
    """The configuration for `n` connections."""
    words = ["tune", "--for", server.name, "--role", server.role, "-c", str(n), "--port", str(PORT)]
    return subprocess.run([args.throng, *words], capture_output=True, text=True, check=True).stdout


def may_open(files):
    """Raises the hard limit on open files to `files` if it is lower and may be raised. Returns how many of `files` it allows."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < files:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        except (ValueError, OSError):
            return hard
    return files


def fitting(args, server):
    """The configuration, how many connections are held with it, and by how many processes."""
    n = args.connections
    text = sample(args, server, n)
    needed = server.files(text)
    allowed = may_open(needed)
    if needed <= allowed:
        return text, n, 1
    print(f"    {n:,} connections need {needed:,} open files, and no more than {allowed:,} are allowed here: ", end="")
    if server.shares_a_port:
        processes = 1
        while server.files(text) > allowed:
            processes += 1
            text = sample(args, server, math.ceil(n * UNEVEN / processes))
        print(f"{processes} processes share the port")
        return text, n, processes
    n = n * allowed // needed // 500 * 500
    print(f"{n:,} instead")
    return sample(args, server, n), n, 1


def set_sysctls(text):
    """Sets what the configuration's comments ask for in this namespace, where it is not more already."""
    left = []
    for name, value in re.findall(r"^#     ([a-z0-9_.-]+) = (.+)$", text, re.M):
        file = pathlib.Path("/proc/sys", name.replace(".", "/"))
        try:
            if not name.startswith("net."):
                raise PermissionError
            before = file.read_text().strip()
            if before.isdigit() and value.isdigit() and int(before) >= int(value):
                print(f"    {name} is {before} already")
                continue
            file.write_text(value)
            print(f"    {name} = {value}")
        except OSError:
            left.append(name)
    if left:
        print(f"    of the whole machine, left as they are: {', '.join(left)}")


def end(process, how=signal.SIGTERM):
    process.send_signal(how)
    return process.communicate(timeout=PATIENCE_S)


def hold(args, server, n, behind):
    """Holds `n` connections. Returns what everybody counts: name, count, and how many of these a connection is."""
    words = ["load", "-c", str(n), "--hold", args.hold, "-r", "0.1", "--quiet", "--output", "json"]
    if server.mode:
        words += ["-m", "ping"]
    load = subprocess.Popen(
        [args.throng, *words, f"{server.scheme}127.0.0.1:{PORT}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until("all connections", lambda: established(PORT) >= n or load.poll() is not None, OPENING_S)
        # The last ones may still wait in an accept queue, or for their connection behind a proxy.
        time.sleep(3)
        rows = [(f"kernel: established at port {PORT}", established(PORT), 1)]
        rows += [(f"{server.name}: {what}", count, each) for what, count, each in server.counts()]
        if behind:
            rows.append((f"kernel: established at port {BEHIND}", established(BEHIND), 1))
        out, err = load.communicate()
    finally:
        load.kill()
    if not out:
        sys.exit(f"throng load: {err.strip()}")
    summary = json.loads(out)
    connections = summary["connections"]
    first = [("throng load: established", connections["established"], 1), ("throng load: open to the end", connections["open_at_end"], 1)]
    for finding in summary["findings"]:
        print(f"    finding: {finding['text']}")
    return first + rows, load.returncode


def inside(args):
    """One server, in this namespace. Returns whether all count alike."""
    server = SERVERS[args.inside]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print(f"{args.inside}, role {server.role}", flush=True)
    text, n, processes = fitting(args, server)
    set_sysctls(text)
    started = []
    with tempfile.TemporaryDirectory() as place:
        # The workers of nginx are nobody.
        os.chmod(place, 0o755)
        file = pathlib.Path(place, "configuration")
        file.write_text(text)
        try:
            behind = None
            if server.mode:
                words = ["serve", "--mode", server.mode, "--quiet", "--output", "json", f"127.0.0.1:{BEHIND}"]
                behind = subprocess.Popen([args.throng, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                started.append(behind)
                until("throng serve", lambda: sockets("-l", "sport", "=", f":{BEHIND}") > 0)
            servers = []
            for number in range(processes):
                process = subprocess.Popen(server.command(str(file), place, number), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                servers.append(process)
                started.append(process)
            listen = lambda: sockets("-l", "sport", "=", f":{PORT}") > 0
            until(server.name, lambda: listen() or any(process.poll() is not None for process in servers))
            if ended := [process for process in servers if process.poll() is not None]:
                sys.exit(f"{server.name} does not start: {ended[0].stdout.read()}")
            time.sleep(0.5)
            server.begun(servers, place)
            rows, code = hold(args, server, n, behind)
            for process in servers:
                end(process)
            if behind:
                served = json.loads(end(behind)[0])["connections"]
                rows += [("throng serve: accepted", served["accepted"], 1), ("throng serve: at once", served["peak"], 1)]
        finally:
            for each in started:
                if each.poll() is None:
                    end(each)
        errors = pathlib.Path(place, "errors")
        if errors.is_file() and (said := errors.read_text()):
            print(f"    nginx says: {said.splitlines()[0]}")
    for name, count, each in rows:
        print(f"    {name:<58}{count:>9,}{'' if count == n * each else '   differs'}")
    alike = code == 0 and all(count == n * each for _, count, each in rows)
    print(f"    all count {n:,}" if alike else f"    not all count {n:,}; throng load exited with {code}", flush=True)
    return alike


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=15_000, metavar="N", help="connections of each [default: 15000]")
    parser.add_argument("--hold", default="30s", metavar="T", help="how long they are held [default: 30s]")
    parser.add_argument("--throng", default=str(THRONG), metavar="FILE", help="the program [default: target/release/throng]")
    parser.add_argument("--inside", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SERVERS)} [default: all]")
    args = parser.parse_args()
    if unknown := [name for name in args.names if name not in SERVERS]:
        parser.error(f"'{unknown[0]}': write some of {', '.join(SERVERS)}")
    if not os.access(args.throng, os.X_OK):
        parser.error(f"{args.throng} is no program: cargo build --release -p throng")
    if args.inside:
        sys.exit(0 if inside(args) else 1)
    failed = False
    for name in args.names or SERVERS:
        words = ["--inside", name, "--connections", str(args.connections), "--hold", args.hold, "--throng", args.throng]
        ran = subprocess.run(["unshare", "--net", sys.executable, str(HERE), *words])
        failed |= ran.returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
