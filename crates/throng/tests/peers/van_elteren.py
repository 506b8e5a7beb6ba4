"""Checks the overall verdicts of compared sweeps by SciPy: van_elteren.py, with the JSON of `throng compare SWEEP SWEEP` on stdin.

Ranks within each point are scipy.stats.rankdata's. Where no values are equal and all points have as many, p is counted over all
arrangements of ranks; otherwise it is from the normal distribution. Says how many were checked."""

import itertools
import json
import math
import sys
from collections import Counter

from scipy.stats import norm, rankdata


def arrangements(n, m):
    """The probability of each U."""
    counts = Counter(sum(ranks) - n * (n - 1) // 2 for ranks in itertools.combinations(range(n + m), n))
    return {u: count / math.comb(n + m, n) for u, count in counts.items()}


def p_of(strata):
    above = variance = whole = ties = pairs = 0
    for a, b in strata:
        n, m = len(a), len(b)
        count = n + m
        u = sum(rankdata(a + b)[:n]) - n * (n + 1) / 2
        equal = sum(t**3 - t for t in Counter(a + b).values())
        weight = 1 / (count + 1)
        above += weight * (u - n * m / 2)
        variance += weight**2 * n * m / 12 * (count + 1 - equal / (count * (count - 1)))
        whole, ties, pairs = whole + u, ties + equal, pairs + n * m
    if ties or len({len(a) + len(b) for a, b in strata}) > 1:
        return 2 * norm.sf(abs(above) / math.sqrt(variance))
    sums = {0: 1.0}
    for a, b in strata:
        more = Counter()
        for s, p in sums.items():
            for u, q in arrangements(len(a), len(b)).items():
                more[s + u] += p * q
        sums = more
    greater = max(whole, pairs - whole)
    return min(1.0, 2 * sum(p for s, p in sums.items() if s >= greater))


found = json.load(sys.stdin)
checked = 0
for overall in found["overall"]:
    compared = [
        one
        for point in found["points"]
        for one in point["compared"]
        if one["metric"] == overall["metric"] and one["group"] == overall["group"] and one["shift"]
    ]
    strata = [(one["first"]["rounds"], one["second"]["rounds"]) for one in compared]
    expected = p_of(strata)
    if not math.isclose(overall["p"], expected, rel_tol=1e-9) or overall["points"] != len(strata):
        sys.exit(f"{overall['metric']}: {overall['p']} and not {expected}")
    checked += 1
print(json.dumps({"checked": checked}))
