#!/usr/bin/env python3
"""How often `throng compare` is wrong, with real runs.

    cargo build --release && bench/suites/compare/run.py [--comparisons 100] [--rounds 10] [--throng PATH]

A server answers HTTP after 20 ms (`throng serve --mode http`, /delay/20ms). Rounds of a quarter of a second load it in turn: two of
/delay/20ms under two names, and one of /delay/21ms, 5 % slower, beside a third of /delay/20ms. Each comparison has rounds of its own; none
is used twice.

- The two names of the same thing: a comparison that shows a difference in any metric is a false one. At most 6 of 100 may.
- The slower one: at least 90 of 100 comparisons are to show that the median response got slower.

Exits with 1 if either is missed; with fewer than 50 comparisons, one more of each is allowed. 100 comparisons of ten rounds are 4,000 runs, and take
some 23 minutes.
"""

import argparse
import json
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
# What each round of a comparison runs, in this order, and then backwards: what changes slowly is the same for all.
GROUPS = [("a", "20ms"), ("same", "20ms"), ("b", "20ms"), ("slower", "21ms")]
WRONG = 0.06
FOUND = 0.90


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


def run(throng, port, delay, seconds, file):
    url = f"http://127.0.0.1:{port}/delay/{delay}"
    command = [throng, "http", "-q", "-c", "20", "--time", seconds, "--output", "json", "--output-file", str(file), url]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {ran.returncode}: {ran.stdout}{ran.stderr}")


def compared(throng, first, second):
    command = [throng, "compare", str(first), str(second), "--output", "json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}: {ran.stderr}")
    return json.loads(ran.stdout)["compared"]


def rounds(asked, port, place):
    for name, _ in GROUPS:
        (place / name).mkdir()
    for nth in range(asked.rounds):
        order = GROUPS if nth % 2 == 0 else list(reversed(GROUPS))
        for name, delay in order:
            run(asked.throng, port, delay, asked.seconds, place / name / f"{nth:03}.json")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", default="250ms")
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parser.parse_args()
    port = free_port()
    server = subprocess.Popen(
        [asked.throng, "serve", "--mode", "http", "--quiet", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    false = found = 0
    try:
        wait_for(port)
        for nth in range(1, asked.comparisons + 1):
            with tempfile.TemporaryDirectory() as directory:
                place = pathlib.Path(directory)
                rounds(asked, port, place)
                wrong = [one for one in compared(asked.throng, place / "a", place / "same") if one["verdict"] in ("better", "worse")]
                for one in wrong:
                    print(f"  the same thing differs: {one['metric']}: {one['text']}")
                false += bool(wrong)
                slower = compared(asked.throng, place / "b", place / "slower")
                found += any(one["metric"].endswith(".p50") and one["verdict"] == "worse" for one in slower)
            print(f"{nth} of {asked.comparisons}: the same thing differs in {false}, 5 % slower is found in {found}", flush=True)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()
    n = asked.comparisons
    slack = 1 if n < 50 else 0
    if false > n * WRONG + slack or found < n * FOUND - slack:
        sys.exit("compare is wrong more often than it says")


if __name__ == "__main__":
    main()
