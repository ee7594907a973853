"""False alarms of `medseg monitor`, and which changes of a scanner it finds, on simulated histories.

    python benchmarks/bench_monitor.py --out docs/benchmarks/monitor.md

Histories are those of tests/monitoring/scanner_history.py: ten figures a case, skewed, counted or discrete, and
verdicts. No figure here is a time.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from markdown import table, write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "monitoring"))
from scanner_history import history

from medseg.monitoring.charts import holm
from medseg.monitoring.monitor import look_at

BASELINE, CASES, CHANGED_AT = 50, 150, 100
LEVELS = (0.01, 0.05, 0.1)
CHANGES = {
    "intensities x 1.1": {"contrast": 1.1},
    "intensities x 1.2": {"contrast": 1.2},
    "intensities x 1.5": {"contrast": 1.5},
    "volumes x 0.95": {"volume": 0.95},
    "volumes x 0.9": {"volume": 0.9},
    "volumes x 0.8": {"volume": 0.8},
}


def false_alarms(n, cases):
    """Of n histories without a change: alarms at each level, and those in which a Western Electric rule is broken."""
    alarms, plain = dict.fromkeys(LEVELS, 0), 0
    for seed in range(n):
        records = history(cases, seed=seed)
        found = look_at(records, BASELINE, min(LEVELS))
        for level in LEVELS:
            alarms[level] += bool(holm([(chart.name, chart.p) for chart in found.charts], level))
        plain += any(hits.any() for chart in found.charts for rule, hits in chart.broken.items() if rule)
    return alarms, plain


def detected(n, change):
    """Of n histories with a change: found, and how far from the true place it is said to begin."""
    found, off = 0, []
    for seed in range(n):
        result = look_at(history(CASES, change_at=CHANGED_AT, seed=10_000 + seed, **change), BASELINE)
        found += result.exit_code == 3
        off += [abs(result.changed[0].since - CHANGED_AT - 1)] if result.changed else []
    return found, float(np.median(off)) if off else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=400, help="histories without a change")
    parser.add_argument("-m", type=int, default=60, help="histories of each change")
    chosen = parser.parse_args()
    rows = {}
    for cases in (80, CASES, 400):
        n = chosen.n if cases <= CASES else chosen.n // 4
        alarms, plain = false_alarms(n, cases)
        rows[f"{cases} cases"] = [n, *(f"{alarms[level] / n:.1%}" for level in LEVELS), f"{plain / n:.0%}"]
        print(cases, rows[f"{cases} cases"], flush=True)
    found = {}
    for name, change in CHANGES.items():
        count, off = detected(chosen.m, change)
        found[name] = [chosen.m, f"{count / chosen.m:.0%}", "" if np.isnan(off) else f"{off:.0f}"]
        print(name, found[name], flush=True)
    titles = [f"alarms at --false-alarms {level:g}" for level in LEVELS]
    paragraphs = [
        "By `python benchmarks/bench_monitor.py` on simulated histories of one hospital: volumes with a standard "
        "deviation of 20%, intensities of 13%, entropy, counts of components and warnings, spacings, seconds and "
        "verdicts. "
        f"The baseline is the first {BASELINE} cases. [How it works](../how-to/monitor.md).",
        "## Nothing changed",
        table(["histories", *titles, "some Western Electric rule broken"], rows),
        "The last column is why these rules alone raise no alarm: over a dozen charts some rule is always broken.",
        f"## Another scanner from case {CHANGED_AT + 1} of {CASES} on",
        "At the default, `--false-alarms 0.01`.",
        table(["histories", "found", "median error of its place, cases"], found),
        "Simulated cases are independent of each other. Real ones that come in blocks, all of one scanner and then all "
        "of another, are not, and alarms are then more frequent: the blocks are a change.",
    ]
    write(chosen.out, "Monitoring: false alarms, and changes that are found", paragraphs)


if __name__ == "__main__":
    main()
