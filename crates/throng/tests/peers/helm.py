"""What Helm makes of a chart, by Helm's own library: `helm lint --strict`, and the objects that `helm template` prints.

    helm.py CHART CASES DIRECTORY

CHART is a folder or an archive. CASES is JSON, a list of {"release": NAME, "values": {...}, "plain": MANIFESTS}. Prints a list
with an object for each case: what lint says (`lint`, of a folder), why the chart refuses the values (`refused`), or its objects by kind
and name (`chart`), and those of MANIFESTS (`plain`). Writes the chart's manifests to 0.yaml, 1.yaml, ... in DIRECTORY.
"""

import json
import os
import sys

import helm_python
import yaml

INFO = 1


def objects(text):
    """The objects of manifests, by kind and name."""
    found = {}
    for one in yaml.safe_load_all(text):
        name = f"{one['kind']}/{one['metadata']['name']}"
        assert name not in found, f"{name} is there twice"
        found[name] = one
    return found


def lint(place, values):
    """Warnings and errors. What is only informed of, such as that a chart has no icon, is left out."""
    said = helm_python.lint(place, values, strict=True)
    return [one["error"] for one in said["messages"] if one["severity"] > INFO] + said["errors"]


def manifests(chart, case):
    """The chart's manifests as one text, without those that a condition left empty."""
    files = chart.render(case["values"], name=case["release"], namespace="load")
    texts = [text.strip() for name, text in sorted(files.items()) if name.endswith(".yaml")]
    return "".join(f"---\n{text}\n" for text in texts if text)


def main():
    place, cases, directory = sys.argv[1:]
    told = []
    with helm_python.Chart.load(place) as chart:
        for number, case in enumerate(json.loads(cases)):
            said = {"plain": objects(case["plain"])}
            if os.path.isdir(place):
                said["lint"] = lint(place, case["values"])
            try:
                text = manifests(chart, case)
                said["chart"] = objects(text)
                with open(f"{directory}/{number}.yaml", "w", encoding="utf-8") as file:
                    file.write(text)
            except helm_python.HelmError as error:
                said["refused"] = str(error)
            told.append(said)
    json.dump(told, sys.stdout)


main()
