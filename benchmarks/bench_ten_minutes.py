"""What a time budget buys: `medseg train DATASET --time-budget 10m`, all of it, measured from outside.

    python benchmarks/bench_ten_minutes.py DATASET --out FOLDER [--budget 10m] [--withhold 52]

Runs the command as a user would, with no configuration, in a process of its own, and reports mean Dice on cases not
trained on, wall time, CPU time of the process and its workers, and peak memory. Those cases are the ones the run
itself held out, by its own measure, and with `--withhold` some that the run never gets to see: a dataset without them
is laid out first, and `medseg predict` segments them afterwards.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import yaml
from markdown import machine


def withheld(dataset: Path, count: int, folder: Path) -> tuple[Path, list[str]]:
    """A dataset without some cases, drawn by a hash of their names, as links; and the names of those cases."""
    described = json.loads((dataset / "dataset.json").read_text())
    names = sorted(path.name for path in (dataset / "labelsTr").glob("[!.]*.nii.gz"))
    drawn = sorted(names, key=lambda name: hashlib.sha256(f"withheld {name}".encode()).hexdigest())[:count]
    kept = [name for name in names if name not in drawn]
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for name in kept:
            if not (folder / part / name).is_symlink():
                (folder / part / name).symlink_to((dataset / part / name).resolve())
    described["training"] = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in kept]
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder, drawn


def run(arguments: Sequence[str | Path]) -> dict[str, float]:
    """Run medseg to its end; wall and CPU seconds, and the peak of the largest process in GB."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run([Path(sys.executable).with_name("medseg"), *arguments], check=True, stdout=sys.stderr)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    return {"wall_s": round(time.perf_counter() - begun, 1), "cpu_s": round(cpu, 1), "peak_gb": round(peak, 2)}


def held_out_dice(out: Path) -> dict[str, list[float]]:
    """Dice by class of the cases the run held out, as it measured them."""
    by_class: dict[str, list[float]] = {}
    with (out / "validation.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            by_class.setdefault(row["class"], []).append(float(row["value"]))
    return by_class


def unseen_dice(dataset: Path, names: Sequence[str], out: Path) -> dict[str, list[float]]:
    """Dice by class of cases the run never saw, segmented by `medseg predict`."""
    card = yaml.safe_load((out / "model" / "model.yaml").read_text())
    images = [dataset / "imagesTr" / name for name in names]
    run(["predict", *images, "--model", out / "model", "--out", out / "unseen", "--format", "nifti"])
    by_class: dict[str, list[float]] = {one["name"]: [] for one in card["classes"]}
    for name in names:
        predicted = np.asanyarray(nib.load(out / "unseen" / name.removesuffix(".nii.gz") / "labels.nii.gz").dataobj)
        truth = np.asanyarray(nib.load(dataset / "labelsTr" / name).dataobj)
        for one in card["classes"]:
            a, b = predicted == one["value"], truth == one["value"]
            by_class[one["name"]].append(2 * float((a & b).sum()) / float(a.sum() + b.sum()))
    return by_class


def shown(by_class: dict[str, list[float]]) -> str:
    """Mean and its standard error over cases, then the mean of each class."""
    means = np.mean(list(by_class.values()), axis=0)
    error = means.std(ddof=1) / len(means) ** 0.5
    parts = ", ".join(f"{name} {np.mean(values):.4f}" for name, values in by_class.items())
    return f"{means.mean():.4f} ± {error:.4f} on {len(means)} cases ({parts})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--withhold", type=int, default=0)
    chosen = parser.parse_args()
    dataset, names = chosen.dataset, []
    if chosen.withhold:
        dataset, names = withheld(chosen.dataset, chosen.withhold, chosen.out / "dataset")
    out = chosen.out / "run"
    if out.exists():
        parser.error(f"{out} is there already")
    cost = run(["train", dataset, "--out", out, "--device", "cpu", "--time-budget", chosen.budget])
    card = yaml.safe_load((out / "model" / "model.yaml").read_text())
    print(f"- {machine()}")
    print(f"- {card['training']['duration']}, {card['training']['cases']} cases trained on")
    print(f"- whole command: {cost['wall_s']:.0f} s, {cost['cpu_s']:.0f} CPU-s, {cost['peak_gb']:.2f} GB at most")
    print(f"- mean Dice of the cases held out: {shown(held_out_dice(out))}")
    if names:
        print(f"- mean Dice of cases never seen, by `medseg predict`: {shown(unseen_dice(chosen.dataset, names, out))}")


if __name__ == "__main__":
    main()
