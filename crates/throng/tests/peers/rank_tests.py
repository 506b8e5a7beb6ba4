"""Checks a comparison by SciPy: rank_tests.py, with the JSON of `throng compare` on stdin.

Each p is that of scipy.stats.mannwhitneyu. Each shift is the median of all differences, and its interval leaves out as many of
them as the distribution of U allows, here counted over all arrangements of ranks. Says how many were checked."""

import itertools
import json
import math
import sys

import numpy
from scipy.stats import mannwhitneyu


def left_out(n, m, error):
    """How many differences on either side lie outside the interval."""
    counts = {}
    for ranks in itertools.combinations(range(n + m), n):
        u = sum(ranks) - n * (n - 1) // 2
        counts[u] = counts.get(u, 0) + 1
    total, so_far, outside = math.comb(n + m, n), 0, 0
    for u in range(n * m + 1):
        so_far += counts.get(u, 0)
        if so_far / total > error / 2:
            return outside - 1
        outside += 1
    return None


def near(what, found, expected):
    if not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12):
        sys.exit(f"{what}: {found} and not {expected}")


checked = 0
for one in json.load(sys.stdin)["compared"]:
    first, second = (numpy.array(one[group]["rounds"]) for group in ("first", "second"))
    ties = len(set(first) | set(second)) < len(first) + len(second)
    method = "asymptotic" if ties else "exact"
    if one["shift"] is None:
        continue
    near(f"p of {one['metric']}", one["p"], mannwhitneyu(first, second, method=method).pvalue)
    relative = one["shift"]["relative"]
    a, b = (numpy.log(v) if relative else v for v in (first, second))
    back = math.expm1 if relative else float
    differences = numpy.sort(numpy.subtract.outer(b, a).ravel())
    near(f"shift of {one['metric']}", one["shift"]["estimate"], back(numpy.median(differences)))
    outside = left_out(len(a), len(b), 0.05)
    near(f"low end of {one['metric']}", one["shift"]["low"], back(differences[outside]))
    near(f"high end of {one['metric']}", one["shift"]["high"], back(differences[-1 - outside]))
    checked += 1
print(json.dumps({"checked": checked}))
