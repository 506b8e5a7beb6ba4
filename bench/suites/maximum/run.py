#!/usr/bin/env python3
"""Checks what `throng load -c max` finds against servers whose limit is known, because this script makes them.

    sudo bench/suites/maximum/run.py [--throng PATH] [--machine] [NAME...]

Each run has network namespaces of its own, made as for bench/suites/diagnosis: one for throng, and one for a server on another
machine. Nothing outside of them is changed, but for a cgroup of its own; and with --machine, for a while, the machine's bound on
tracked connections, which is one for all namespaces. Prints a table: the server, the true number, the number found, what throng says of
it, how long the search took. Exits with 1 if a number is off by more than 1 % (or 1), a reason that can be known is not named, a
search takes more than a minute, or a limit is invented where there is none.

Needs root, iproute2, nftables, python3 and prlimit; runs that need node, nginx or haproxy are left out where these are missing.
"""

import argparse
import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
spec = importlib.util.spec_from_file_location("diagnosis", HERE.parent / "diagnosis/run.py")
diagnosis = importlib.util.module_from_spec(spec)
spec.loader.exec_module(diagnosis)
FAR = diagnosis.FAR
NODE = "require('net').createServer(c=>{c.on('error',()=>{});c.resume()}).listen(9000,'0.0.0.0')"
NODE_MOST = (
    "const s=require('net').createServer(c=>{c.on('error',()=>{});c.resume()});s.maxConnections=1024;s.listen(9000,'0.0.0.0')"
)
# A server whose answers to handshakes take longer with every connection beyond 1,000.
SLOWER = """
import selectors, socket, time
all, n = selectors.DefaultSelector(), 0
listener = socket.create_server(('0.0.0.0', 9000), backlog=16)
listener.setblocking(False)
all.register(listener, selectors.EVENT_READ)
held = []
while True:
    all.select()
    held.append(listener.accept()[0])
    time.sleep(max(0, len(held) - 1000) / 50_000)
"""

CASES = []
# What puts back what a case has changed outside of its namespaces, and what its throng is started by.
UNDO, PREFIX = [], []


def case(name, ending, limit=None, args="", needs=None):
    """A server: how the search ends, and the limit that is named where it can be known. The function starts it, and returns the
    target and the true number; and how many of those answer, where others are established and not served."""

    def add(prepare):
        CASES.append((name, ending, limit, args, needs, prepare))
        return prepare

    return add


def files(space, server, most):
    """How many more files than it has now `server` may open."""
    open_now = len(list(pathlib.Path(f"/proc/{server.pid}/fd").iterdir()))
    return most - open_now


def python_with(place, space, most):
    server = space.serve("holds", files=most)
    return files(space, server, most)


@case("Python here, 300 files", "found", "target_files")
def python_here(place):
    return "127.0.0.1", python_with(place, place.near, 300)


@case("Python here, 1,024 files", "found", "target_files")
def python_here_1024(place):
    return "127.0.0.1", python_with(place, place.near, 1024)


@case("Python here, 5,000 files", "found", "target_files")
def python_here_5000(place):
    return "127.0.0.1", python_with(place, place.near, 5000)


@case("Node here, 300 files", "found", "target_files", needs="node")
def node_here(place):
    server = place.near.start("node", "-e", NODE, files=300)
    return "127.0.0.1", files(place.near, server, 300)


@case("Node there, 1,024 files", "found", needs="node")
def node_there(place):
    server = place.far.start("node", "-e", NODE, files=1024)
    return FAR, files(place.far, server, 1024)


@case("a limit of 400 there, others closed", "found", "target_connections")
def closes(place):
    place.far.serve("at-once", 400)
    return FAR, 400


def with_nginx(space):
    where = space.files.name
    config = pathlib.Path(where, "nginx.conf")
    config.write_text(
        f"daemon off; master_process off; user root root; pid {where}/pid; error_log /dev/null;"
        " events { worker_connections 512; }"
        f" http {{ access_log off; client_body_temp_path {where}/b; proxy_temp_path {where}/p;"
        f" fastcgi_temp_path {where}/f; uwsgi_temp_path {where}/u; scgi_temp_path {where}/s;"
        " client_header_timeout 10m; server { listen 9000 backlog=4096; } }"
    )
    space.start("nginx", "-c", str(config), "-e", "/dev/null")
    # It closes idle connections when it accepts one and no more than 32 of its 512 are left. One of the others is its listener.
    return 479


@case("nginx here, 512 worker_connections, idle", "found", "target_connections", needs="nginx")
def nginx_idle(place):
    return "127.0.0.1", with_nginx(place.near)


@case("nginx there, 512 worker_connections, idle", "found", "target_connections", needs="nginx")
def nginx_idle_there(place):
    return FAR, with_nginx(place.far)


@case("nginx there, 512 worker_connections, requests begun", "found", args="-1 GET", needs="nginx")
def nginx_begun(place):
    with_nginx(place.far)
    # These are not idle.
    return FAR, 511


def with_haproxy(space):
    where = pathlib.Path(space.files.name, "haproxy.cfg")
    where.write_text(
        "defaults\n mode tcp\n timeout client 10m\n timeout server 10m\n timeout connect 5s\n"
        "frontend f\n bind :9000\n maxconn 300\n default_backend b\n"
        "backend b\n server s 127.0.0.1:9001\n"
    )
    space.serve("holds", files=5000, port=9001)
    space.start("haproxy", "-f", str(where))
    return 300


@case("HAProxy here, maxconn 300", "found", "accept_queue", needs="haproxy")
def haproxy(place):
    return "127.0.0.1", with_haproxy(place.near)


@case("HAProxy there, maxconn 300, by answers", "found", args="-c max -m ping --closed-loop", needs="haproxy")
def haproxy_there(place):
    # As many again are established, and one, as they wait in its accept queue. What is closed again stays in there.
    return FAR, None, with_haproxy(place.far)


@case("Node here, server.maxConnections 1,024", "found", "target_connections", needs="node")
def node_most(place):
    place.near.start("node", "-e", NODE_MOST)
    return "127.0.0.1", 1024


@case("a firewall there lets 700 through, drops others", "found")
def drops(place):
    place.far.serve("holds", files=5000)
    place.far.shell(diagnosis.firewall("drop", 700))
    return FAR, 700


@case("a firewall there lets 700 through, resets others", "found")
def resets(place):
    place.far.serve("holds", files=5000)
    place.far.shell(diagnosis.firewall("reject with tcp reset", 700))
    return FAR, 700


@case("conntrack there: a table of 700", "found", needs="--machine")
def tracked(place):
    # Each namespace counts its own entries, but their bound can be set in the initial one only, for all of them (Linux 6.18).
    place.far.serve("holds", files=5000)
    place.far.shell("nft 'table ip t { chain i { type filter hook input priority 0; ct state invalid drop; }; }'")
    most = pathlib.Path("/proc/sys/net/netfilter/nf_conntrack_max")
    before = most.read_text()
    UNDO.append(lambda: most.write_text(before))
    most.write_text("700")
    return FAR, 700


@case("this client in a cgroup of 100 MiB", "client", "cgroup_memory")
def memory(place):
    # Version 1 of cgroups has a hierarchy for memory.
    group = next(at for at in ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"] if pathlib.Path(at).is_dir())
    bound = "memory.limit_in_bytes" if group.endswith("memory") else "memory.max"
    group = pathlib.Path(group, f"throng-maximum-{place.near.holder.pid}")
    group.mkdir()
    UNDO.append(group.rmdir)
    (group / bound).write_text(str(100 << 20))
    place.far.start(ARGS.throng, "serve", f"{FAR}:9000")
    PREFIX[:] = ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    return FAR, None


@case("answers take 300 ms beyond 200 connections", "found", args="-c @p90<40ms --closed-loop -m ping")
def knee(place):
    place.far.serve("knee", 200, files=5000)
    return FAR, 200


@case("answers take 1 ms for each connection", "found", args="-c @p90<80ms --closed-loop -m ping")
def slower_answers(place):
    place.far.serve("slower", 1, files=5000)
    # Its timer rounds up.
    return FAR, 79


@case("NAT here with 100 ports", "found", "nat_ports")
def nat(place):
    place.near.shell(
        "nft 'table ip t { chain p { type nat hook postrouting priority 100;"
        f" tcp dport 9000 snat to {diagnosis.NEAR}:40000-40099; }}; }}'"
    )
    place.far.serve("holds", files=5000)
    return FAR, 100


@case("throng serve here keeps 500, others in its queue", "found", "accept_queue")
def queue(place):
    place.near.start(ARGS.throng, "serve", "127.0.0.1:9000", "--max-connections", "500", "--backlog", "128")
    return "127.0.0.1", 500


@case("ports of this client: 1,000", "client", "four_tuples")
def ports(place):
    place.near.shell("echo 40000 40999 > /proc/sys/net/ipv4/ip_local_port_range")
    place.far.serve("holds", files=5000)
    return FAR, 1000


@case("no limit up to max:3k", "bound", args="-c max:3k")
def none(place):
    place.far.serve("holds", files=5000)
    return FAR, 3000


@case("slower from 1,000 on, up to max:2k", "bound", args="-c max:2k")
def slower(place):
    place.far.start("python3", "-c", SLOWER, files=5000)
    return FAR, 2000


@case("there, accepts 50 a second, up to max:1k", "bound", args="-c max:1k")
def slowly(place):
    place.far.serve("slowly", 50, files=5000)
    return FAR, 1000


def run(found):
    name, ending, limit, args, _, prepare = found
    place = diagnosis.Place()
    try:
        target, truth, *answering = prepare(place)
        words = [] if "-c " in args else ["-c", "max"]
        command = [*PREFIX, ARGS.throng, "load", "--output", "json", "--hold", "3s", *words, *args.split(), f"{target}:9000"]
        ran = subprocess.run(place.near.inside(command), capture_output=True, text=True, timeout=180)
        summary = json.loads(ran.stdout) if ran.stdout else None
    finally:
        place.close()
        while UNDO:
            UNDO.pop()()
        PREFIX.clear()
    if summary is None:
        return [name, truth, "-", "-", f"wrong: {ran.stderr.strip()}"]
    m = summary["maximum"]
    wrong = []
    if truth and abs(m["connections"] - truth) > max(1, truth / 100):
        wrong.append("number")
    if m["ending"] != ending:
        wrong.append(m["ending"])
    named = m["limit"] or m["client_limit"] if ending == "client" else m["limit"]
    if limit and named != limit:
        wrong.append(f"reason {named}")
    if m["seconds"] > 60:
        wrong.append("slow")
    if answering and [m["answered"]] != answering:
        wrong.append(f"answered {m['answered']}")
    # Messages without an answer are none that were answered.
    if (ran.returncode == 0) != (ending != "client" and not answering):
        wrong.append(f"exit {ran.returncode}")
    verdict = "right" if not wrong else "WRONG: " + ", ".join(wrong)
    says = m["words"] + (f" (knee at {m['knee']})" if m["knee"] else "")
    return [name, truth or "-", m["connections"], f"{m['seconds']:.0f} s", verdict, says]


def main():
    global ARGS
    parser = argparse.ArgumentParser()
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    parser.add_argument("--machine", action="store_true")
    parser.add_argument("names", nargs="*")
    ARGS = parser.parse_args()
    failed = False
    print("| server | true | found | search | | what it says |\n| --- | ---: | ---: | ---: | --- | --- |")
    for found in CASES:
        if ARGS.names and not any(name in found[0] for name in ARGS.names):
            continue
        if found[4] == "--machine":
            if not ARGS.machine:
                print(f"| {found[0]} | | | | left out: only with --machine | |")
                continue
        elif found[4] and not shutil.which(found[4]):
            print(f"| {found[0]} | | | | left out: no {found[4]} | |")
            continue
        row = run(found)
        failed |= row[4] != "right"
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
