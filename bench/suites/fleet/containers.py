#!/usr/bin/env python3
"""A million connections from forty containers, counted by clients, server and kernel: deploy/compose.yaml as it is.

    scripts/image
    bench/suites/fleet/containers.py [--clients N] [--each N] [--hold T] [--compose COMMAND]

`docker compose up --scale client=N` starts a server and N clients. While all hold, the kernel's own counts of sockets are read in the network
namespace of each container (so this needs root, on the engine's machine). Then the clients end by themselves, the server is stopped, and what each
says is compared. Prints the counts, and exits with 1 unless they are all the same. What was started is gone afterwards.

A million connections, both ends on this machine, take some 9.5 GB of memory, and forty containers from 20 s to more than a minute to start. Two settings of
the machine are the administrator's, and this says beforehand where they are in the way:

- In a network that Compose makes, Docker's name server has each container track its connections: `net.netfilter.nf_conntrack_max` has to
  be above those of the server's container.
- Where bridges pass packets to the firewall (`net.bridge.bridge-nf-call-iptables`), the machine tracks all of them once more, and dockerd
  lists the whole table for each container that ends, several at once: with a million entries it took 14 GB of memory here, and five minutes.
  `throng tune --with notrack --port 9000 --apply` exempts the server's port.
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
BRIDGED = pathlib.Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
# More entries than that, and dockerd takes long to list them for each container that ends.
MANY_TRACKED = 100_000
# Entries of the server's container that may be those of its name server and of its neighbours.
FEW = 10
OPENING_S = 900


def number(text):
    """A count as throng writes it: 1,000,000."""
    return int(text.replace(",", ""))


def inside(pid, *command):
    """Output of a command in the network namespace of a process."""
    return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", *command], capture_output=True, text=True, check=True).stdout


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
        """TCP connections of a service's containers by their kernel's count, without the sockets that listen."""
        total = 0
        for pid in filter(None, self.inspect(self.containers(service), "{{.State.Pid}}")):
            text = "".join(pathlib.Path(f"/proc/{pid}/net/{name}").read_text() for name in ("sockstat", "sockstat6"))
            total += sum(map(int, re.findall(r"^TCP6?: inuse (\d+)", text, re.M)))
            # Docker's name server listens in each container, and so does the server.
            total -= len(inside(pid, "ss", "-Hltn").splitlines())
        return total

    def tracked(self, service):
        """Connections that the kernel tracks for a service's only container; 0 if it tracks none."""
        [pid] = self.inspect(self.containers(service), "{{.State.Pid}}")
        return int(inside(pid, "sh", "-c", "cat /proc/sys/net/netfilter/nf_conntrack_count 2>/dev/null || echo 0"))

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
    if CONNTRACK_MAX.exists() and int(CONNTRACK_MAX.read_text()) <= total:
        sys.exit(f"a container's connections are tracked, up to {CONNTRACK_MAX.read_text().strip()}: sudo sysctl -w net.netfilter.nf_conntrack_max={total * 2}")
    if total > MANY_TRACKED and BRIDGED.exists() and BRIDGED.read_text().strip() == "1":
        print("bridges pass packets to the firewall here: unless port 9000 is exempt (throng tune --with notrack --port 9000 --apply), dockerd needs much time and memory at the end", file=sys.stderr)
    with Project(args) as project:
        began = time.monotonic()
        project.run("up", "-d", "--scale", f"client={args.clients}")
        server = project.containers("server")
        at_server = 0
        while at_server < total and time.monotonic() - began < OPENING_S:
            time.sleep(2)
            at_server = project.sockets("server")
            running = project.inspect(project.containers("client"), "{{if .State.Running}}1{{else}}0{{end}}")
            print(f"{time.monotonic() - began:5.0f} s: {at_server:,} sockets in the server's namespace", file=sys.stderr)
            if at_server < total and not all(running):
                break
        at_clients = project.sockets("client")
        tracked = project.tracked("server")
        clients = project.containers("client")
        # They end once their hold is over.
        ran = subprocess.run(["docker", "wait", *clients], capture_output=True, text=True, check=True)
        failed = [code for code in ran.stdout.split() if code != "0"]
        said = project.run("logs", "--no-log-prefix", "client")
        held = [tuple(map(number, pair)) for pair in re.findall(r"^([\d,]+) of ([\d,]+) connections held", said, re.M)]
        # It closes what is left of a million connections, whose clients' networks are gone, before it says what it counted.
        project.run("stop", "-t", "120", "server")
        told = subprocess.run(["docker", "logs", *server], capture_output=True, text=True, check=True)
        accepted, peak = (re.search(rf"^ +{row} +([\d,]+)", told.stdout, re.M) for row in ("accepted", "peak"))
    if not accepted or not peak:
        sys.exit(f"the server said:\n{told.stdout}{told.stderr}")
    rows = [
        ("clients: held to the end of their holds", sum(n for n, _ in held)),
        ("server: accepted", number(accepted[1])),
        ("server: at once", number(peak[1])),
        ("kernel: sockets of the server's container", at_server),
        (f"kernel: sockets of {args.clients} clients' containers", at_clients),
    ]
    alike = not failed and len(held) == args.clients and all(count == total for _, count in rows)
    for name, count in rows:
        print(f"{name:<44}{count:>12,}{'' if count == total else '   differs'}")
    if tracked:
        others = tracked - total
        few = 0 <= others <= FEW
        alike &= few
        print(f"{'conntrack of the server, its container':<44}{tracked:>12,}   {f'{others} of other ports' if few else 'differs'}")
    if failed:
        print(f"{len(failed)} clients ended with {', '.join(sorted(set(failed)))}")
    print(f"all count {total:,}" if alike else f"not all count {total:,}")
    return 0 if alike else 1


if __name__ == "__main__":
    sys.exit(main())
