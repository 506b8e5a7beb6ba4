#!/usr/bin/env python3
"""A million connections from forty hosts, counted by agents, server and kernel.

    cargo build --release -p throng
    bench/suites/fleet/million.py [--agents N] [--each N] [--hold T] [--throng FILE]

Makes a lab of N hosts (`throng lab`), each with an address of its own, and a server's host with `throng serve --mode sink`. An agent on
each host opens its part of the connections, and all hold them at once. While they do, the kernel's own counts of sockets are read on every
host. Prints the counts, and exits with 1 unless they are all the same.

Both ends are on this machine: a million connections take some 10 GB of memory, most of it the kernel's, and on two cores about four
minutes. Nothing else is needed: no root where user namespaces are allowed, and whatever `ulimit -Hn` is from 1,024 on, with io_uring.
Kernels without it need as many files for the server as there are connections.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()
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
        text = self.on(host, "cat", "/proc/net/sockstat", "/proc/net/sockstat6")
        in_use = sum(map(int, re.findall(r"^TCP6?: inuse (\d+)", text, re.M)))
        return in_use - len(self.on(host, "ss", "-Hltn").splitlines())

    def tracked(self, host):
        """Connections that the host's firewall tracks; None if it tracks none."""
        path = "/proc/sys/net/netfilter/nf_conntrack_count"
        text = self.on(host, "sh", "-c", f"cat {path} 2>/dev/null || true").strip()
        return int(text) or None if text else None


def inside(args):
    """Runs the fleet within the lab. Prints what agents and kernels count, as JSON."""
    lab = Lab(args.throng)
    words = ["fleet", "run", "load", "-c", str(args.agents * args.each), "--hold", args.hold, "--output", "json"]
    with tempfile.TemporaryFile("w+") as out:
        fleet = subprocess.Popen([args.throng, *words, args.inside], stdout=out, stderr=subprocess.PIPE, text=True)
        counted = None
        for line in fleet.stderr:
            sys.stderr.write(line)
            if "holding" in line and counted is None:
                hosts = range(1, args.agents + 1)
                counted = {
                    "server": lab.sockets("server"),
                    "hosts": sum(lab.sockets(host) for host in hosts),
                    "tracked": lab.tracked("server"),
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
    command = [args.throng, "lab", str(args.agents), "--serve", "sink", "--", sys.executable, str(HERE)]
    command += ["--inside", "{server}:9000", "--throng", args.throng, "--agents", str(args.agents)]
    command += ["--each", str(args.each), "--hold", args.hold]
    with tempfile.TemporaryFile("w+") as said:
        ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=said, text=True)
        said.seek(0)
        text = said.read()
    served = re.search(r"([\d,]+) connections? accepted, up to ([\d,]+) at once", text)
    if ran.returncode != 0 or not ran.stdout or not served:
        sys.exit(f"the lab failed, with exit code {ran.returncode}:\n{text}")
    told = json.loads(ran.stdout)
    summary, kernel = told["summary"], told["kernel"]
    if summary is None or kernel is None:
        sys.exit(f"the fleet failed, with exit code {told['code']}:\n{text}")
    connections = summary["connections"]
    rows = [
        ("agents: established", connections["established"]),
        ("agents: held to the end", connections["open_at_end"]),
        ("agents: sum of their own", sum(source["established"] for source in summary["sources"])),
        ("server: accepted", number(served[1])),
        ("server: at once", number(served[2])),
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
