#!/usr/bin/env python3
"""Runs tlsfuzzer (https://github.com/tlsfuzzer/tlsfuzzer) against `throng serve --tls --mode echo`.

    git clone https://github.com/tlsfuzzer/tlsfuzzer
    bench/suites/tlsfuzzer/run.py tlsfuzzer

tlsfuzzer is in no registry, so it takes the path of a checkout. The libraries that it is built on, tlslite-ng and kyber-py, are
installed with pip into a virtual environment of its own. The scripts that run, with their arguments and how many of
their probes are expected to fail, are in `cases`. Names after the checkout select scripts: `keyupdate`, for example.

Prints a line for each script, the output of those with an unexpected result, and the totals. Exits with 1 if there was
one.
"""

import argparse
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# The latest release of tlslite-ng lacks what tlsfuzzer uses: requirements.txt there asks for this one. It needs the other for the groups
# of post-quantum cryptography.
LIBRARIES = ["tlslite-ng==0.9.0b2", "kyber-py==1.2.0"]
# Seconds after which a script has failed.
PATIENCE = 600
# In the summary of a script. XFAIL: a probe that the script itself expects to fail.
COUNTS = ("PASS", "XFAIL", "FAIL", "XPASS")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkout", type=pathlib.Path, help="a checkout of tlsfuzzer")
    parser.add_argument("only", nargs="*", help="run only scripts whose name contains one of these")
    parser.add_argument(
        "--throng",
        type=pathlib.Path,
        default=ROOT / "target/release/throng",
        help="the program to test [default: target/release/throng]",
    )
    return parser.parse_args()


def python():
    """The interpreter of a virtual environment that has the libraries."""
    venv = ROOT / "target/suites/tlsfuzzer"
    interpreter = venv / "bin/python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *LIBRARIES]
    subprocess.run(pip, check=True)
    return interpreter


def cases(only):
    """The certificate of the server, a script with its arguments, and how many of its probes are to fail."""
    certificate = None

    def selects(script):
        return not only or any(part in script for part in only)

    for line in (HERE / "cases").read_text().splitlines():
        words = shlex.split(line, comments=True)
        match words:
            case []:
                pass
            case ["certificate", certificate]:
                pass
            case ["failing", failing, script, *rest] if selects(script):
                yield certificate, script, rest, int(failing)
            case [script, *rest] if script != "failing" and selects(script):
                yield certificate, script, rest, 0


class Server:
    """`throng serve`, with a certificate of this kind of key."""

    def __init__(self, throng, kind, directory):
        self.process = None
        self.kind = kind
        certificate, key = directory / f"{kind}.pem", directory / f"{kind}.key"
        new = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]}[kind]
        openssl = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        openssl += ["-newkey", *new, "-out", certificate, "-keyout", key]
        subprocess.run(openssl, check=True, stderr=subprocess.DEVNULL)
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.port = any_port.getsockname()[1]
        serve = [throng, "serve", f"127.0.0.1:{self.port}", "--mode", "echo", "--tls", "-q"]
        serve += ["--ssl-cert", certificate, "--ssl-key", key]
        self.process = subprocess.Popen(serve, stdout=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.05)
        sys.exit("throng serve does not listen")

    def runs(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        self.process.wait()


def run(interpreter, checkout, server, script, rest):
    """Runs a script. Returns its counts and what it printed."""
    command = [interpreter, f"scripts/{script}", "-h", "127.0.0.1", "-p", str(server.port), *rest]
    try:
        done = subprocess.run(
            command,
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            text=True,
            errors="replace",
        )
        output = done.stdout
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace") + "\nnot done in time"
    found = {name: re.findall(rf"^{name}: (\d+)$", output, re.M) for name in COUNTS}
    if not all(found.values()):
        # It did not get as far as its summary.
        return dict.fromkeys(COUNTS, 0) | {"FAIL": 1}, output
    return {name: int(numbers[-1]) for name, numbers in found.items()}, output


def main():
    args = arguments()
    if not (args.checkout / "tlsfuzzer").is_dir():
        sys.exit(f"{args.checkout} is not a checkout of tlsfuzzer")
    if not args.throng.exists():
        sys.exit(f"{args.throng} does not exist: build it with cargo build --release")
    interpreter, checkout = python(), args.checkout.resolve()
    totals, scripts, bad = dict.fromkeys(COUNTS, 0), 0, []
    with tempfile.TemporaryDirectory() as directory:
        servers = {}
        try:
            for kind, script, rest, failing in cases(args.only):
                if kind not in servers:
                    throng = args.throng.resolve()
                    servers[kind] = Server(throng, kind, pathlib.Path(directory))
                server = servers[kind]
                counts, output = run(interpreter, checkout, server, script, rest)
                scripts += 1
                for name, n in counts.items():
                    totals[name] += n
                passed, failed = counts["PASS"] + counts["XFAIL"], counts["FAIL"]
                expected = failed == failing and not counts["XPASS"]
                print(f"{script:60} {passed:5} passed {failed:5} failed", end="")
                print("" if expected else f", {failing} were to fail", flush=True)
                if not expected:
                    bad.append(script)
                    print(output, flush=True)
                if not server.runs():
                    sys.exit("throng serve has ended")
        finally:
            for server in servers.values():
                server.stop()
    passed, failed = totals["PASS"] + totals["XFAIL"], totals["FAIL"]
    print(f"{scripts} scripts: {passed} probes passed, {failed} failed")
    if bad:
        sys.exit("unexpected results: " + ", ".join(bad))


if __name__ == "__main__":
    main()
