#!/usr/bin/env python3
"""What it costs a run to be watched.

    cargo build --release -p throng
    bench/suites/observers/run.py [--rounds N] [--seconds S] [NAME ...]

`throng load --self` sends 100,000 messages per second (1,000 connections, 100 messages per second each). It runs alone, and with its
observers: the page with `--web`, looked at by nobody, by one viewer and by five; `--prometheus`, scraped each second; `--tui` on a terminal of
120 x 40; and all of these together. Variants take turns, in the opposite order in every other round.

The workers move the messages, and other threads of the same process do the rest: what they spend is told as a share of what the workers spend. So
little can't be seen in the whole process, which differs by more than that from run to run; that is told beside it, as a ratio within a round. What
viewers and scrapers themselves spend is not the run's.

Prints a table. Exits with 1 if a run did not reach what was asked of it, or watching costs more than 2 % of the workers' time.
"""

import argparse
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
WEB, METRICS = 20465, 20464
# A variant's options, how many look at its page, and whether its metrics are scraped.
VARIANTS = {
    "alone": ([], 0, False),
    "web": ([f"--web={WEB}"], 0, False),
    "web, 1 viewer": ([f"--web={WEB}"], 1, False),
    "web, 5 viewers": ([f"--web={WEB}"], 5, False),
    "prometheus": (["--prometheus", str(METRICS)], 0, True),
    "tui": (["--tui"], 0, False),
    "all, 1 viewer": ([f"--web={WEB}", "--prometheus", str(METRICS), "--tui"], 1, True),
}
REFERENCE = "alone"
MOST = 0.02
TICKS = os.sysconf("SC_CLK_TCK")
WORKER = re.compile(r"(load|serve|pair)-\d+")


class Watchers:
    """Threads that look at a page and scrape metrics until the run has ended."""

    def __init__(self, viewers, scrapes):
        self.over = threading.Event()
        self.seen, self.scraped = [0] * viewers, 0
        self.threads = [threading.Thread(target=self.view, args=[i]) for i in range(viewers)]
        if scrapes:
            self.threads.append(threading.Thread(target=self.scrape))
        for thread in self.threads:
            thread.start()

    def view(self, nth):
        page = self.page()
        # A browser reads the page, and then its events, as the page's script asks for them.
        run = re.search(r'data-run="([^"]*)"', page)
        query = f"?run={run[1]}&from=0" if run else "?run=&from=0"
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{WEB}/events{query}", timeout=10) as events:
                while not self.over.is_set() and (line := events.readline()):
                    self.seen[nth] += line.startswith(b"data:")

    def page(self):
        while not self.over.is_set():
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{WEB}/", timeout=10).read().decode()
            time.sleep(0.1)
        return ""

    def scrape(self):
        while not self.over.wait(1):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{METRICS}/metrics", timeout=10).read()
                self.scraped += 1

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class Threads:
    """Processor time of a process by what its threads do, as long as it runs."""

    def __init__(self, pid):
        self.of = {}
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, args=[pathlib.Path(f"/proc/{pid}/task")])
        self.thread.start()

    def look(self, tasks):
        while not self.over.wait(0.05):
            with contextlib.suppress(OSError):
                for task in tasks.iterdir():
                    name, fields = (task / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
                    fields = fields.split()
                    self.of[task.name] = (name, (int(fields[11]) + int(fields[12])) / TICKS)

    def end(self):
        """Seconds of the workers, and of all others."""
        self.over.set()
        self.thread.join()
        spent = [0.0, 0.0]
        for name, seconds in self.of.values():
            spent[WORKER.fullmatch(name) is None] += seconds
        return spent


def drain(terminal):
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass


def measure(throng, seconds, variant):
    """Microseconds per message of one run that reached all, and what its other threads spent as a share of its workers' time."""
    options, viewers, scrapes = VARIANTS[variant]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    with tempfile.TemporaryDirectory() as at:
        summary = pathlib.Path(at) / "summary.json"
        argv = [throng, "load", "--self", "-c", "1000", "-r", "100", "-m", "x" * 64, "--hold", f"{seconds}s"]
        argv += ["--output", "json", "--output-file", str(summary), *options]
        argv += [] if "--tui" in options else ["--quiet"]
        process = subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        threads = Threads(process.pid)
        drains = threading.Thread(target=drain, args=[ours])
        drains.start()
        watchers = Watchers(viewers, scrapes)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        watchers.end()
        workers, others = threads.end()
        drains.join()
        os.close(ours)
        if process.returncode != 0:
            sys.exit(f"{variant}: exit code {process.returncode}: {' '.join(argv)}")
        if min([*watchers.seen, seconds]) < seconds / 2 or scrapes and watchers.scraped < seconds / 2:
            sys.exit(f"{variant}: the viewers saw {watchers.seen} updates, and there were {watchers.scraped} scrapes")
        sent = json.loads(summary.read_text())["traffic"]["messages_sent"]
        return (used.ru_utime + used.ru_stime) * 1e6 / sent, others / workers


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("names", nargs="*", metavar="NAME", help=", ".join(VARIANTS))
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--seconds", type=int, default=10)
    parse.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parse.parse_args()
    if unknown := set(asked.names) - set(VARIANTS):
        parse.error(f"no such variant: {', '.join(unknown)}; there are {', '.join(VARIANTS)}")
    names = [name for name in VARIANTS if name == REFERENCE or not asked.names or name in asked.names]
    rounds = []
    for n in range(asked.rounds):
        order = names if n % 2 == 0 else list(reversed(names))
        rounds.append({name: measure(asked.throng, asked.seconds, name) for name in order})
    print("| | CPU µs per message | ÷ alone | other threads, of the workers' time | more than alone |\n|---|---:|---:|---:|---:|")
    missed = False
    for name in names:
        ratios = [one[name][0] / one[REFERENCE][0] for one in rounds]
        cost, share = (statistics.median(one[name][i] for one in rounds) for i in (0, 1))
        more = statistics.median(one[name][1] - one[REFERENCE][1] for one in rounds)
        missed |= more > MOST
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(f"| {name} | {cost:.2f} | {spread} | {share:.2%} | {more:+.2%} |")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
