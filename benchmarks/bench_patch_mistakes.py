"""Dice before and after two corrections of training patches, paired by case.

- ``sides``: two equal balls, ``lh_ball`` and ``rh_ball``, differ by place alone. Before, patches and predictions
  were mirrored left and right; after, they are not.
- ``regions``: before, a patch was cut out of a region a quarter larger than itself, and corners that rotation and zoom
  brought in from beyond were 0 and background; after, the region is as large as the patch's own rotation and zoom need.

    python benchmarks/bench_patch_mistakes.py sides --epochs 20 --out /tmp/sides
    python benchmarks/bench_patch_mistakes.py regions --dataset DATASET --seeds 3 --time-budget 20m --out /tmp/regions

Every run trains on the same cases, from the same seeds, once before and once after, and is measured on the cases that
it held out. The difference is the mean over pairs of one case and seed, with its standard error. ``regions`` also says
what fraction of a patch's voxels came from beyond its region.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import nibabel as nib
import numpy as np
import torch

from medseg.training.run import train
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.spatial import Triple

# How much larger than the patch every region was, before.
MARGIN = 1.25


def write_balls(folder: Path, cases: int) -> Path:
    """Two balls of one size and brightness, one on each side, in nnU-Net's layout."""
    shape, random = (32, 24, 16), np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    affine = np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = shape[0] - 1
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(cases):
        image, labels = random.normal(0, 0.2, shape), np.zeros(shape, np.uint8)
        for value, x in ((1, 8), (2, 23)):
            center = np.array([x, 12, 8]) + random.uniform(-1.5, 1.5, 3)
            ball = ((grid - center) ** 2).sum(-1) < 16
            labels[ball] = value
            image[ball] += 2
        nib.save(nib.Nifti1Image(image.astype(np.float32), affine), folder / "imagesTr" / f"c{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / "labelsTr" / f"c{number}.nii.gz")
    labels = {"background": 0, "lh_ball": 1, "rh_ball": 2}
    content = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@contextlib.contextmanager
def fixed_regions() -> Iterator[None]:
    """Regions as they were before."""

    def region_of(self: Augmentation, _number: int) -> Triple:
        x, y, z = (n if n == 1 else n + 2 * math.ceil(n * (MARGIN - 1) / 2) for n in self.patch)
        return x, y, z

    with patch.object(Augmentation, "region_of", region_of):
        yield


def beyond(augmentation: Augmentation, patches: int) -> tuple[float, float]:
    """Mean fraction of a patch's voxels from beyond its region, and fraction of the patches that have any."""
    fractions = []
    for number in range(patches):
        region = augmentation.region_of(number)
        labels = torch.ones(1, *region, dtype=torch.int64)
        _, found = augmentation(labels[:, None].float(), labels, number)
        fractions.append(float((found == 0).float().mean()))
    return statistics.fmean(fractions), statistics.fmean(f > 0 for f in fractions)


def dice_of(out: Path) -> dict[tuple[str, str], float]:
    """Dice by case and class of a run's held-out cases."""
    with (out / "validation.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "dice"]
    return {(row["case_id"], row["class"]): float(row["value"]) for row in rows}


def mean_by_case(dice: dict[tuple[str, str], float]) -> dict[str, float]:
    """Mean over classes of each case."""
    cases = dict.fromkeys(case for case, _ in dice)
    return {
        name: statistics.fmean([v for (case, _), v in dice.items() if case == name and not math.isnan(v)])
        for name in cases
    }


def compare(dataset: Path, options: argparse.Namespace, before: list[str], *, fixed: bool) -> None:
    """Train before and after for each seed, and print the paired difference."""
    pairs: list[tuple[float, float]] = []
    for seed in range(options.seeds):
        measured = []
        for name, settings in (("before", before), ("after", [])):
            out = options.out / f"{name}-{seed}"
            with fixed_regions() if fixed and name == "before" else contextlib.nullcontext():
                train(
                    dataset,
                    out,
                    epochs=options.epochs,
                    time_budget=options.time_budget,
                    seed=seed,
                    device=options.device,
                    settings=["tracking=false", *options.set, *settings],
                )
            measured.append(mean_by_case(dice_of(out)))
        pairs += [(measured[0][case], measured[1][case]) for case in measured[0]]
        print(f"seed {seed}: {len(measured[0])} cases, before {statistics.fmean(measured[0].values()):.4f}, "
              f"after {statistics.fmean(measured[1].values()):.4f}", flush=True)  # fmt: skip
    gains = [after - before for before, after in pairs]
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    means = [statistics.fmean(column) for column in zip(*pairs, strict=True)]
    print(f"Dice before {means[0]:.4f}, after {means[1]:.4f}, "
          f"difference {means[1] - means[0]:+.4f} ± {error:.4f} over {len(gains)} pairs")  # fmt: skip


def say_beyond() -> None:
    """Print how much of a patch came from beyond its region, by the CPU preset's augmentation in 3D."""
    from medseg.data.presets import PRESETS
    from medseg.training.augment_config import AugmentConfig

    preset = PRESETS["cpu"]
    values = {**preset.augment, **preset.augment_3d, "elastic_mm": (1.0, 3.0), "elastic_spacing": 16.0}
    none = dict.fromkeys(("noise", "blur", "brightness", "contrast", "low_resolution", "gamma", "gamma_inverted"), 0.0)
    config = AugmentConfig.model_validate({**values, **none})
    augmentation = Augmentation(config, patch=(64, 64, 48), spacing=(1.0, 1.0, 1.0), classes=2, seed=1)
    with fixed_regions():
        mean, some = beyond(augmentation, 64)
    print(f"before: {mean:.1%} of a patch's voxels came from beyond its region, in {some:.0%} of the patches")
    mean, some = beyond(augmentation, 64)
    print(f"after: {mean:.1%}, in {some:.0%}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("sides", "regions"))
    parser.add_argument("--dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--cases", type=int, default=20, help="of the balls")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--time-budget")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    if options.what == "sides":
        compare(write_balls(options.out / "balls", options.cases), options, ["plan.mirror=[x]"], fixed=False)
    else:
        say_beyond()
        compare(options.dataset, options, [], fixed=True)


if __name__ == "__main__":
    main()
