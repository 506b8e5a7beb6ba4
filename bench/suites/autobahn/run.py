#!/usr/bin/env python3
"""Runs Autobahn's WebSocket test suite (https://github.com/crossbario/autobahn-testsuite) against throng, both ways.

    cargo build --release
    bench/suites/autobahn/run.py [CASE...]

Its fuzzing client connects to `throng serve --mode ws`, and `throng load ws://` connects to its fuzzing server, all on
127.0.0.1. CASE selects cases: 6.4.1, for example, or '6.*'.

The suite needs Python 2.7 with pip, and a C compiler: `pyenv install 2.7` builds that Python. The suite itself is
installed with pip into a virtual environment of its own, in the versions of `requirements.txt`.

`throng load` does not echo. Where Autobahn waits for an echo, this script judges in its place (see `judge_client`), and
the result is NO ECHO.

Prints the results by section, and each case whose result is not the expected one. Exits with 1 if there was one.
Autobahn's reports, with all that was sent and received, are left in `target/suites/autobahn`.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import fnmatch
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PLACE = ROOT / "target/suites/autobahn"
# The last versions that can create an environment for Python 2.7.
VIRTUALENV = "virtualenv<20.22"
# Seconds after which the fuzzing client, or a step that takes seconds, has failed.
PATIENCE_ALL, PATIENCE = 1200, 120
# Runs of `throng load` at once. Most of them wait for a timer of Autobahn's.
AT_ONCE = 8
# How long a run of `throng load` may take. It ends when Autobahn closes. Section 9 waits for its echoes for up to 1,000
# seconds, so there it is throng that closes: soon, or if no message had arrived by then, late.
HOLD, HOLDS_OF_9 = ["20s"], ["4s", "60s"]
AGENT = "throng"
OK, NO_ECHO = "OK", "NO ECHO"

# The numbers of all cases, and the names of sections.
LIST = """
import json
from autobahntestsuite.case import Cases, CaseBasename, CaseCategories
numbers = [case.__name__[len(CaseBasename):].replace("_", ".") for case in Cases]
print(json.dumps([numbers, CaseCategories]))
"""
# The fuzzing server would listen on all addresses.
WSTEST = """
from autobahntestsuite import wstest
from twisted.internet import reactor
listen = reactor.listenTCP
reactor.listenTCP = lambda port, factory, backlog, _: listen(port, factory, backlog, "127.0.0.1")
wstest.run()
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("only", nargs="*", metavar="CASE", help="run only these cases: 6.4.1, or '6.*'")
    parser.add_argument(
        "--throng",
        type=pathlib.Path,
        default=ROOT / "target/release/throng",
        help="the program to test [default: target/release/throng]",
    )
    parser.add_argument("--way", choices=WAYS, help="test only this side of throng")
    parser.add_argument("--python2", help="an interpreter of Python 2.7 [default: in PATH, or pyenv's]")
    parser.add_argument("-v", "--verbose", action="store_true", help="print a line for each case")
    return parser.parse_args()


@dataclasses.dataclass
class Result:
    """What became of a case, in Autobahn's words."""

    case: str
    sent: str
    behavior: str
    close: str
    # The code of throng's close frame.
    code: int | None

    def is_expected(self, way):
        """Whether it is what docs/conformance.md says."""
        match self.case.split("."):
            case ["12" | "13", *_]:
                # permessage-deflate, which throng declines.
                return (self.behavior, self.close) == ("UNIMPLEMENTED", OK)
            case ["7", "13", _] | ["7", "1", "6"]:
                return self.behavior == self.close == "INFORMATIONAL"
        return self.close == OK and (self.behavior == OK or (way, self.behavior) == ("client", NO_ECHO))

    def __str__(self):
        code = "" if self.code is None else self.code
        return f"{self.case:8} {self.behavior:14} {self.close:14} {code:4}  {self.sent}"


class Suite:
    """Autobahn's test suite, installed."""

    def __init__(self, given):
        python2 = next(filter(has_pip, candidates(given)), None)
        if python2 is None:
            sys.exit("no Python 2.7 with pip: `pyenv install 2.7` builds one; give its path with --python2")
        venv, pinned = PLACE / "python2", HERE / "requirements.txt"
        self.python = venv / "bin/python"
        done = venv / "requirements.txt"
        if done.exists() and done.read_bytes() == pinned.read_bytes():
            return
        tools = PLACE / "tools"
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin/pip", "install", "--quiet", "--disable-pip-version-check", VIRTUALENV)
        run(tools / "bin/virtualenv", "--quiet", "--clear", "--python", python2, venv)
        # Twisted's setup.py imports incremental, and would fetch a version for Python 3.
        pip = [self.python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
        incremental = next(line for line in pinned.read_text().splitlines() if line.startswith("incremental"))
        run(*pip, incremental)
        run(*pip, "-r", pinned)
        shutil.copy(pinned, done)

    def cases(self):
        """The numbers of all cases, in order, and the names of sections by number."""
        return json.loads(run(self.python, "-W", "ignore", "-c", LIST, stdout=subprocess.PIPE, text=True).stdout)

    @contextlib.contextmanager
    def wstest(self, mode, directory, **spec):
        """Runs Autobahn in this mode. Its reports and its output are left in `directory`."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        path = directory / "spec.json"
        path.write_text(json.dumps({"outdir": str(directory), **spec}))
        with (directory / "output.txt").open("w") as output:
            command = [self.python, "-c", WSTEST, "--mode", mode, "--spec", path, "--webport", "0"]
            with started(command, stdout=output, stderr=subprocess.STDOUT) as process:
                yield process


def candidates(given):
    """Where an interpreter of Python 2.7 may be."""
    if given:
        return [given]
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    return ["python2.7", *pyenv.glob("versions/2.7.*/bin/python2.7")]


def has_pip(python):
    try:
        return subprocess.run([python, "-c", "import pip"], stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def run(*command, **options):
    # pip warns of the end of Python 2.7 at each call.
    environment = {**os.environ, "PIP_NO_PYTHON_VERSION_WARNING": "1"}
    return subprocess.run(command, check=True, env=environment, **options)


@contextlib.contextmanager
def started(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def await_listening(process, port):
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not listen")


def reports(directory):
    """Autobahn's reports by case."""
    index = directory / "index.json"
    if not index.exists():
        sys.exit(f"Autobahn wrote no reports; its output is in {directory / 'output.txt'}")
    cases = json.loads(index.read_text())[AGENT]
    return {case: json.loads((directory / entry["reportfile"]).read_text()) for case, entry in cases.items()}


def result(report, behavior, close):
    # What follows are the payloads.
    sent = re.sub(r"<[^>]*>", "", report["description"].split("<br>")[0])
    return Result(report["id"], textwrap.shorten(sent, 100), behavior, close, report["remoteCloseCode"])


def test_server(suite, throng, cases):
    """Autobahn's fuzzing client against `throng serve`."""
    directory, port = PLACE / "server", free_port()
    serve = [throng, "serve", f"127.0.0.1:{port}", "--mode", "ws", "-q"]
    with started(serve, stdout=subprocess.DEVNULL) as server:
        await_listening(server, port)
        target = {"agent": AGENT, "url": f"ws://127.0.0.1:{port}"}
        with suite.wstest("fuzzingclient", directory, servers=[target], cases=cases) as client:
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(PATIENCE_ALL)
        if server.poll() is not None:
            sys.exit("throng serve has ended")
    return [result(report, report["behavior"], report["behaviorClose"]) for report in reports(directory).values()]


def test_client(suite, throng, cases):
    """`throng load` against Autobahn's fuzzing server: a run for each case."""
    directory, port = PLACE / "client", free_port()

    def load(path, hold):
        url = f"ws://127.0.0.1:{port}/{path}&agent={AGENT}"
        command = [throng, "load", url, "--no-reconnect", "--hold", hold, "-w", "1", "-q", "--output", "json"]
        # It exits with 1 because Autobahn closes.
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE, text=True)
        return json.loads(done.stdout)

    def load_case(case):
        for hold in HOLDS_OF_9 if case.startswith("9.") else HOLD:
            summary = load(f"runCase?casetuple={case}", hold)
            if summary["traffic"]["replies"] > 0:
                break
        return summary

    url = f"ws://127.0.0.1:{port}"
    with suite.wstest("fuzzingserver", directory, url=url, cases=cases) as server:
        await_listening(server, port)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            summaries = dict(zip(cases, pool.map(load_case, cases)))
        load("updateReports?", f"{PATIENCE // 2}s")
    judged = reports(directory)
    return [judge_client(judged[case], summary) for case, summary in summaries.items() if case in judged]


def judge_client(report, summary):
    """A client is judged by Autobahn, except where Autobahn waits for an echo: there it must have counted each message
    once, sent the pongs that are due and nothing else, and closed as it should. In all cases it must have counted what
    there was."""
    behavior, close = report["behavior"], report["behaviorClose"]
    due = report["expected"].get(OK, [])
    pongs = [event for event in due if event[0] != "message"]
    messages = 1 if report["id"].startswith("9.") else len(due) - len(pongs)
    counted, code = summary["traffic"]["replies"], report["remoteCloseCode"]
    # An endpoint sends 1002 or 1007 because of a violation, or to echo that code.
    violations = int(code in (1002, 1007) and code != report["localCloseCode"])
    if sum(summary["websocket"]["violations"].values()) != violations:
        behavior = "MISCOUNTED"
    elif behavior in ("FAILED", "NON-STRICT") and messages > 0:
        if (counted, report["received"]) == (messages, pongs):
            behavior = NO_ECHO
            # Whoever waited in vain closes: Autobahn with a code that is to be echoed, throng with 1000.
            due = report["localCloseCode"] if report["closedByMe"] else 1000
            if report["wasClean"] and code == due:
                close = OK
    elif behavior == OK and counted != messages:
        behavior = "MISCOUNTED"
    return result(report, behavior, close)


WAYS = {"server": test_server, "client": test_client}


def main():
    args = arguments()
    if not args.throng.exists():
        sys.exit(f"{args.throng} does not exist: build it with cargo build --release")
    suite = Suite(args.python2)
    cases, sections = suite.cases()
    cases = [case for case in cases if not args.only or any(fnmatch.fnmatch(case, only) for only in args.only)]
    if not cases:
        sys.exit(f"no such case: {' '.join(args.only)}")
    bad = []
    print("| way | section | cases | results |\n| --- | --- | ---: | --- |")
    for way in [args.way] if args.way else WAYS:
        results = {result.case: result for result in WAYS[way](suite, args.throng.resolve(), cases)}
        bad += [f"{way} {case:8} has no result" for case in cases if case not in results]
        results = {case: results[case] for case in cases if case in results}
        bad += [f"{way} {result}" for result in results.values() if not result.is_expected(way)]
        for number, name in sorted(sections.items(), key=lambda section: int(section[0])):
            found = [result for case, result in results.items() if case.startswith(f"{number}.")]
            counts = collections.Counter(one.behavior for one in found)
            words = ", ".join(f"{n} {behavior}" for behavior, n in counts.most_common())
            if found:
                print(f"| {way} | {number} {name} | {len(found)} | {words} |", flush=True)
        if args.verbose:
            print(*results.values(), sep="\n", flush=True)
    if bad:
        sys.exit("\n".join(["unexpected results:", *bad, f"Autobahn's reports are in {PLACE}"]))


if __name__ == "__main__":
    main()
