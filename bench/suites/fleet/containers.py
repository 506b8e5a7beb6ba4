#!/usr/bin/env python3
"""A million connections from forty containers, counted by clients, server and kernel: deploy/compose.yaml as it is.

    scripts/image
    bench/suites/fleet/containers.py [--clients N] [--each N] [--hold T] [--compose COMMAND]

`docker compose up --scale client=N` starts a server and N clients. While all hold, the kernel's own counts of sockets are read in the network
namespace of each container (so this needs root, on the engine's machine). Then the clients end by themselves, the server is stopped, and what each
says is compared. Prints the counts, and exits with 1 unless they are all the same. What was started is gone afterwards.

A million connections, both ends on this machine, take some 9.5 GB of memory. Containers of a network that Compose makes may have their connections
tracked, each in a namespace of its own: then `net.netfilter.nf_conntrack_max` has to be above them, which this says beforehand.
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FILE = ROOT / "deploy/compose.yaml"
CONNTRACK_MAX = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
OPENING_S = 900


def number(text):
    """A count as throng writes it: 1,000,000."""
    return int(text.replace(",", ""))


class Project:
    """The containers of one run."""

    def __init__(self, args):
        self.args = args
        self.command = [*shlex.split(args.compose), "-p", f"throng-{os.getpid()}", "-f", str(FILE)]
        # Variables of the Compose file.
        self.environment = os.environ | {"CONNECTIONS": str(args.each), "HOLD": args.hold}

    def run(self, *words):
        ran = subprocess.run([*self.command, *words], env=self.environment, capture_output=True, text=True)
        if ran.returncode != 0:
            sys.exit(f"{' '.join([*self.command, *words])}: exit code {ran.returncode}: {ran.stderr.strip()}")
        return ran.stdout

    def containers(self, service):
        return self.run("ps", "-a", "-q", service).split()

    def inspect(self, containers, what):
        ran = subprocess.run(["docker", "inspect", "-f", what, *containers], capture_output=True, text=True, check=True)
        return [int(word) for word in ran.stdout.split()]

    def sockets(self, service):
        """TCP connections of a service's containers by their kernel's count."""
        total = 0
        for pid in self.inspect(self.containers(service), "{{.State.Pid}}"):
            text = "".join(pathlib.Path(f"/proc/{pid}/net/{name}").read_text() for name in ("sockstat", "sockstat6") if pid)
            total += sum(map(int, re.findall(r"^TCP6?: inuse (\d+)", text, re.M)))
        # Docker's name server listens in each container, and so does the server.
        return total

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self.command, "down", "-t", "5"], env=self.environment, capture_output=True, check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=40, help="containers with clients [default: 40]")
    parser.add_argument("--each", type=int, default=25_000, help="connections of each [default: 25000]")
    parser.add_argument("--hold", default="5m", help="how long each holds; containers start one after the other [default: 5m]")
    parser.add_argument("--compose", default="docker compose", help="Compose's command [default: docker compose]")
    args = parser.parse_args()
    total = args.clients * args.each
    if CONNTRACK_MAX.exists() and int(CONNTRACK_MAX.read_text()) < total:
        print(f"if the server's connections are tracked, they end at {CONNTRACK_MAX.read_text().strip()}: sysctl -w net.netfilter.nf_conntrack_max={total * 2}", file=sys.stderr)
    with Project(args) as project:
        began = time.monotonic()
        project.run("up", "-d", "--scale", f"client={args.clients}")
        server = project.containers("server")
        most = {"server": 0, "client": 0}
        while most["server"] < total and time.monotonic() - began < OPENING_S:
            time.sleep(2)
            most["server"] = max(most["server"], project.sockets("server"))
            running = project.inspect(project.containers("client"), "{{if .State.Running}}1{{else}}0{{end}}")
            print(f"{time.monotonic() - began:5.0f} s: {most['server']:,} sockets in the server's namespace", file=sys.stderr)
            if not all(running):
                break
        most["client"] = project.sockets("client")
        clients = project.containers("client")
        # They end once their hold is over.
        ran = subprocess.run(["docker", "wait", *clients], capture_output=True, text=True, check=True)
        failed = [code for code in ran.stdout.split() if code != "0"]
        said = project.run("logs", "--no-log-prefix", "client")
        held = [tuple(map(number, pair)) for pair in re.findall(r"^([\d,]+) of ([\d,]+) connections held", said, re.M)]
        project.run("stop", "server")
        told = subprocess.run(["docker", "logs", *server], capture_output=True, text=True, check=True)
        served = re.search(r"([\d,]+) connections? accepted, up to ([\d,]+) at once", told.stdout + told.stderr)
    if not served:
        sys.exit(f"the server said:\n{told.stdout}{told.stderr}")
    # A name server's sockets are there in each container, and the one that listens.
    rows = [
        ("clients: held to the end of their holds", sum(n for n, _ in held), total),
        ("server: accepted", number(served[1]), total),
        ("server: at once", number(served[2]), total),
        ("kernel: sockets of the server's container", most["server"], None),
        (f"kernel: sockets of {args.clients} clients' containers", most["client"], None),
    ]
    alike = not failed and len(held) == args.clients
    for name, count, wanted in rows:
        # A container may have up to two sockets that listen: the server's own, and that of Docker's name server.
        spare = 0 if wanted is not None else 2 * (args.clients if "clients" in name else 1)
        right = total <= count <= total + spare
        alike &= right
        print(f"{name:<44}{count:>12,}{'' if right else '   differs'}")
    if failed:
        print(f"{len(failed)} clients ended with {', '.join(sorted(set(failed)))}")
    print(f"all count {total:,}" if alike else f"not all count {total:,}")
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
