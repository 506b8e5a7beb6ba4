#!/usr/bin/env python3
"""Checks what `throng load` says of runs that fall short, against reasons that are known because this script makes them.

    sudo bench/suites/diagnosis/run.py [NAME...]

Each run has network namespaces of its own: one for throng, and one for a server behind a pair of veth devices where the
server is to be another machine. Nothing outside of them is changed. Of half of the reasons nothing can be known where throng
runs; for those the right answer is to name nothing, or to guess and say so.

Prints a table: the reason, what throng named, whether it called that certain, and whether it is right. Exits with 1 if
something false was called certain, or if a reason that can be known was not named. Needs root, iproute2, nftables, python3
and prlimit; runs that need node, nginx or haproxy are left out where these are missing.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SERVERS = str(ROOT / "crates/throng/tests/peers/limited.py")
# Seconds after which a run, or a server that does not begin to listen, has failed.
PATIENCE = 60
NEAR, FAR = "10.77.0.1", "10.77.0.2"


class Space:
    """A network namespace, which ends when this script does."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self.holder.stdout.readline() != "up\n":
            sys.exit("no network namespace: run as root")
        self.started = []
        self.files = tempfile.TemporaryDirectory()

    def inside(self, words):
        return ["nsenter", "-t", str(self.holder.pid), "-n", *words]

    def shell(self, script):
        subprocess.run(self.inside(["sh", "-ec", script]), check=True, stdout=subprocess.DEVNULL)

    def start(self, *words, files=None, port=9000):
        """Starts a server and waits until it listens."""
        limited = ["prlimit", f"--nofile={files}:{files}"] if files else []
        server = subprocess.Popen(
            self.inside([*limited, *words]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.started.append(server)
        until = time.monotonic() + PATIENCE
        while not self.listens(port):
            if time.monotonic() > until:
                raise TimeoutError(f"{words} does not listen on {port}")
            time.sleep(0.02)
        return server

    def serve(self, kind, number=0, files=None, port=9000):
        return self.start("python3", SERVERS, str(port), kind, str(number), files=files, port=port)

    def listens(self, port):
        found = subprocess.run(
            self.inside(["ss", "-Hltn", f"sport = :{port}"]), capture_output=True, text=True
        )
        return found.stdout != ""

    def established(self, port=9000):
        found = subprocess.run(
            self.inside(["ss", "-Htn", "state", "established", f"dport = :{port}"]),
            capture_output=True,
            text=True,
        )
        return found.stdout.count("\n")

    def close(self):
        # A supervisor ends its workers, unless it is killed.
        for server in self.started:
            server.terminate()
        for server in self.started:
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self.holder.kill()
        self.holder.wait()
        self.files.cleanup()


class Place:
    """Where a run takes place: `near` has throng, `far` is the other machine."""

    def __init__(self):
        self.near, self.far = Space(), Space()
        far = self.far.holder.pid
        self.near.shell(
            f"ip link add a0 type veth peer name b0 netns {far}; ip addr add {NEAR}/24 dev a0; ip link set a0 up"
        )
        self.far.shell(f"ip addr add {FAR}/24 dev b0; ip link set b0 up")
        self.later = []

    def when(self, connections, action):
        """Calls `action` once this many connections are up."""

        def watch():
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                if self.near.established() >= connections:
                    return action()
                time.sleep(0.02)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        self.later.append(thread)

    def close(self):
        self.near.close()
        self.far.close()
        for thread in self.later:
            thread.join()


def firewall(verdict, most=100, port=9000):
    """A rule that lets so many connections through."""
    return (
        "nft 'table inet f { set s { type inet_service; size 9; flags dynamic; };"
        " chain c { type filter hook input priority 0;"
        f" tcp dport {port} ct state new add @s {{ tcp dport ct count over {most} }} {verdict}; }}; }}'"
    )


DROPS_ALL = (
    "nft 'table inet g { chain c { type filter hook input priority 0; tcp dport 9000 drop; }; }'"
)
DROPS_NEW = (
    "nft 'table inet g { chain c { type filter hook input priority 0; tcp dport 9000 tcp flags & (syn | ack) == syn drop; }; }'"
)

CASES = []


def case(reason, knowable, *right, args="", force=False, needs=None):
    """A run that falls short. `right` are the names of limits that are true, `knowable` says that one must be named.

    The function prepares the place and returns the target, or targets."""

    def keep(prepare):
        CASES.append((prepare.__name__, reason, knowable, right, args, force, needs, prepare))
        return prepare

    return keep


# Reasons that can be known where throng runs.


@case("throng's own limit on open files", True, "open_files", args="--engine epoll", force=True)
def own_files(place):
    place.far.serve("holds")
    return FAR


@case("local ports: 100 in the range", True, "four_tuples", force=True)
def four_tuples(place):
    place.near.shell("echo 40000 40099 > /proc/sys/net/ipv4/ip_local_port_range")
    place.far.serve("holds")
    return FAR


@case(
    "the source address is removed after 100",
    True,
    "source_address",
    args="--source-ip 10.77.0.9 --connect-rate 200",
)
def source_gone(place):
    place.near.shell("ip addr add 10.77.0.9/32 dev a0")
    place.far.shell("ip route add 10.77.0.9 dev b0")
    place.far.serve("holds")
    place.when(100, lambda: place.near.shell("ip addr del 10.77.0.9/32 dev a0"))
    return FAR


@case("source NAT here has 50 ports", True, "nat_ports")
def nat_ports(place):
    place.near.shell(
        "nft 'table ip t { chain p { type nat hook postrouting priority 100;"
        f" tcp dport 9000 snat to {NEAR}:40000-40049; }}; }}'"
    )
    place.far.serve("holds")
    return FAR


@case("a server here with ulimit -n 64", True, "target_files", "accept_queue", force=True)
def server_files(place):
    place.near.serve("holds", files=64)
    return "127.0.0.1"


@case("one of two servers here has ulimit -n 64", True, "target_files", "accept_queue", force=True)
def one_server_s_files(place):
    place.near.serve("holds", files=64)
    place.near.serve("holds", port=9001)
    return "127.0.0.1:9000 127.0.0.1:9001"


@case("a server here with ulimit -n 64, behind a DNAT", True, "target_files", "accept_queue", force=True)
def files_behind_dnat(place):
    place.near.shell(
        "ip addr add 10.9.9.9/32 dev lo;"
        "nft 'table ip t { chain o { type nat hook output priority -100;"
        " ip daddr 10.9.9.9 tcp dport 9000 dnat to 127.0.0.1:9001; }; }'"
    )
    place.near.shell("sysctl -qw net.core.somaxconn=128")
    place.near.serve("holds", files=64, port=9001)
    return "10.9.9.9"


@case("a Node server here with ulimit -n 60", True, "target_files", "accept_queue", force=True, needs="node")
def node_files(place):
    script = "require('net').createServer(c=>c.on('error',()=>{})).listen(9000,'127.0.0.1')"
    place.near.start("node", "-e", script, files=60)
    return "127.0.0.1"


@case("a server here never accepts, backlog 16", True, "accept_queue")
def never_accepts(place):
    place.near.serve("none", 16)
    return "127.0.0.1"


@case("one of three listeners (SO_REUSEPORT) is never accepted from", True, "accept_queue")
def reuseport(place):
    place.near.serve("group", 8)
    return "127.0.0.1"


@case("HAProxy here with maxconn 100", True, "accept_queue", needs="haproxy")
def haproxy(place):
    config = tempfile.NamedTemporaryFile("w", suffix=".cfg")
    config.write(
        "global\n maxconn 100\ndefaults\n mode tcp\n timeout connect 1m\n timeout client 1m\n timeout server 1m\n"
        "listen l\n bind 127.0.0.1:9000\n server s 127.0.0.1:9001\n"
    )
    config.flush()
    place.near.serve("holds", port=9001)
    place.near.start("haproxy", "-f", config.name, "-db")
    return "127.0.0.1"


@case("a server here accepts 20 a second; 100 are held for 1 s", True, "accept_queue", args="-c 100")
def slow_server(place):
    place.near.serve("slowly", 20)
    return "127.0.0.1"


@case("a server here crashes at 100", True, "target_process")
def crash(place):
    place.near.serve("crashes", 100)
    return "127.0.0.1"


@case("a server here is killed during the hold", True, "target_process", args="-c 100 --hold 20s")
def killed(place):
    server = place.near.serve("holds")
    place.when(100, server.kill)
    return "127.0.0.1"


@case(
    "the path becomes silent after 100, with traffic",
    True,
    "path",
    args="-m x -r 5 --connect-rate 100",
)
def silent_path(place):
    place.far.serve("holds")
    place.when(100, lambda: place.far.shell(DROPS_ALL))
    return FAR


@case("the route is removed after 100", True, "unreachable", args="--connect-rate 200")
def route_gone(place):
    place.near.shell(f"ip route add 10.78.0.0/24 via {FAR}")
    place.far.shell("ip addr add 10.78.0.1/32 dev lo")
    place.far.serve("holds")
    place.when(100, lambda: place.near.shell("ip route del 10.78.0.0/24"))
    return "10.78.0.1"


@case("a server here stops listening at 100", True, "refused")
def deaf(place):
    place.near.serve("deaf", 100)
    return "127.0.0.1"


# Reasons of which nothing can be known there, but that it is none of those that could be seen.


@case("a firewall there drops beyond 100", False)
def firewall_drops(place):
    place.far.shell(firewall("drop"))
    place.far.serve("holds")
    return FAR


@case("a firewall there resets beyond 100", False)
def firewall_resets(place):
    place.far.shell(firewall("reject with tcp reset"))
    place.far.serve("holds")
    return FAR


@case("a firewall there drops; another listener here overflows", False)
def firewall_and_overflow(place):
    place.far.shell(firewall("drop"))
    place.far.serve("holds")
    place.near.serve("flooded", port=9100)
    return FAR


@case("a firewall there drops; SYN cookies are sent here", False)
def firewall_and_cookies(place):
    place.far.shell(firewall("drop"))
    place.far.serve("holds")
    place.near.shell("sysctl -qw net.ipv4.tcp_syncookies=2")
    place.near.serve("flooded", port=9100)
    return FAR


@case("a firewall here drops beyond 100; the server here has 5 of 8 files open", False, force=True)
def firewall_and_few_files(place):
    place.near.shell(firewall("drop"))
    place.near.serve("forks", files=8)
    return "127.0.0.1"


@case("a firewall here drops beyond 100; another listener here overflows", False)
def local_firewall_and_overflow(place):
    place.near.shell(firewall("drop"))
    place.near.serve("holds")
    place.near.serve("flooded", port=9100)
    return "127.0.0.1"


@case("a server there with ulimit -n 200", False, "target_files")
def far_files(place):
    place.far.shell("sysctl -qw net.core.somaxconn=128")
    place.far.serve("holds", files=200)
    return FAR


@case("a server there with ulimit -n 256", False, "target_files", args="-c 4k")
def far_usual_files(place):
    place.far.shell("sysctl -qw net.core.somaxconn=128")
    place.far.serve("holds", files=256)
    return FAR


@case("a firewall there drops beyond 1,012, as if a server had 1,024 files", False, args="-c 4k")
def firewall_at_a_bad_number(place):
    place.far.shell(firewall("drop", 1012))
    place.far.serve("holds")
    return FAR


@case("the other machine's address moves away after 100", False, "path", args="--connect-rate 200")
def address_moves(place):
    place.far.serve("holds")
    place.when(100, lambda: place.far.shell(f"ip addr del {FAR}/24 dev b0"))
    return FAR


@case("source NAT there has 50 ports to the server behind it", False, "nat_ports")
def far_nat(place):
    place.far.shell(
        "ip addr add 10.79.0.1/32 dev lo;"
        "nft 'table ip t { chain i { type nat hook prerouting priority -100;"
        " tcp dport 9000 dnat to 10.79.0.1:9001; };"
        " chain p { type nat hook input priority 100; tcp dport 9001 snat to 10.79.0.1:40000-40049; }; }'"
    )
    place.far.serve("holds", port=9001)
    place.far.serve("holds")
    return FAR


@case("a queue there is full; tcp_abort_on_overflow resets", False, "accept_queue")
def far_abort(place):
    place.far.shell("sysctl -qw net.ipv4.tcp_abort_on_overflow=1")
    place.far.serve("none", 16)
    return FAR


@case("a broker there answers 'not authorised' and closes", False)
def refuses(place):
    place.far.serve("refuses")
    return FAR


@case("a server there closes what was idle for 2 s", False, args="--connect-rate 50")
def idle(place):
    place.far.serve("idle", 2)
    return FAR


@case("a server there closes at random, aged up to 2 s", False, args="--connect-rate 100")
def at_random(place):
    place.far.serve("random", 2)
    return FAR


@case("a server there closes beyond 100", False, "target_connections")
def own_limit(place):
    place.far.serve("limit", 100)
    return FAR


@case("nginx there with 2 x 64 worker_connections", False, "target_connections", needs="nginx")
def nginx(place):
    where = place.far.files.name
    config = pathlib.Path(where, "nginx.conf")
    config.write_text(
        f"daemon off; worker_processes 2; pid {where}/pid; error_log /dev/null;"
        " events { worker_connections 64; }"
        f" http {{ access_log off; client_body_temp_path {where}/b; proxy_temp_path {where}/p;"
        f" fastcgi_temp_path {where}/f; uwsgi_temp_path {where}/u; scgi_temp_path {where}/s;"
        " server { listen 9000; } }"
    )
    place.far.start("nginx", "-c", str(config), "-e", "/dev/null")
    return FAR


@case("a server there crashes at 100", False, "target_process")
def far_crash(place):
    place.far.serve("crashes", 100)
    return FAR


def run(found, throng):
    """Runs one case. Returns its reason, whether its cause can be known, what was named, and whether that is right."""
    name, reason, knowable, right, args, force, _, prepare = found
    place = Place()
    try:
        targets = prepare(place).split()
        targets = [t if ":" in t else f"{t}:9000" for t in targets]
        words = ["-c", "600"] if "-c " not in args else []
        words += ["--hold", "1s"] if "--hold" not in args else []
        words += ["--force"] if force else []
        limit = ["prlimit", "--nofile=60:60"] if name == "own_files" else []
        command = [*limit, throng, "load", "--output", "json", "--connect-timeout", "1s", *words]
        ran = subprocess.run(
            place.near.inside([*command, *args.split(), *targets]),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    finally:
        place.close()
    if not ran.stdout:
        return reason, knowable, [], f"no result: {ran.stderr.strip()}", "WRONG"
    summary = json.loads(ran.stdout)
    causes = [(c["limit"], c["certain"], c["allows"]) for c in summary["causes"]]
    kinds = {f["kind"] for f in summary["findings"]}
    if "in_accept_queue" in kinds:
        causes.append(("accept_queue", True, None))
    # Attempts that failed for a reason that was not always there. An error code says so.
    for finding in summary["findings"]:
        if (finding.get("remedy") or "").startswith("For a time"):
            causes.append((finding["cause"], True, None))
            right = (*right, finding["cause"])
    first = summary["findings"][0]["text"] if summary["findings"] else "nothing fell short"
    return reason, knowable, causes, first, judge(summary, knowable, right, causes)


def judge(summary, knowable, right, causes):
    if summary["reached"]:
        return "WRONG: reached"
    if any(certain and limit not in right for limit, certain, _ in causes):
        return "WRONG"
    if any(certain for _, certain, _ in causes):
        return "yes"
    if causes:
        fits = any(limit in right for limit, _, _ in causes)
        return "yes, as a guess" if fits else "no, but a guess"
    return "WRONG: not named" if knowable else "yes"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("only", nargs="*", help="run only these")
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"), help="the binary")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time")
    parser.add_argument("--verbose", action="store_true", help="print the first finding of each run")
    asked = parser.parse_args()
    chosen = [c for c in CASES if not asked.only or c[0] in asked.only]
    missing = {c[6] for c in chosen if c[6] and not shutil.which(c[6])}
    for program in sorted(missing):
        print(f"left out, as {program} is missing", file=sys.stderr)
    chosen = [c for c in chosen if c[6] not in missing]
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        results = list(pool.map(lambda found: run(found, asked.throng), chosen))
    wrong = 0
    print("| reason | can be known | throng named | certain | right |")
    print("| --- | --- | --- | --- | --- |")
    for (name, *_), (reason, knowable, causes, first, right) in zip(chosen, results):
        wrong += right.startswith("WRONG")
        named = ", ".join(
            f"`{limit}`" + (f" ({allows:,})" if allows is not None else "")
            for limit, _, allows in causes
        )
        certain = ", ".join("yes" if certain else "no" for _, certain, _ in causes)
        knows = "yes" if knowable else "no"
        print(f"| {reason} | {knows} | {named or 'nothing'} | {certain or '-'} | {right} |")
        if asked.verbose:
            print(textwrap.fill(f"{name}: {first}", 140), file=sys.stderr)
    knowable = sum(1 for _, knowable, *_ in results if knowable)
    print(f"\n{len(results)} runs, {knowable} of them with a reason that can be known; {wrong} wrong.")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
