"""Nuclei in a volume: objects by a border class beside Otsu and watershed; writes docs/benchmarks/nuclei-3d.md.

    python benchmarks/bench_nuclei_3d.py DATA --work WORK

DATA holds StarDist's example stack, img3d.tif and mask3d.tif. It is cut in two; `medseg train HALVES --config nuclei-3d
--folds 0,1` trains on each half and every method is measured on the other. What WORK holds is not done again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import tifffile
from bench_nuclei import METRICS
from nuclei_figures import Counts, foreground, measure, medseg, otsu, save, table, touching

from medseg.api.model import Model, load_model
from medseg.io.read import load_scan, read_labels
from medseg.models.package import load_package
from medseg.post.components import components
from medseg.post.watershed import watershed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "nuclei-3d.md"
HALVES = ("left", "right")
NAMES = {
    "otsu": "Otsu, components",
    "otsu-watershed": "Otsu, watershed",
    "border-components": "network with border, components of its foreground",
    "border-watershed": "network with border, watershed of its foreground",
    "border": "network with border (`nuclei-3d`)",
    "reference-watershed": "reference's foreground, watershed",
}


def main() -> None:
    """Cut, train, predict, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    work, halves, runs = arguments.work, arguments.work / "halves", arguments.work / "nuclei-3d"
    cut(arguments.data, halves)
    folds = [runs / f"fold_{k}" / "model" for k in range(len(HALVES))]
    if not all((fold / "model.yaml").is_file() for fold in folds):
        medseg("train", halves, "--config", "nuclei-3d", "--out", runs, "--folds", "0,1")
    for fold in folds:
        model = load_model(fold, engine="torch")
        (case,) = model.card.training.held_out
        draw(case, work, model)
    counts = {name: measure(work / "objects" / name, halves / "instances", HALVES) for name in NAMES}
    PAGE.write_text(page(counts, work, folds), encoding="utf-8")
    print(PAGE)


def cut(data: Path, halves: Path) -> None:
    """Two halves of the stack, cut across its longest axis."""
    for folder, name in (("images", "img3d.tif"), ("instances", "mask3d.tif")):
        (halves / folder).mkdir(parents=True, exist_ok=True)
        stack = tifffile.imread(data / name)
        middle = stack.shape[1] // 2
        for half, part in zip(HALVES, (stack[:, :middle], stack[:, middle:]), strict=True):
            path = halves / folder / f"{half}.tif"
            if not path.is_file():
                tifffile.imwrite(path, part, photometric="minisblack")


def draw(case: str, work: Path, model: Model) -> None:
    """Objects of one half by every method; the watershed has its defaults, there being nothing to choose them by."""
    scan = load_scan(work / "halves" / "images" / f"{case}.tif")
    by_otsu = foreground(otsu(scan.array), scan.geometry)
    truth = foreground(read_labels(work / "halves" / "instances" / f"{case}.tif").array > 0, scan.geometry)
    found = model.segment(scan)
    network = foreground(found.labels.array > 0, scan.geometry)
    ids = {
        "otsu": components(by_otsu).ids,
        "otsu-watershed": watershed(by_otsu).ids,
        "border-components": components(network).ids,
        "border-watershed": watershed(network).ids,
        "border": found.instances.ids,
        "reference-watershed": watershed(truth).ids,
    }
    for name, objects in ids.items():
        save(objects, scan.geometry, work / "objects" / name / f"{case}.nii.gz")


def page(counts: dict[str, Counts], work: Path, folds: list[Path]) -> str:
    """The page, from what was measured."""
    cards = [load_package(fold).card for fold in folds]
    touch = sum(touching(work / "halves" / "instances" / f"{case}.tif") for case in HALVES)
    total = int(counts["border"].reference.sum())
    by_half = {name: [float(counts[name].of(np.array([k])).pooled()["pq"][0]) for k in range(2)] for name in NAMES}
    each = "; ".join(
        f"{half} {ours:.3f} (Otsu and watershed {theirs:.3f})"
        for half, ours, theirs in zip(HALVES, by_half["border"], by_half["otsu-watershed"], strict=True)
    )
    return f"""# Nuclei in a volume

Written by `python benchmarks/bench_nuclei_3d.py DATA --work WORK`. DATA is StarDist's example stack, 57 x 61 x 31
voxels of fluorescence with 51 numbered nuclei: all the labeled volume of objects there was. It is cut in two across
its longest axis; nuclei on the cut count in both halves, which makes {total}, of which {touch} touch another. For each
half the network is trained on the other by `medseg train HALVES --config nuclei-3d --folds 0,1`
({cards[0].training.duration}; {cards[1].training.duration}, on a shared
CPU) and has seen nothing of it. Figures are over all nuclei of both halves.

{table({NAMES[name]: counts[name] for name in NAMES}, METRICS[:-1])}

PQ of each half, of the network with border:
{each}.

One stack shows how well a network trained on thirty nuclei does on thirty more of the same culture and microscope,
but not on others. With so few objects a difference of a few hundredths of PQ is one or two nuclei. The last row is
what the watershed can reach where the foreground is perfect.
"""


if __name__ == "__main__":
    main()
