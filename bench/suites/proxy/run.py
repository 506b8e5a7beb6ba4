#!/usr/bin/env python3
"""What a TCP proxy costs: throng against HAProxy, nginx and one in Go.

Each proxy has one thread, and stands between `throng load` and `throng serve`, which are the same for all. The proxies take turns, in the
opposite order in every other round, and ratios are computed within a round. Processor time is what the kernel charged the proxy's
processes for; memory is their anonymous resident memory while pairs are at rest, less that from before.

  bulk    a flood in one direction over a few connections: CPU per GB, GB per second
  echo    small messages at the same rate for all: CPU per message
  pairs   a connection for each request: CPU per pair, pairs per second
  memory  connections that are held and silent: bytes per pair

    cargo build --release -p throng
    bench/suites/proxy/run.py [--rounds N] [--seconds S] [--pairs N] [--only bulk,echo,pairs,memory]

haproxy, nginx with libnginx-mod-stream, and golang-go are Debian packages. What is not installed is left out, and named. Below 1 in the
column of ratios, throng costs less than this one.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
STREAM = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
FRONT, BACK = 20090, 20091
REFERENCE = "throng"
MESSAGE_BYTES = 64
BULK_CONNECTIONS = 4
ECHO_CONNECTIONS = 64
ECHO_RATE = 200
PAIRS_AT_ONCE = 64

HAPROXY = """global
  nbthread 1
  maxconn {pairs}
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
{options}listen proxy
  bind 127.0.0.1:{front} backlog 16384
  server back 127.0.0.1:{back} source 127.0.0.1
"""
NGINX = """{module}daemon off; worker_processes 1; pid {at}/pid; error_log stderr error; worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
stream {{ server {{ listen 127.0.0.1:{front} backlog=16384; proxy_pass 127.0.0.1:{back}; proxy_timeout 1h; }} }}
"""


class Running:
    """A process with its children, which is waited for until it listens, and ended."""

    def __init__(self, argv, port, env=None):
        self.process = subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        until = time.monotonic() + 10
        while not listens(port):
            if self.process.poll() is not None or time.monotonic() > until:
                self.process.kill()
                sys.exit(f"{argv[0]} does not listen: {self.process.communicate()[1].strip()}")
            time.sleep(0.05)

    def pids(self):
        own = self.process.pid
        children = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def cpu(self):
        """Seconds of processor time until now."""

        def of(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / TICKS

        return sum(map(of, self.pids()))

    def memory(self):
        """Bytes of anonymous resident memory."""

        def of(pid):
            lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))

        return sum(map(of, self.pids()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def listens(port):
    """Whether somebody listens on a port of loopback, without a connection to it."""
    wanted = f"0100007F:{port:04X}"
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()
    return any(line.split()[1] == wanted and line.split()[3] == "0A" for line in lines[1:])


def proxies(throng, at, pairs):
    """The proxies' command lines by name, with their environments."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    to = f"127.0.0.1:{BACK}"
    own = [throng, "proxy", "--quiet", "-w", "1", "--drain-timeout", "0s", f"127.0.0.1:{FRONT}", "--to", to]
    all = {"throng": (own, {}), "throng epoll": ([*own, "--engine", "epoll"], {})}
    missing = []
    for name, options in (("haproxy", ""), ("haproxy splice", "  option splice-auto\n")):
        config = at / f"{name.replace(' ', '-')}.cfg"
        config.write_text(HAPROXY.format(pairs=min(pairs + 1000, files // 2 - 100), options=options, front=FRONT, back=BACK))
        if shutil.which("haproxy"):
            all[name] = (["haproxy", "-db", "-f", str(config)], {})
        else:
            missing.append("haproxy")
    config = at / "nginx.conf"
    module = f"load_module {STREAM};\n" if STREAM.exists() else ""
    config.write_text(NGINX.format(module=module, at=at, files=files - 100, front=FRONT, back=BACK))
    checked = shutil.which("nginx") and subprocess.run(
        ["nginx", "-t", "-q", "-p", str(at), "-c", str(config)], capture_output=True, check=False
    )
    if checked and checked.returncode == 0:
        all["nginx"] = (["nginx", "-p", str(at), "-c", str(config)], {})
    else:
        missing.append("nginx with its stream module")
    if shutil.which("go"):
        program = at / "proxy"
        subprocess.run(["go", "build", "-o", str(program), str(HERE / "proxy.go")], check=True)
        all["go"] = ([str(program), f"127.0.0.1:{FRONT}", to], {"GOMAXPROCS": "1"})
    else:
        missing.append("go")
    if missing:
        print("not installed, so left out:", ", ".join(dict.fromkeys(missing)), file=sys.stderr)
    return all


class Bench:
    """The ends of all proxies: what is measured of each."""

    def __init__(self, throng, at, asked):
        self.throng, self.seconds, self.pairs = throng, asked.seconds, asked.pairs
        self.block = at / "block"
        # A backslash would begin an expression.
        self.block.write_bytes(os.urandom(65536).replace(b"\\", b"/"))

    def load(self, *words, reached=True):
        """The summary of a load through the proxy."""
        argv = [self.throng, "load", "--quiet", "--output", "json", "-w", "1", *words]
        ran = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if not ran.stdout or reached and ran.returncode != 0:
            sys.exit(f"{' '.join(argv)}: {ran.stderr.strip() or ran.stdout[:2000]}")
        return json.loads(ran.stdout)

    def serve(self, mode):
        return Running([self.throng, "serve", "--quiet", "-w", "1", "--mode", mode, f"127.0.0.1:{BACK}"], BACK)

    def bulk(self, proxy):
        with self.serve("sink"):
            before = proxy.cpu()
            ran = self.load("-c", str(BULK_CONNECTIONS), "-f", str(self.block), "--hold", f"{self.seconds}s", f"127.0.0.1:{FRONT}")
            sent = ran["traffic"]["bytes_sent"] / 1e9
            return (proxy.cpu() - before) / sent, sent / ran["seconds"]

    def echo(self, proxy):
        with self.serve("echo"):
            before = proxy.cpu()
            ran = self.load(
                *("-c", str(ECHO_CONNECTIONS), "-m", "x" * MESSAGE_BYTES, "-r", str(ECHO_RATE), "--latency-echo"),
                *("--hold", f"{self.seconds}s", f"127.0.0.1:{FRONT}"),
                reached=False,
            )
            messages = ran["answers"]["received"]
            return (proxy.cpu() - before) * 1e6 / messages, messages / ran["seconds"]

    def each(self, proxy):
        with self.serve("http"):
            before = proxy.cpu()
            ran = self.load(
                *("-c", str(PAIRS_AT_ONCE), "--requests-per-connection", "1", "--after-ramp", "--hold", f"{self.seconds}s"),
                f"http://127.0.0.1:{FRONT}/",
                reached=False,
            )
            done = ran["http"]["completed"]
            return (proxy.cpu() - before) * 1e6 / done, done / ran["seconds"]

    def memory(self, proxy):
        with self.serve("sink"):
            # What the first connections allocate is not theirs alone.
            self.load("-c", "16", "--hold", "100ms", f"127.0.0.1:{FRONT}")
            before = proxy.memory()
            argv = [self.throng, "load", "--quiet", "-c", str(self.pairs), "--hold", "1h", f"127.0.0.1:{FRONT}"]
            holds = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                until = time.monotonic() + 60
                while established(BACK) < self.pairs:
                    if holds.poll() is not None or time.monotonic() > until:
                        sys.exit(f"{self.pairs} pairs do not stand: {established(BACK)} do")
                    time.sleep(0.1)
                time.sleep(1)
                return ((proxy.memory() - before) / self.pairs, self.pairs)
            finally:
                holds.send_signal(signal.SIGINT)
                holds.communicate()


def established(port):
    """How many connections of the server on this port of loopback are established."""
    out = subprocess.run(["ss", "-Htn", "state", "established", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return out.stdout.count("\n")


def table(title, units, rounds):
    """Prints medians, and the ratio of the reference's cost to each other's by round: below 1, the reference is cheaper."""
    cost, rate = units
    print(f"\n### {title}\n\n| | {cost} | {rate} | throng ÷ this |\n|---|---:|---:|---:|")
    for name in rounds[0]:
        costs, rates = zip(*(one[name] for one in rounds))
        ratios = [one[REFERENCE][0] / one[name][0] for one in rounds if one[name][0] > 0]
        shown = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})" if ratios else "–"
        print(f"| {name} | {statistics.median(costs):,.2f} | {statistics.median(rates):,.2f} | {shown} |", flush=True)


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--seconds", type=int, default=5)
    parse.add_argument("--pairs", type=int, default=5000)
    parse.add_argument("--only", default="bulk,echo,pairs,memory")
    parse.add_argument("--proxies", help="some of them, by name: throng,haproxy")
    parse.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parse.parse_args()
    with tempfile.TemporaryDirectory() as at:
        at = pathlib.Path(at)
        all = proxies(asked.throng, at, asked.pairs)
        if asked.proxies:
            wanted = {REFERENCE, *asked.proxies.split(",")}
            all = {name: how for name, how in all.items() if name in wanted}
        bench = Bench(asked.throng, at, asked)
        for what, title, units, measure in (
            ("bulk", f"bulk over {BULK_CONNECTIONS} connections", ("CPU s per GB", "GB/s"), bench.bulk),
            ("echo", f"echo of {MESSAGE_BYTES} B on {ECHO_CONNECTIONS} connections", ("CPU µs per message", "messages/s"), bench.echo),
            ("pairs", "a pair for each request", ("CPU µs per pair", "pairs/s"), bench.each),
            ("memory", f"{asked.pairs:,} pairs at rest", ("user bytes per pair", "pairs"), bench.memory),
        ):
            if what not in asked.only.split(","):
                continue
            rounds = []
            for n in range(asked.rounds):
                done = {}
                for name in list(all) if n % 2 == 0 else reversed(list(all)):
                    argv, env = all[name]
                    with Running(argv, FRONT, env) as proxy:
                        done[name] = measure(proxy)
                rounds.append({name: done[name] for name in all})
            table(title, units, rounds)


if __name__ == "__main__":
    main()
