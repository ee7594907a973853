"""How long a reader waits for a suggestion of the click tool, and how good one click in and one out are on a sphere.

    python benchmarks/bench_clicks.py                                   # a box of 64 voxels a side, 20 clicks
    python benchmarks/bench_clicks.py --side 48 --clicks 5

A sphere of a third of the box in noise, its contrast 60, 30 and 20 with noise of 10, is clicked at one voxel inside and
one outside, drawn at random. Printed for each contrast: seconds at the median and the 95th percentile, CPU-seconds at
the median, and the lowest and the median Dice against the sphere. Times are those of the machine, and mean something on
a quiet one only.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from markdown import machine, table

from medseg.review.marks import Marks
from medseg.review.random_walk import random_walk

NOISE, CONTRASTS = 10.0, (60, 30, 20)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64, help="Voxels along each axis of the box.")
    parser.add_argument("--clicks", type=int, default=20, help="Pairs of clicks for each contrast.")
    given = parser.parse_args()
    rows = {str(contrast): _measured(given.side, contrast, given.clicks) for contrast in CONTRASTS}
    columns = ["p50 s", "p95 s", "CPU-s, p50", "lowest Dice", "median Dice"]
    print(table(columns, rows))
    print(f"\nBox of {given.side} voxels a side, {given.clicks} clicks. Measured on: {machine()}.")


def _measured(side: int, contrast: float, clicks: int) -> list[str]:
    rng = np.random.default_rng(0)
    away = np.sqrt(((np.indices((side, side, side)) - (side - 1) / 2) ** 2).sum(axis=0))
    truth = away < side / 6
    wall, cpu, dice = [], [], []
    for _ in range(clicks):
        scan = 40 + contrast * truth + rng.normal(0, NOISE, truth.shape)
        marks = Marks(_one_of(rng, truth), _one_of(rng, away > side / 4))
        started, before = time.perf_counter(), time.process_time()
        found = random_walk(scan, marks, (1.0, 1.0, 1.0))
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - before)
        dice.append(2 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth)))
    times = [np.percentile(wall, 50), np.percentile(wall, 95), np.median(cpu)]
    return [*(f"{value:.2f}" for value in times), f"{min(dice):.3f}", f"{np.median(dice):.3f}"]


def _one_of(rng: np.random.Generator, allowed: np.ndarray) -> np.ndarray:
    return rng.choice(np.argwhere(allowed), 1)


if __name__ == "__main__":
    main()
