"""Writes docs/benchmarks/arena.md from the results of run.py, kept in results.json beside it.

    python benchmarks/arena/page.py benchmarks/arena/results.json docs/benchmarks/arena.md

A set without results keeps the section that the page has of it.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import t

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import markdown
from layout import SETS

NAMES = {
    "medseg": "medseg",
    "medseg-fine": "medseg, the grid of a long training",
    "medseg-wide": "medseg, the features of a long training",
    "medseg-long": "medseg, the features and the patch of a long training",
    "nnunet": "nnU-Net 2.8.1",
    "monai": "MONAI",
}
METRICS = {"dice": "Dice", "nsd@1mm": "NSD at 1", "nsd@2mm": "NSD at 2"}

Result = dict[str, object]

FOUND = """## What it found

- In 3D a patch may hold little but a class: a left atrium at 0.625 mm has about twice the voxels of a patch as the plan
  for few steps had it. The network then finds the atrium everywhere (Dice 0.463). Now the grid of such a plan is
  coarser, up to twice, until the smallest class takes a tenth of a patch. That was found on `atrium` itself and held on
  no other set: in `acdc` and the hippocampus classes are small enough, and their plans are as they were.
- `medseg train` refused the breast ultrasound with this budget: measuring 20 held-out images, 12 of them twice, was to
  take nearly all that preparing left. Measuring now takes at most a third of it, for every set.
- Each PNG, NRRD and MetaImage file was looked at in a process of its own, half a CPU second a case (3 images: 1.6 CPU-s
  in four processes, now one process for all). The run on `drive` was made before these two changes.
- A repository of spinal cords (`sct-pipeline/gm-challenge-data`, BIDS) was refused, because one subject with labels
  lacks its image: the images of all other subjects became channels of one case. It is read.
- In a volume's plan the patch follows the budget, and in 2D, where medseg lost `busi` to MONAI, it is half as wide
  where there would be fewer than 1000 steps. That half was tried on `drive` and `busi`, and then held on `lungs`.
- A [search for settings](search.md) found that half the features do better in 2D where steps are few, on `lungs` and on
  `busi`, and then on `drive`. On `acdc`, where nothing was searched, they do better too. The planner takes them now
  where the smaller patch alone leaves fewer than 1000 steps. When it was introduced, the runs before and after were
  paired by case: `lungs` +0.244 (+0.221 to +0.266), `acdc` +0.038 (+0.013 to +0.062); `drive` and `busi` have these
  rows. Of the three 2D sets it can no longer be said that nothing was tuned on them, nor of `atrium`.
- After so few steps nobody's result on `busi` is of use: MONAI marks most of every image (its recall is high, its
  precision low)."""

MISSING = """## What is not here

Not found in public repositories that hold their files: multi-organ CT, a spinal cord set of at least 15 cases (the one
above has eight), multiple sclerosis lesions in volumes, prostate. One seed each: what a second would change is unknown.
A contestant that a table lacks was not run on that set, nor were nnU-Net's residual presets. `drive` and `busi` were
measured before the others."""


def by_case(result: Result, metric: str) -> dict[str, float]:
    """Mean over classes of each held-out case; a class that neither reference nor result has, NaN, counts as 1."""
    cases: dict[str, dict[str, list[float]]] = result["cases"]  # type: ignore[assignment]
    return {
        case: float(np.mean([1.0 if value is None or math.isnan(value) else value for value in values[metric]]))
        for case, values in cases.items()
    }


def difference(ours: dict[str, float], theirs: dict[str, float]) -> str:
    """Mean paired difference with its 95% interval (Student's t over cases)."""
    paired = np.array([ours[case] - theirs[case] for case in sorted(ours.keys() & theirs.keys())])
    half = t.ppf(0.975, len(paired) - 1) * paired.std(ddof=1) / math.sqrt(len(paired))
    return f"{paired.mean():+.3f} ({paired.mean() - half:+.3f} to {paired.mean() + half:+.3f})"


def over_seeds(runs: Sequence[Result], metric: str) -> dict[str, float]:
    """Each held-out case's mean over runs of the same contestant."""
    each = [by_case(run, metric) for run in runs]
    return {case: float(np.mean([one[case] for one in each])) for case in each[0]}


def table(runs: Sequence[Result]) -> str:
    """Rows of one set's contestants, each paired with medseg by case, over the seeds that both have."""
    of: dict[str, dict[int, Result]] = {}
    for run in runs:
        of.setdefault(str(run["contestant"]), {})[int(run["seed"])] = run  # type: ignore[call-overload]
    rows: dict[str, list[object]] = {}
    for contestant, shown in NAMES.items():
        if contestant not in of:
            continue
        theirs = of[contestant]
        row: list[object] = []
        for metric in METRICS:
            found = (np.mean(list(by_case(run, metric).values())) for _, run in sorted(theirs.items()))
            row.append(", ".join(f"{one:.3f}" for one in found))
        shared = sorted(theirs.keys() & of["medseg"].keys())
        for metric in METRICS:
            both = (over_seeds([one[seed] for seed in shared], metric) for one in (of["medseg"], theirs))
            row.append(difference(*both) if contestant != "medseg" else "")
        first = theirs[min(theirs)]
        size = f"{first['batch']} of {' x '.join(str(n) for n in first['patch'] if n != 1)}"  # type: ignore[attr-defined]
        for column in ("steps", "cpu_s", "seed"):
            row.append(", ".join(f"{run[column]:.0f}" for _, run in sorted(theirs.items())))
        rows[shown] = [*row[:-2], size, *row[-2:]]
    columns = [*METRICS.values(), *(f"medseg less this, {name}" for name in METRICS.values())]
    return markdown.table([*columns, "steps", "patches a step", "CPU-s", "seed"], rows)


def section(page: Path, name: str) -> list[str]:
    """What the page has of a set."""
    found = re.search(rf"^## {name}\n.*?(?=\n\n## |\n\nTolerances)", page.read_text(), re.DOTALL | re.MULTILINE)
    return [] if found is None else [found[0]]


def main(source: Path, page: Path) -> None:
    every: list[Result] = json.loads(source.read_text())
    paragraphs = [
        "Written by `python benchmarks/arena/page.py`, from what `benchmarks/arena/run.py` measured, whose heads say "
        "how. Public sets that medseg's recipe was never tuned on. Each contestant trains once for each seed, with its "
        "defaults and one thread, and has the same CPU seconds from the labeled images to the model; all are measured "
        "on the same held-out cases by `medseg evaluate`. Where several seeds are named, figures are of each in turn. "
        "Differences are paired by case, means over the seeds that both have, with 95% intervals over cases; the "
        "variance between seeds is not in them. An image without a class in which none is found counts as 1.",
        f"{every[0]['seconds']:.0f} CPU seconds are what somebody spends who tries a method on a laptop; no training "
        "that is meant to be used. nnU-Net's defaults are made for a GPU: its own trainer runs here with its own "
        "network, patch, batch, loss and augmentation, and its polynomial schedule over the steps that the budget "
        "buys, few as they are. Its figures after a day on a GPU are far above these. MONAI is its tutorials: "
        "`2d_segmentation` for 2D images, `dynunet_pipeline` for volumes. No contestant mirrors at prediction.",
    ]
    for name, one in SETS.items():
        runs = [result for result in every if result["set"] == name]
        if not any(run["contestant"] == "medseg" for run in runs):
            paragraphs += section(page, name)
            continue
        cases: dict[str, object] = runs[0]["cases"]  # type: ignore[assignment]
        spacing = "" if one.spacing is None else (
            " Its files have no spacing; every contestant is given "
            f"{' x '.join(f'{n:g}' for n in one.spacing)} mm."
        )  # fmt: skip
        paragraphs += [
            f"## {name}\n\n{one.what}. From the repository `{one.repository}`; license: {one.license}. "
            f"{len(cases)} cases held out.{spacing}",
            table(runs),
        ]
    unit = "Tolerances of NSD are in pixels for 2D images, whose files have no pixel size, and in mm for volumes."
    markdown.write(page, "Arena: sets nobody tuned on", [*paragraphs, unit, FOUND, MISSING])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
