#!/usr/bin/env python3
"""A million connections from forty hosts, counted by agents, server and kernel.

    cargo build --release -p throng
    bench/suites/fleet/million.py [--agents N] [--each N] [--hold T] [--connect-rate R] [--track] [--throng FILE]

Makes a lab of N hosts (`throng lab`), each with an address of its own, and a server's host with `throng serve --mode sink`. An agent on
each host opens its part of the connections, and all hold them at once. While they do, the kernel's own counts of sockets are read on every
host. Prints the counts, and exits with 1 unless they are all the same. `--track` has the server's host track its connections, too (nft(8), as
root), and compares that count.

Both ends are on this machine: a million connections take some 9.5 GB of memory, most of it the kernel's, and on two cores about two
minutes. Nothing else is needed: no root where user namespaces are allowed, and whatever `ulimit -Hn` is from 1,024 on, with io_uring.
Kernels without it need as many files for the server as there are connections. `--track` needs net.netfilter.nf_conntrack_max above them.

Agents and server share the machine's cores, so without a bound on their rate the agents connect faster than the server accepts. That ends
well, but late: what the accept queue drops is sent again after a second or more. Hence `--connect-rate`.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
CONNTRACK_MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
TRACK = "add table inet million; add chain inet million in { type filter hook input priority 0; }; add rule inet million in ct state invalid counter"
# How long the server's kernel may take until it has what the agents' kernels have: a last packet of a handshake that was dropped is sent again.
SETTLES_S = 10
THRONG = HERE.parents[3] / "target/release/throng"
# What a connection takes, both ends together, in bytes; and what is left alone.
PER_CONNECTION, RESERVE = 10_000, 512 << 20


def number(text):
    """A count as throng writes it: 1,000,000."""
    return int(text.replace(",", ""))


def available():
    """Bytes of memory that this machine has left."""
    line = re.search(r"MemAvailable:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return int(line[1]) * 1024


class Lab:
    """The lab that this process runs in."""

    def __init__(self, throng):
        self.throng = throng

    def on(self, host, *words):
        command = [self.throng, "lab", "--on", str(host), "--", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def sockets(self, host):
        """TCP sockets of a host by its kernel's count, without those that listen."""
        # A server that listens at [::] has sockets of IPv6, whoever connects.
        text = self.on(host, "sh", "-c", "cat /proc/net/sockstat /proc/net/sockstat6; ss -Hltn")
        in_use = sum(map(int, re.findall(r"^TCP6?: inuse (\d+)", text, re.M)))
        return in_use - len(re.findall(r"^LISTEN", text, re.M))

    def tracked(self, host):
        """Connections that the host's firewall tracks."""
        return int(self.on(host, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"))


def inside(args):
    """Runs the fleet within the lab. Prints what agents and kernels count, as JSON."""
    lab = Lab(args.throng)
    total = args.agents * args.each
    if args.track:
        lab.on("server", "nft", TRACK)
    words = ["fleet", "run", "load", "-c", str(total), "--hold", args.hold, "--connect-rate", args.connect_rate, "--output", "json"]
    with tempfile.TemporaryFile("w+") as out:
        fleet = subprocess.Popen([args.throng, *words, args.inside], stdout=out, stderr=subprocess.PIPE, text=True)
        counted = None
        for line in fleet.stderr:
            sys.stderr.write(line)
            if "holding" in line and counted is None:
                hosts = range(1, args.agents + 1)
                until = time.monotonic() + SETTLES_S
                while (server := lab.sockets("server")) < total and time.monotonic() < until:
                    time.sleep(1)
                counted = {
                    "server": server,
                    "tracked": lab.tracked("server") if args.track else None,
                    "hosts": sum(lab.sockets(host) for host in hosts),
                }
        code = fleet.wait()
        out.seek(0)
        text = out.read()
    json.dump({"code": code, "summary": json.loads(text) if text else None, "kernel": counted}, sys.stdout)


def outside(args):
    """Makes the lab, has the rest run in it, and compares."""
    total = args.agents * args.each
    needs = total * PER_CONNECTION + RESERVE
    if available() < needs:
        sys.exit(f"{total:,} connections need {needs / 1e9:.1f} GB of memory, and {available() / 1e9:.1f} GB are available")
    if args.track and int(CONNTRACK_MAX.read_text()) <= total:
        sys.exit(f"{CONNTRACK_MAX.read_text().strip()} connections can be tracked: sudo sysctl -w net.netfilter.nf_conntrack_max={2 * total}")
    command = [args.throng, "lab", str(args.agents), "--serve", "sink", "--", sys.executable, str(HERE)]
    command += ["--inside", "{server}:9000", "--throng", args.throng, "--agents", str(args.agents)]
    command += ["--each", str(args.each), "--hold", args.hold, "--connect-rate", args.connect_rate]
    command += ["--track"] if args.track else []
    text = ""
    with tempfile.TemporaryFile("w+") as out:
        ran = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        for line in ran.stderr:
            text += line
            # How far the agents are; the rest is told if it fails.
            if f" of {total:,}" in line:
                sys.stderr.write(line)
        ran.wait()
        out.seek(0)
        said = out.read()
    accepted, peak = (re.search(rf"^ +{row} +([\d,]+)", text, re.M) for row in ("accepted", "peak"))
    if ran.returncode != 0 or not said or not accepted or not peak:
        sys.exit(f"the lab failed, with exit code {ran.returncode}:\n{text}")
    told = json.loads(said)
    summary, kernel = told["summary"], told["kernel"]
    if summary is None or kernel is None:
        sys.exit(f"the fleet failed, with exit code {told['code']}:\n{text}")
    connections = summary["connections"]
    rows = [
        ("agents: established", connections["established"]),
        ("agents: held to the end", connections["open_at_end"]),
        ("agents: sum of their own", sum(source["established"] for source in summary["sources"])),
        ("server: accepted", number(accepted[1])),
        ("server: at once", number(peak[1])),
        ("kernel: sockets of the server's host", kernel["server"]),
        (f"kernel: sockets of {args.agents} hosts", kernel["hosts"]),
    ]
    if kernel["tracked"] is not None:
        rows.append(("conntrack of the server's host", kernel["tracked"]))
    for name, count in rows:
        print(f"{name:<40}{count:>12,}{'' if count == total else '   differs'}")
    start = summary["start"]
    if start is not None:
        print(f"agents began within {start['spread_us'] / 1e3:.1f} ms, by clocks compared to within {start['bound_us']:.0f} µs")
    print(f"opened in {summary['set_up']['seconds']:.1f} s, held for {summary['hold_s']:.1f} s")
    alike = all(count == total for _, count in rows)
    print(f"all count {total:,}" if alike else f"not all count {total:,}")
    for finding in summary["findings"]:
        print(f"finding: {finding['text']}")
    return 0 if alike and told["code"] == 0 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=40, help="hosts, with an agent on each [default: 40]")
    parser.add_argument("--each", type=int, default=25_000, help="connections of each [default: 25000]")
    parser.add_argument("--hold", default="30s", help="how long all are held [default: 30s]")
    parser.add_argument("--connect-rate", default="40k", help="connections per second, of all agents together [default: 40k]")
    parser.add_argument("--track", action="store_true", help="have the server's host track connections, and compare that count, too")
    parser.add_argument("--throng", default=str(THRONG), help="the program [default: target/release/throng]")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not os.access(args.throng, os.X_OK):
        sys.exit(f"{args.throng} is no program: cargo build --release -p throng")
    if args.inside:
        inside(args)
        return 0
    return outside(args)


if __name__ == "__main__":
    sys.exit(main())
