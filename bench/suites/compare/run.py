#!/usr/bin/env python3
"""How often `throng compare` is wrong, with real runs.

    cargo build --release && bench/suites/compare/run.py [--comparisons 100] [--rounds 10] [--throng PATH]

A server answers HTTP after 20 ms (`throng serve --mode http`, /delay/20ms). First a load of it is compared with itself, over and over: each
comparison that shows a difference in any metric is a false one, and at most 5 of 100 may. Then it is compared with a load of /delay/21ms,
5 % slower: at least 90 of 100 comparisons are to show that the response got slower. Exits with 1 if either is missed.

100 comparisons of ten rounds take about an hour and a half each.
"""

import argparse
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
LOAD = "http -c 20 --time 1s http://127.0.0.1:{port}/delay/{delay}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("the server does not listen")


def compared(throng, port, delays, rounds):
    commands = [word for delay in delays for word in ("--run", LOAD.format(port=port, delay=delay))]
    command = [throng, "compare", *commands, "--rounds", str(rounds), "--quiet", "--output", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}: {ran.stderr}")
    return json.loads(ran.stdout)["compared"]


def counted(what, comparisons, one):
    found = 0
    for nth in range(1, comparisons + 1):
        found += one()
        print(f"{what}: {found} of {nth}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parser.parse_args()
    port = free_port()
    server = subprocess.Popen(
        [asked.throng, "serve", "--mode", "http", "--quiet", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)

        def differs():
            found = compared(asked.throng, port, ["20ms", "20ms"], asked.rounds)
            wrong = [one for one in found if one["verdict"] in ("better", "worse")]
            for one in wrong:
                print(f"  {one['metric']}: {one['text']}")
            return bool(wrong)

        def slower():
            found = compared(asked.throng, port, ["20ms", "21ms"], asked.rounds)
            return any(one["metric"].endswith(".p50") and one["verdict"] == "worse" for one in found)

        false = counted("compared with itself, different", asked.comparisons, differs)
        true = counted("5 % slower, found", asked.comparisons, slower)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    # A few comparisons may by chance have one more than their share.
    if false > asked.comparisons * 0.06 + 1 or true < asked.comparisons * 0.9 - 1:
        sys.exit("compare is wrong more often than it says")


if __name__ == "__main__":
    main()
