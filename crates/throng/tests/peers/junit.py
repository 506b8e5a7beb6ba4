"""Reads a JUnit report with junitparser, as CI servers do, and prints what is in it as JSON.

junit.py FILE
"""

import json
import sys

from junitparser import Failure, JUnitXml

report = JUnitXml.fromfile(sys.argv[1])
suites = []
for suite in report:
    cases = []
    for case in suite:
        failures = [{"type": f.type, "message": f.message, "text": f.text} for f in case.result if isinstance(f, Failure)]
        cases.append({"class": case.classname, "name": case.name, "time": case.time, "failures": failures})
    stated = {"tests": suite.tests, "failures": suite.failures, "errors": suite.errors, "skipped": suite.skipped}
    suite.update_statistics()
    counted = {"tests": suite.tests, "failures": suite.failures, "errors": suite.errors, "skipped": suite.skipped}
    properties = {p.name: p.value for p in suite.properties()}
    suites.append({"name": suite.name, "stated": stated, "counted": counted, "properties": properties, "cases": cases})
print(json.dumps(suites))
