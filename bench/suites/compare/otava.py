#!/usr/bin/env python3
"""Whether Apache Otava reads the CSV of `throng compare --history`, and finds the same change points.

    cargo build --release && bench/suites/compare/otava.py [--series 20] [--throng PATH]

Otava 0.8.0 is installed from PyPI into target/otava (some 300 MB). Each series is a directory of results: a real one, dated hour after hour,
whose peak follows levels with noise. throng prints the history as CSV and as JSON, Otava reads the CSV with its defaults, and both must name
the same points. Exits with 1 if they don't.
"""

import argparse
import copy
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
VERSION = "0.8.0"
CONFIG = """
tests:
  history:
    type: csv
    file: {file}
    time_column: time
    attributes: [name]
    metrics:
      peak:
        column: peak
        direction: 1
"""


def printed(command, **more):
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
    if ran.returncode != 0:
        sys.exit(f"{command}: exit code {ran.returncode}: {ran.stderr}")
    return ran.stdout


def installed():
    place = ROOT / "target/otava"
    program = place / "bin/otava"
    if not program.exists():
        printed([sys.executable, "-m", "venv", place])
        printed([place / "bin/pip", "install", "--quiet", "--disable-pip-version-check", f"apache-otava=={VERSION}"])
    return program


def levels(dice):
    """The values of a series: up to four levels, with noise of a percent."""
    values = []
    level = dice.uniform(500, 2000)
    for _ in range(dice.randint(1, 4)):
        values += [level * (1 + dice.gauss(0, 0.01)) for _ in range(dice.randint(8, 25))]
        level *= dice.choice([0.9, 0.95, 1.06, 1.2])
    return [round(value) for value in values]


def dated(result, hour, peak):
    """The result, as if it had been made an hour later each time, with this many connections at once."""
    result = copy.deepcopy(result)
    sources = result["record"]["sources"]
    ((name, part),) = sources.items()
    part["started_unix_s"] += hour * 3600
    part["ending"]["peak"] = peak
    result["record"]["sources"] = {f"{name}-{hour}": part}
    return result


def of_throng(throng, place):
    command = [throng, "compare", "--history", place, "--metric", "peak", "--output"]
    table = printed([*command, "csv"])
    document = json.loads(printed([*command, "json"]))
    return table, [step["name"] for step in document["series"][0]["steps"]]


def of_otava(otava, table, place):
    file = place / "history.csv"
    file.write_text(table)
    config = place / "otava.yaml"
    config.write_text(CONFIG.format(file=file))
    # It looks at two months before now, unless it is told otherwise.
    command = [otava, "analyze", "--config-file", config, "--since", "2000-01-01", "--output", "json", "history"]
    found = json.loads(printed(command, env={**os.environ, "TZ": "UTC"}))
    return [change["attributes"]["name"] for change in found["history"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--throng", default=str(ROOT / "target/release/throng"))
    asked = parser.parse_args()
    otava = installed()
    real = json.loads(printed([asked.throng, "load", "--self", "-c", "5", "--hold", "50ms", "--output", "json"]))
    # Long ago enough for the last point to be in the past.
    ((_, part),) = real["record"]["sources"].items()
    part["started_unix_s"] -= 90 * 86400
    apart = steps = 0
    for nth in range(asked.series):
        values = levels(random.Random(asked.seed + nth))
        with tempfile.TemporaryDirectory() as directory:
            place = pathlib.Path(directory)
            results = place / "results"
            results.mkdir()
            for hour, peak in enumerate(values):
                (results / f"commit{hour:03}.json").write_text(json.dumps(dated(real, hour, peak)))
            table, ours = of_throng(asked.throng, results)
            theirs = of_otava(otava, table, place)
        steps += len(theirs)
        same = ours == theirs
        apart += not same
        print(f"series {nth + 1}, {len(values)} points: {', '.join(theirs) or 'no step'}{'' if same else f'; throng: {ours}'}", flush=True)
    print(f"{asked.series} series, {steps} change points by Otava {VERSION}; throng differs in {apart}")
    sys.exit(1 if apart else 0)


if __name__ == "__main__":
    main()
