"""How often the intervals of volumes hold on cases that they were not made from, and with errors how weighed.

    python benchmarks/bench_intervals.py --out docs/benchmarks/intervals.md "nuclei=nuclei.csv:not trained on" \\
        "hippocampus=hippocampus.csv:not trained on"

Each table is one that benchmarks/make_volume_intervals.py or a training run (`validation_volumes.csv`) wrote. Its cases
are split at random again and again: intervals are made from one half, and counted in the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import markdown
import numpy as np

from medseg.post.intervals import LEVEL, POWER, conformal_quantile, residual
from medseg.training.selection.held_out_volumes import read_volumes

POWERS = {"absolute": 0.0, "volume^1/2": 0.5, "volume^2/3": 2 / 3, "relative": 1.0}
SPLITS = 1000
HEAD = f"""Of {LEVEL:.0%} intervals made from half of the cases, how many of the other half hold, over {SPLITS} random
splits: of all cases, of those smaller than the median, of the others; and how wide the intervals are, for the volume,
in the mean. What is compared is the distance of the measured volume from the reference's, divided by a power of the
measured one; the power of medseg is in bold. *N to 1* is the largest volume for the smallest. Written by
`python benchmarks/bench_intervals.py`."""
WHY = """Every power holds over all cases, as split conformal prediction must. Where sizes differ much, an absolute
one is far too wide for small volumes and too narrow for large ones. The relative one holds as often for small volumes
as for large ones, and is the narrowest for the volume.

No card has intervals from cases that the weights were trained on. The weights of the shipped hippocampus model were
trained on all cases at hand: its intervals are those of a model made the same way from 156 of them, on the 52 others
(`make_volume_intervals.py --twin`). They were measured on crops; of volumes in whole heads, where nothing was measured,
none is given."""


def coverage(pairs: np.ndarray, power: float, seed: int = 0) -> list[float]:
    """Fraction of cases inside, of all and of the smaller and the larger half, and the mean relative width."""
    rng = np.random.default_rng(seed)
    residuals = np.array([residual(v, measured, power) for v, measured in pairs])
    sizes = pairs[:, 1]
    small = sizes < np.median(sizes)
    kept: list[list[float]] = [[], [], [], []]
    for _ in range(SPLITS):
        order = rng.permutation(len(pairs))
        made, counted = order[: len(pairs) // 2], order[len(pairs) // 2 :]
        half = conformal_quantile(residuals[made])
        assert half is not None
        inside = residuals[counted] <= half
        for values, chosen in zip(kept, (slice(None), small[counted], ~small[counted]), strict=False):
            values.append(float(inside[chosen].mean()))
        kept[3].append(float(np.mean(2 * half * sizes[counted] ** power / sizes[counted])))
    return [float(np.mean(values)) for values in kept]


def main() -> None:
    """Count, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", help="NAME=TABLE:SEEN, where SEEN says what the weights had seen")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = {}
    for argument in given.tables:
        name, _, rest = argument.partition("=")
        path, _, seen = rest.partition(":")
        cases = read_volumes(Path(path))
        for entry in dict.fromkeys(c for case in cases.values() for c in case):
            pairs = np.array([case[entry] for case in cases.values() if entry in case])
            pairs = pairs[pairs[:, 1] > 0]
            spread = f"{pairs[:, 1].max() / pairs[:, 1].min():.3g} to 1"
            for weighed, power in POWERS.items():
                figures = coverage(pairs, power)
                shown = [f"{figure:.3f}" for figure in figures[:3]] + [f"{figures[3]:.0%}"]
                label = f"{name}: {entry}, {len(pairs)} cases {seen}, {spread}"
                rows[f"{label}, " + (f"**{weighed}**" if power == POWER else weighed)] = shown
    columns = ["all", "smaller half", "larger half", "mean width"]
    parts = ["# Intervals of volumes", HEAD, markdown.table(columns, rows), WHY]
    content = "\n\n".join(parts) + "\n"
    given.out.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
