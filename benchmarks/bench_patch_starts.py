"""Do patches that may start anywhere in the scan teach more than patches whose centers may lie anywhere?

    python benchmarks/bench_patch_starts.py DATASET --work runs/starts [--steps 600] [--seeds 3] [--set a.b=c]

Trains the plan of a dataset twice for every seed, on the same cases and for the same number of steps: once as medseg
draws patches, and once as it did before, where the center of an unforced patch was drawn in the whole scan and then
moved until the patch lay inside. Prints the paired difference by held-out case. A finished run is not made again.
"""

from __future__ import annotations

import argparse
import csv
import logging
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from medseg.training import build
from medseg.training.configure import Configurator
from medseg.training.options import TrainOptions
from medseg.training.samples.patches import Patches
from medseg.training.samples.prepared import PreparedCase
from medseg.training.train import train_model
from medseg.training.training_run import TrainingRun

ARMS = ("start anywhere", "center anywhere")


class MovedInside(Patches):
    """Patches around a center drawn in the whole scan, moved inside."""

    def _start(self, case: PreparedCase, random: np.random.Generator) -> list[int]:
        forced = random.random() < self.foreground
        present = sorted(case.foreground)
        if forced and present:
            places = case.foreground[present[random.integers(len(present))]]
            center = [int(n) for n in places[random.integers(len(places))]]
        else:
            center = [int(random.integers(n)) for n in case.shape]
        return [
            min(max(c - p // 2, 0), n - p) if n >= p else -((p - n) // 2)
            for c, p, n in zip(center, self.patch, case.shape, strict=True)
        ]


def at_an_edge(shapes: np.ndarray, patch: tuple[int, ...]) -> tuple[float, float]:
    """Mean fraction of unforced patches that touch a face of the scan along every axis: by starts, by centers."""
    by_start, by_center = [], []
    for shape in shapes:
        slack = np.maximum(shape - patch, 0)
        by_start.append(np.prod(np.minimum(2, slack + 1) / (slack + 1)))
        inside = np.maximum(slack - 1, 0)
        by_center.append(np.prod(np.where(slack > 0, (shape - inside) / shape, 1.0)))
    return float(np.mean(by_start)), float(np.mean(by_center))


def run_of(configurator: Configurator, work: Path, arm: str, seed: int) -> dict[str, float]:
    """Mean Dice of each held-out case after one training; the figures of a finished one are read."""
    out = work / f"{arm.replace(' ', '-')}-{seed}"
    made = out / "validation.csv"
    if not made.is_file():
        config = configurator.config(work).model_copy(update={"seed": seed})
        run = TrainingRun(configurator.source.data, config, out, torch.device("cpu"), prepared_in=work / "prepared")
        began = time.process_time()
        with mock.patch.object(build, "Patches", Patches if arm == ARMS[0] else MovedInside):
            train_model(run)
        print(f"{arm}, seed {seed}: {time.process_time() - began:.0f} CPU-s", flush=True)
    found: dict[str, list[float]] = {}
    with made.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["case_id"], []).append(float(row["value"]))
    return {case: float(np.nanmean(values)) for case, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    given.work.mkdir(parents=True, exist_ok=True)
    settings = ("tracking=false", "iterations_per_epoch=50", "split.folds=4", *given.settings)
    options = TrainOptions(
        given.dataset, given.work, None, epochs=max(1, given.steps // 50), device="cpu", settings=settings
    )
    configurator = Configurator(options)
    patch = configurator.config(given.work).input.patch
    table: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        for arm in ARMS:
            table[arm].append(run_of(configurator, given.work, arm, seed))
    cases = sorted(table[ARMS[0]][0])
    values = {arm: np.array([[run[case] for case in cases] for run in runs]) for arm, runs in table.items()}
    difference = (values[ARMS[0]] - values[ARMS[1]]).mean(0)
    error = difference.std(ddof=1) / np.sqrt(len(cases))
    of_seeds = (values[ARMS[0]] - values[ARMS[1]]).mean(1)
    shapes = np.array([np.load(file, mmap_mode="r").shape for file in (given.work / "prepared").rglob("labels.npy")])
    starts, centers = at_an_edge(shapes, patch)
    print(f"\npatch {' x '.join(map(str, patch))}; {given.steps} steps, {len(cases)} held-out cases")
    print(f"unforced patches that touch a face of the scan along every axis: {starts:.0%} now, {centers:.0%} before")
    for arm in ARMS:
        print(f"{arm}: mean Dice {values[arm].mean():.4f}")
    print(f"difference by case {difference.mean():+.4f} +- {error:.4f}; by seed {np.round(of_seeds, 4).tolist()}")


if __name__ == "__main__":
    main()
