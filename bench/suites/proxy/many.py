#!/usr/bin/env python3
"""More pairs than one address has ports: throng proxy from several source addresses to one backend port.

`throng load` opens the connections, `throng proxy` one more for each, and `throng serve` has one port. In a network namespace of its own
(`unshare --net`, so as root), which is gone afterwards. What stands is counted by all three, and by the kernel, whose list says which source
addresses the backend sees and how many connections each has. They have to agree; otherwise the exit code is 1.

    cargo build --release -p throng
    bench/suites/proxy/many.py [--pairs N] [--addresses K] [--engine uring|epoll]

200,000 pairs are 800,000 sockets, and take some 4 GB of memory.
"""

import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
FRONT, BACK = 20090, 20091
WITHIN_S = 300


def seen_by_the_backend():
    """How many established connections the backend's port has from each address."""
    out = subprocess.run(
        ["ss", "-Htn", "state", "established", f"sport = :{BACK}"], capture_output=True, text=True, check=True
    ).stdout
    return collections.Counter(line.split()[3].rsplit(":", 1)[0] for line in out.splitlines())


def anonymous_memory(pid):
    """Bytes of anonymous resident memory of a process."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def end(process):
    """Ends a throng as Ctrl-C does, and returns its summary."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    if not out:
        sys.exit(f"{process.args[1]}: {err.strip()}")
    return json.loads(out)


def run(asked):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sources = f"127.2.0.1-127.2.0.{asked.addresses}"

    def start(*words):
        argv = [asked.throng, *words, "--quiet", "--output", "json"]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    serve = start("serve", "--mode", "sink", f"127.0.0.1:{BACK}")
    proxy = start(
        *("proxy", f"127.0.0.1:{FRONT}", "--to", f"127.0.0.1:{BACK}", "--source-ip", sources),
        *("--max-connections", str(asked.pairs), "--engine", asked.engine, "--drain-timeout", "0s"),
    )
    time.sleep(2)
    before = anonymous_memory(proxy.pid)
    began = time.monotonic()
    load = start("load", "-c", str(asked.pairs), "--hold", "1h", f"127.0.0.1:{FRONT}")
    try:
        seen = collections.Counter()
        while sum(seen.values()) < asked.pairs and time.monotonic() - began < WITHIN_S:
            if any(each.poll() is not None for each in (serve, proxy, load)):
                break
            time.sleep(1)
            seen = seen_by_the_backend()
        within = time.monotonic() - began
        memory = (anonymous_memory(proxy.pid) - before) / asked.pairs
    finally:
        summaries = {each.args[1]: end(each) for each in (load, proxy, serve)}
    counts = {
        "load": summaries["load"]["connections"]["established"],
        "proxy": summaries["proxy"]["proxy"]["pairs"],
        "serve": summaries["serve"]["connections"]["accepted"],
        "kernel": sum(seen.values()),
    }
    for address, held in sorted(seen.items()):
        print(f"{address:<12} {held:>8,}")
    print(", ".join(f"{who} {held:,}" for who, held in counts.items()), f"(asked {asked.pairs:,})")
    print(f"{within:.0f} s to open; {memory:.0f} B of user memory a pair in the proxy")
    return int(set(counts.values()) != {asked.pairs} or len(seen) > asked.addresses)


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("--pairs", type=int, default=200_000)
    parse.add_argument("--addresses", type=int, default=8)
    parse.add_argument("--engine", default="uring", choices=("uring", "epoll"))
    parse.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parse.parse_args()
    if os.environ.get("THRONG_OWN_NAMESPACE") != "1":
        os.environ["THRONG_OWN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    sys.exit(run(asked))


if __name__ == "__main__":
    main()
