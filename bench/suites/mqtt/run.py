#!/usr/bin/env python3
"""What an MQTT connection costs its client: throng against Eclipse Paho (Python) and MQTT.js (Node), to the same servers.

Each opens the same number of connections with one thread to `throng serve --mode mqtt` and to mosquitto, and holds them. Memory is
the most that was resident, and processor time what the kernel charged; both less those of a run with one connection.

    cargo build --release -p throng
    bench/suites/mqtt/run.py [--rounds N] [--connections N] [--python PYTHON] [--mqtt-js DIRECTORY] [--many]

mosquitto is a Debian package; paho-mqtt comes from PyPI, mqtt from npm. What is not installed is left out, and named. `--many` is
another measurement: 100,000 connections to six mosquittos, each with its own address in 127/8 and its own limit on open files.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PORT = 20183
HOLD = 1


class Server:
    """A server's process, which is ended and waited for."""

    def __init__(self, argv, host="127.0.0.1"):
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((host, PORT), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.process.kill()
                    sys.exit(f"{argv[0]} does not listen")
                time.sleep(0.05)

    def memory(self):
        """Resident bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def mosquitto(at, host="127.0.0.1"):
    config = pathlib.Path(at, f"mosquitto-{host}.conf")
    config.write_text(
        f"listener {PORT} {host}\nallow_anonymous true\nuser root\npersistence false\nlog_dest none\n"
    )
    return ["mosquitto", "-c", str(config)]


def run(argv):
    """What a command printed, the processor seconds it took, and the most bytes that were resident."""
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        # The kernel's account at the end (ru_maxrss) has this program's own memory in it, from before exec().
        most = 0
        while (ended := os.wait4(child.pid, os.WNOHANG))[0] == 0:
            status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+)", status):
                most = int(found[1]) * 1024
            time.sleep(0.05)
        _, status, usage = ended
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if child.returncode:
            sys.exit(f"{argv[0]} failed:\n{out.read()}")
        return out.read(), usage.ru_utime + usage.ru_stime, most


def of_throng(out, connections):
    summary = json.loads(out)
    assert summary["mqtt"]["accepted"] == connections, summary["mqtt"]
    # The last connection may have been the slowest, too.
    return summary["set_up"]["seconds"] + summary["latency"]["connack"]["max_us"] / 1e6


def of_script(out, connections):
    return float(re.match(rf"{connections} accepted in ([\d.]+)", out)[1])


def contestants(asked):
    """Command lines by name, for a number of connections, and how to read how long it took until all were accepted."""
    load = [asked.throng, "load", "--quiet", "--output", "json", "-w", "1", "--hold", f"{HOLD}s", f"mqtt://127.0.0.1:{PORT}"]
    of_libraries = lambda c: ["127.0.0.1", str(PORT), str(c), str(HOLD)]
    all = {
        "throng": (lambda c: [*load, "-c", str(c)], of_throng),
        "throng epoll": (lambda c: [*load, "-c", str(c), "--engine", "epoll"], of_throng),
    }
    if subprocess.run([asked.python, "-c", "import paho.mqtt"], stderr=subprocess.DEVNULL).returncode == 0:
        all["Paho (Python)"] = (lambda c: [asked.python, str(HERE / "hold.py"), *of_libraries(c)], of_script)
    if shutil.which("node") and pathlib.Path(asked.mqtt_js).is_dir():
        module = str(pathlib.Path(asked.mqtt_js).resolve())
        all["MQTT.js (Node)"] = (lambda c: ["node", str(HERE / "hold.js"), module, *of_libraries(c)], of_script)
    return all


def clients(asked):
    all = contestants(asked)
    for name in ("Paho (Python)", "MQTT.js (Node)"):
        if name not in all:
            print("not installed, so left out:", name, file=sys.stderr)
    with tempfile.TemporaryDirectory() as at:
        servers = {"`throng serve --mode mqtt`": [asked.throng, "serve", "--quiet", "--mode", "mqtt", str(PORT)]}
        if shutil.which("mosquitto"):
            servers["mosquitto"] = mosquitto(at)
        for server, argv in servers.items():
            rounds = []
            for n in range(asked.rounds):
                one = {}
                for name in sorted(all, reverse=n % 2 == 1):
                    command, took = all[name]
                    with Server(argv):
                        _, idle_cpu, idle = run(command(1))
                        out, cpu, memory = run(command(asked.connections))
                    rate = asked.connections / took(out, asked.connections)
                    one[name] = (rate, (memory - idle) / asked.connections, (cpu - idle_cpu) / asked.connections * 1e6)
                    print(server, name, one[name], file=sys.stderr, flush=True)
                rounds.append(one)
            table(f"to {server}, {asked.connections:,} connections", rounds)


def table(title, rounds):
    print(f"\n### MQTT {title}\n\n| | connections/s | bytes per connection | CPU µs per connection |\n|---|---:|---:|---:|")
    for name in sorted(rounds[0], reverse=True):
        rate, memory, cpu = (statistics.median(values) for values in zip(*(one[name] for one in rounds)))
        print(f"| {name} | {rate:,.0f} | {memory:,.0f} | {cpu:,.0f} |", flush=True)


def many(asked):
    """100,000 connections to several brokers."""
    hosts = [f"127.0.0.{n}" for n in range(2, 8)]
    with tempfile.TemporaryDirectory() as at:
        servers = []
        try:
            for host in hosts:
                servers.append(Server(mosquitto(at, host), host))
            before = sum(server.memory() for server in servers)
            urls = [f"mqtt://{host}:{PORT}" for host in hosts]
            argv = [asked.throng, "load", "--output", "json", "--quiet", "-c", "100000", "--hold", "20s", "--keep-alive", "10s", *urls]
            child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
            time.sleep(asked.settle)
            after = sum(server.memory() for server in servers)
            out = child.communicate()[0]
        finally:
            for server in servers:
                server.__exit__()
    summary = json.loads(out)
    cost = summary["cost"]
    print(f"exit code {child.returncode}, accepted {summary['mqtt']['accepted']:,} of 100,000")
    print(f"connections/s {summary['set_up']['per_s']:,.0f}, CONNACK {summary['latency']['connack']}")
    print(f"pings {summary['pings']}")
    print(f"user bytes per connection {cost['user_bytes_per_connection']}, kernel {cost['kernel_bytes_per_connection']}")
    print(f"bytes per connection of mosquitto {(after - before) / 100_000:,.0f}")
    for finding in summary["findings"]:
        print(finding["kind"], finding["text"])


def main():
    parse = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--connections", type=int, default=10_000)
    parse.add_argument("--python", default=sys.executable)
    parse.add_argument("--mqtt-js", default=str(ROOT / "bench/peers/node/node_modules/mqtt"))
    parse.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    parse.add_argument("--many", action="store_true")
    parse.add_argument("--settle", type=float, default=15, help=argparse.SUPPRESS)
    asked = parse.parse_args()
    many(asked) if asked.many else clients(asked)


if __name__ == "__main__":
    main()
