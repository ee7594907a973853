"""Nuclei in images: objects by a border class beside components and watershed; writes docs/benchmarks/nuclei.md.

    python benchmarks/bench_nuclei.py DATA --work WORK

DATA holds `images/` and `instances/` (the 2018 Data Science Bowl, in one file a image). What WORK holds is not done
again: it gets two trainings of the same network, `medseg train DATA --config nuclei` with the border class and without,
and every method's objects of the 50 held-out images, each measured by `medseg evaluate`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from nuclei_figures import (
    SMALLEST,
    Counts,
    data_and_work,
    difference,
    foreground,
    measure,
    medseg,
    otsu,
    save,
    table,
    touching,
    without_specks,
)

from medseg.api.model import Model, load_model
from medseg.config.load import read_yaml
from medseg.io.read import load_scan, read_labels
from medseg.models.package import load_package
from medseg.post.components import components
from medseg.post.from_border import objects_from_border
from medseg.post.watershed import watershed
from medseg.resources import find
from medseg.types import LabelMap, Prediction

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "nuclei.md"
METRICS = ("pq", "sq", "rq", "ap@0.5", "ap@0.75", "ap@0.9", "ap@0.5:0.9", "mean pq")
WITHOUT = ("--set", "border_mm=null", "--set", "post=[{stage: components}]")
# Every fifth training image chooses the watershed's options; of held-out images nothing is chosen.
TUNING = 5
GRID = {"depth_mm": (0.5, 1.0, 2.0), "sigma_mm": (1.0, 2.0), "min_mm3": (20.0,)}
# AP at 0.5 as printed in table 1 of Schmidt et al., MICCAI 2018, for their subset of the same competition.
PUBLISHED = {"U-Net, 2 classes": 0.674, "U-Net, 3 classes": 0.806, "Mask R-CNN": 0.832, "StarDist": 0.864}
NAMES = {
    "otsu": "Otsu, components",
    "otsu-watershed": "Otsu, watershed",
    "components": "network without border, components",
    "watershed": "network without border, watershed",
    "border-components": "network with border, components of its foreground",
    "border-alone": "network with border, interiors as they are",
    "border": "network with border (`nuclei`)",
    "reference-watershed": "reference's foreground, watershed",
}


def main() -> None:
    """Train, predict, measure, write."""
    data, work = data_and_work(__doc__)
    for name, more in (("nuclei", ()), ("nuclei-components", WITHOUT)):
        if not (work / name / "model" / "model.yaml").is_file():
            medseg("train", data, "--config", "nuclei", "--out", work / name, *more)
    cases = load_package(work / "nuclei" / "model").card.training.held_out
    if cases != load_package(work / "nuclei-components" / "model").card.training.held_out:
        raise SystemExit("the two trainings held out other images")
    split = {path.stem: path for path in sorted((data / "images").iterdir())}
    trained_on = [case for case in split if case not in cases][::TUNING]
    made = work / "objects"
    options = chosen_options(work / "watershed.json", data, trained_on)
    models = {name: load_model(work / name / "model", engine="torch") for name in ("nuclei", "nuclei-components")}
    for case in cases:
        draw(case, data, made, options, models)
    counts = {name: measure(made / name, data / "instances", cases) for name in NAMES}
    stained = np.array([is_stained(split[case]) for case in cases])
    PAGE.write_text(page(counts, stained, cases, data, work, options), encoding="utf-8")
    print(PAGE)


def chosen_options(kept: Path, data: Path, cases: list[str]) -> dict[str, dict[str, float]]:
    """Options of the watershed for Otsu's foreground and for a good one."""
    if not kept.is_file():
        chosen = {"otsu": tuned(data, cases, otsu_of), "reference": tuned(data, cases, reference_of)}
        kept.write_text(json.dumps(chosen), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def otsu_of(data: Path, case: str) -> np.ndarray:
    """Foreground by Otsu's threshold."""
    return otsu(load_scan(data / "images" / f"{case}.png").array)


def reference_of(data: Path, case: str) -> np.ndarray:
    """The reference's own foreground."""
    return read_labels(data / "instances" / f"{case}.png").array > 0


def tuned(data: Path, cases: list[str], mask_of: object) -> dict[str, float]:
    """Options of the watershed with the best PQ on some training images."""
    from medseg.evaluation.metrics.detection import count_overlaps, match

    best, chosen = -1.0, {}
    masks = [(read_labels(data / "instances" / f"{case}.png"), mask_of(data, case)) for case in cases]
    for values in itertools.product(*GRID.values()):
        options = dict(zip(GRID, values, strict=True))
        quality = objects = 0.0
        for reference, mask in masks:
            found = watershed(foreground(mask, reference.geometry), **options)
            overlaps = count_overlaps(reference.array, found.ids)
            quality += 2 * float(overlaps.iou[match(overlaps, 0.5)].sum())
            objects += len(overlaps.reference_sizes) + len(overlaps.prediction_sizes)
        if quality / objects > best:
            best, chosen = quality / objects, options
    return chosen


def draw(case: str, data: Path, made: Path, options: dict[str, dict[str, float]], models: dict[str, Model]) -> None:
    """Objects of one image by every method."""
    image = data / "images" / f"{case}.png"
    geometry = load_scan(image).geometry

    @cache
    def segmented(name: str) -> Prediction:
        return models[name].segment(image)

    def of_network(name: str) -> LabelMap:
        return without_specks(foreground(segmented(name).labels.array > 0, geometry))

    def with_border() -> LabelMap:
        return models["nuclei"].predictor.segment(load_scan(image)).labels

    def of_otsu() -> LabelMap:
        return foreground(otsu_of(data, case), geometry)

    ways: dict[str, Callable[[], np.ndarray]] = {
        "otsu": lambda: components(of_otsu()).ids,
        "otsu-watershed": lambda: watershed(of_otsu(), **options["otsu"]).ids,
        "components": lambda: components(of_network("nuclei-components")).ids,
        "watershed": lambda: watershed(of_network("nuclei-components"), **options["reference"]).ids,
        "border-components": lambda: components(of_network("nuclei")).ids,
        "border-alone": lambda: objects_from_border(with_border(), min_seed_mm3=10, min_mm3=SMALLEST).ids,
        "border": lambda: segmented("nuclei").instances.ids,
        "reference-watershed": lambda: (
            watershed(foreground(reference_of(data, case), geometry), **options["reference"]).ids
        ),
    }
    for name, way in ways.items():
        path = made / name / f"{case}.nii.gz"
        if not path.is_file():
            save(way(), geometry, path)


def is_stained(path: Path) -> bool:
    """Whether a image has colors: stained tissue, where fluorescence is gray."""
    array = load_scan(path).array
    return bool(np.ptp(array.astype(np.int64), axis=0).max() > 0)


def page(
    counts: dict[str, Counts],
    stained: np.ndarray,
    cases: tuple[str, ...],
    data: Path,
    work: Path,
    options: dict[str, dict[str, float]],
) -> str:
    """The page, from what was measured."""
    card = load_package(work / "nuclei" / "model").card
    other = load_package(work / "nuclei-components" / "model").card
    total = int(counts["border"].reference.sum())
    recipe = read_yaml(find("configs", "nuclei"))
    whole = recipe["epochs"] * recipe["iterations_per_epoch"]
    done = int(card.training.duration.split()[0])
    short = (
        f"That is {done} of the recipe's {whole} steps: the trainings were cut short, at a high learning rate.\n"
        if done < whole
        else ""
    )
    touch = sum(touching(data / "instances" / f"{case}.png") for case in cases)
    named = {NAMES[name]: counts[name] for name in NAMES}
    best = counts["border"]
    margins = []
    pairs = [("border", name) for name in ("components", "border-components", "watershed", "otsu-watershed")]
    pairs += [("border-alone", name) for name in ("components", "border-components")]
    for mine, name in pairs:
        for metric in ("pq", "ap@0.5", "mean pq"):
            middle, low, high = difference(counts[mine], counts[name], metric)
            said = "better" if low > 0 else "worse" if high < 0 else "cannot be distinguished"
            margins.append(
                f"| {NAMES[mine]} | {NAMES[name]} | {metric} | {middle:+.3f} | {low:+.3f} to {high:+.3f} | {said} |"
            )
    kinds = []
    for kind, chosen in (("fluorescence", ~stained), ("stained tissue", stained)):
        for name in ("otsu-watershed", "components", "border"):
            figures = counts[name].of(chosen).pooled()
            cells = " | ".join(f"{figures[m][0]:.3f}" for m in METRICS)
            kinds.append(f"| {kind} ({int(chosen.sum())}) | {NAMES[name]} | {cells} |")
    published = "\n".join(f"| {name} | {value:.3f} |" for name, value in PUBLISHED.items())
    of_each = {metric: float(best.pooled()[metric][0]) for metric in METRICS}
    fluorescent = float(best.of(~stained).pooled()["ap@0.5"][0])
    return f"""# Nuclei in images

Written by `python benchmarks/bench_nuclei.py DATA --work WORK`. DATA are 200 images of the 2018 Data Science Bowl,
fluorescence on dark and stained tissue on light, 256 x 256 to 603 x 1272 pixels. `configs/nuclei.yaml` holds out
{len(cases)} of them ({card.validation.split if card.validation else "as the card says"}; the card lists them), with
{total} nuclei, {touch} of which touch another. No network was trained on these {len(cases)}. The border stage's options
(splitting by shape, a minimum size) were chosen with an earlier, weaker network of another split, after a look at its
errors, on its training images; some of those may be among these {len(cases)}. `interiors as they are` has no options.

Both networks are the same U-Net, trained on the same patches, one with the border class and one without:
{card.training.duration} and {other.training.duration}, on a shared CPU.
{short}
Figures are over all nuclei of the held-out images together, as published tables of nuclei are, but for the last
column, the mean over images of each one's PQ. AP is TP / (TP + FP + FN) at an IoU;
[definitions](../reference/metrics.md#objects). No method counts anything smaller than {SMALLEST} pixels as an
object.

{table(named, METRICS)}

The watershed's options were chosen on every fifth training image: for Otsu's foreground
{_words(options["otsu"])}; for the others, on the reference's foreground,
{_words(options["reference"])}. The border class is used as the configuration says, with interiors
split by shape too; the row before it shows what that adds. The last row is what the watershed can reach where the
foreground is perfect.

## The margin of the border class

Differences between methods, with 95% intervals from 10,000 bootstrap draws of images, in pairs:

| method | against | figure | difference | 95% interval | it is |
|---|---|---|---|---|---|
{chr(10).join(margins)}

## By kind of image

| images | method | {" | ".join(METRICS)} |
|---|---|{"---|" * len(METRICS)}
{chr(10).join(kinds)}

[Stained tissue](nuclei-stained.md): what is wrong in it, and what was tried.

## Beside StarDist's figures

AP at 0.5 of Schmidt et al. (MICCAI 2018), for their subset of the same competition: 497 images of fluorescence, 50 of
them held out. StarDist's own figure is quoted so in other work; the three others are from memory of the paper, which
was not at hand.

| method | AP@0.5 |
|---|---|
{published}

Here it is {of_each["ap@0.5"]:.3f} for all held-out images and {fluorescent:.3f} for those of fluorescence. Images,
split and training time differ, so the two tables show the range of such figures and not which method is better.
"""


def _words(options: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:g}" for key, value in options.items())


if __name__ == "__main__":
    main()
