#!/usr/bin/env python3
"""`throng probe` over paths whose settings are known: what it finds against what was set.

    cargo build --release && sudo bench/suites/probe/run.py [--throng PATH] [--only WORD]

Each case makes a near network, a router and a far network of its own (Linux namespaces), sets something up on the router
(nftables, HAProxy, nginx), and probes. Timeouts must be right to 1 s, numbers of flows to 1 %, rates
to 3 %. Prints a row per case; exits
with 1 if one is wrong. Needs root, nft, haproxy and nginx with its stream module.
"""

import argparse
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FAR_END = "10.78.2.2:9000"
PROXY = "10.78.1.1:9100"
FORGET = "ct state invalid drop;"


def nat(seconds, silent):
    rules = FORGET if silent else ""
    return (
        "nft 'table ip t { chain post { type nat hook postrouting priority 100; masquerade; };"
        f" chain in {{ type filter hook input priority 0; {rules} }};"
        f" chain forward {{ type filter hook forward priority 0; {rules} }}; }}'"
        f" && sysctl -qw net.netfilter.nf_conntrack_tcp_timeout_established={seconds}"
        " net.netfilter.nf_conntrack_tcp_loose=0"
    )


def limit(flows):
    return f"nft 'table ip t {{ chain f {{ type filter hook forward priority 0; ct state new ct count over {flows} drop; }}; }}'"


def haproxy(timeouts):
    lines = "\n".join(f"  timeout {name} {value}" for name, value in timeouts.items())
    return (
        ["haproxy", "-db", "-f"],
        "global\n  maxconn 8000\ndefaults\n  mode tcp\n  timeout connect 5s\n"
        f"{lines}\nlisten probe\n  bind {PROXY}\n  server far {FAR_END}\n",
    )


def nginx(seconds):
    load = "".join(
        f"load_module {path};\n"
        for path in ["/usr/lib/nginx/modules/ngx_stream_module.so"]
        if os.path.exists(path)
    )
    return (
        ["nginx", "-c"],
        f"{load}daemon off;\npid /dev/null;\nerror_log stderr;\nworker_rlimit_nofile 9000;\n"
        "events { worker_connections 8000; }\n"
        f"stream {{ server {{ listen {PROXY}; proxy_pass {FAR_END}; proxy_timeout {seconds}s; }} }}\n",
    )


# Name, what is run on the router, a proxy there, the probe's arguments, and what it must find: a path into the JSON, the
# value, and by how much it may differ.
CASES = [
    *[
        (
            f"NAT, {seconds} s, {'silent' if silent else 'resets'}",
            nat(seconds, silent),
            None,
            f"idle {FAR_END} --up-to {seconds + 6}s",
            [
                (("near", "timeout_s"), seconds, 1),
                (("far", "timeout_s"), seconds, 1),
                (("near", "here"), "silence" if silent else "reset", None),
                (("far", "there"), "silence" if silent else "reset", None),
                (("keepalives_renew",), True, None),
            ],
        )
        for seconds in (5, 10, 30)
        for silent in (True, False)
    ],
    *[
        (
            f"HAProxy, client {client} s, server {server} s",
            "true",
            haproxy({"client": f"{client}s", "server": f"{server}s"}),
            f"idle {PROXY} --up-to 20s",
            [
                (("near", "timeout_s"), min(client, server), 1),
                (("far", "timeout_s"), min(client, server), 1),
                (("near", "here"), "closed_silent", None),
                (("keepalives_renew",), False, None),
            ],
        )
        for client, server in ((5, 60), (60, 8))
    ],
    (
        "nginx, proxy_timeout 7 s",
        "true",
        nginx(7),
        f"idle {PROXY} --up-to 15s",
        [
            (("near", "timeout_s"), 7, 1),
            (("far", "timeout_s"), 7, 1),
            (("keepalives_renew",), False, None),
        ],
    ),
    (
        "no timeout",
        "true",
        None,
        f"idle {FAR_END} --up-to 10s",
        [(("near", "timeout_s"), None, None), (("far", "timeout_s"), None, None)],
    ),
    *[
        (
            f"table of {flows}",
            limit(flows),
            None,
            f"table {FAR_END} --most 4k",
            [
                (("held",), flows, flows / 100),
                (("full",), True, None),
                (("eviction",), "newest", None),
            ],
        )
        for flows in (500, 2000)
    ],
    *[
        (
            f"{rate} new flows per second",
            "nft 'table ip t { chain f { type filter hook forward priority 0;"
            f" tcp flags syn / syn,ack limit rate over {rate}/second burst 5 packets drop; }}; }}'",
            None,
            f"rate {FAR_END} --rate-up-to 1k",
            [(("flows_per_second",), rate, rate * 0.03)],
        )
        for rate in (100, 400)
    ],
]


@contextlib.contextmanager
def networks():
    names = [f"probe-{os.getpid()}-{name}" for name in ("near", "router", "far")]
    near, router, far = names

    def run(*words):
        subprocess.run(words, check=True)

    try:
        for name in names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        for n, name in ((1, near), (2, far)):
            run("ip", "-n", router, "link", "add", f"to{n}", "type", "veth", "peer", "name", "eth", "netns", name)
            run("ip", "-n", router, "addr", "add", f"10.78.{n}.1/24", "dev", f"to{n}")
            run("ip", "-n", router, "link", "set", f"to{n}", "up")
            run("ip", "-n", name, "addr", "add", f"10.78.{n}.2/24", "dev", "eth")
            run("ip", "-n", name, "link", "set", "eth", "up")
            run("ip", "-n", name, "route", "add", "default", "via", f"10.78.{n}.1")
        run("ip", "netns", "exec", router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def inside(name, *words, **options):
    return subprocess.Popen(["ip", "netns", "exec", name, *words], **options)


def value(result, path):
    for key in path:
        result = result[key]
    return result


def case(throng, name, setup, proxy, probe, expected):
    with networks() as (near, router, far), tempfile.TemporaryDirectory() as directory:
        subprocess.run(["ip", "netns", "exec", router, "sh", "-c", setup], check=True)
        others = [inside(far, throng, "probe", "--server", FAR_END, stderr=subprocess.DEVNULL)]
        if proxy:
            command, text = proxy
            config = pathlib.Path(directory, "config")
            config.write_text(text)
            others.append(inside(router, *command, str(config), stderr=subprocess.DEVNULL))
        time.sleep(1)
        began = time.monotonic()
        try:
            words = [throng, "probe", *probe.split(), "--output", "json", "--quiet"]
            ran = subprocess.run(["ip", "netns", "exec", near, *words], capture_output=True, text=True)
        finally:
            for other in others:
                other.terminate()
                other.wait()
        took = time.monotonic() - began
        if ran.returncode != 0:
            return took, [f"exit code {ran.returncode}: {ran.stderr.strip()}"]
        result = json.loads(ran.stdout)
        wrong = []
        for path, right, by in expected:
            found = value(result, path)
            near_enough = by is not None and found is not None and abs(found - right) <= by
            if found != right and not near_enough:
                wrong.append(f"{'.'.join(path)} is {found}, not {right}")
        return took, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    parser.add_argument("--only", default="", help="cases whose name has this word")
    args = parser.parse_args()
    failed = 0
    for name, setup, proxy, probe, expected in CASES:
        if args.only not in name:
            continue
        took, wrong = case(args.throng, name, setup, proxy, probe, expected)
        failed += bool(wrong)
        print(f"{name:36} {took:6.1f} s  {'; '.join(wrong) or 'right'}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
