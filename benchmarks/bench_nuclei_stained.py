"""Nuclei in stained tissue: what is wrong with the shipped model's, and what helps; writes a page of its own.

    python benchmarks/bench_nuclei_stained.py DATA --work WORK

DATA is that of bench_nuclei.py. The page is docs/benchmarks/nuclei-stained.md. What WORK holds is not done again: it
gets a folder of the images that the shipped model was trained on, the fine-tunings of that model on these alone, and
every method's objects of the 50 held-out images.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_nuclei import is_stained
from nuclei_figures import Counts, data_and_work, difference, measure, medseg, save
from skimage.transform import resize

from medseg.api.model import load_model
from medseg.evaluation.metrics.detection import count_overlaps, match
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.read import load_scan, read_labels
from medseg.models.package import load_package
from medseg.post.from_border import objects_from_border
from medseg.types import Geometry, LabelMap, Scan

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "nuclei-stained.md"
METRICS = ("pq", "sq", "rq", "ap@0.5", "ap@0.75", "ap@0.5:0.9")
EPOCHS = 3
COMMON = ("--set", "optimizer.learning_rate=1.0e-2", "--set", "split.folds=1", "--set", "split.fold=0")
BALANCE = ("--set", "sampling.balance_polarity=true")
MIXING = ("--set", "augment.mixing=0.5")
TUNED = {"balanced-mixing": (*BALANCE, *MIXING)}
NAMES = {
    "shipped": "shipped model",
    "flips": "shipped model, mean over mirrored copies (`--mirror all`)",
    "tiles": "shipped model, windows of 256 pixels in place of 160",
    "larger": "shipped model, image made 1.5 times as large",
    "balanced-mixing": "trained on",
}
# What only the shipped model's prediction changes is measured where it might help.
STAINED_ONLY = ("flips", "larger")
ERRORS = ("found", "missed", "merged", "split", "outline", "false")


def main() -> None:
    """Train, predict, measure, write."""
    data, work = data_and_work(__doc__)
    card = load_package("nuclei").card
    cases = card.training.held_out
    for name in TUNED:
        if not (work / name / "model" / "model.yaml").is_file():
            tune(data, work, name, set(cases))
    stained = np.array([is_stained(data / "images" / f"{case}.png") for case in cases])
    counts = {}
    for name in NAMES:
        chosen = [case for case, kind in zip(cases, stained, strict=True) if kind or name not in STAINED_ONLY]
        draw(name, chosen, data, work)
        counts[name] = measure(work / "objects" / name, data / "instances", chosen)
    PAGE.write_text(page(counts, stained, cases, data, work), encoding="utf-8")
    print(PAGE)


def tune(data: Path, work: Path, name: str, held_out: set[str]) -> None:
    """Train the shipped model on, in a folder that holds none of the held-out images."""
    folder = work / "training-images"
    if not folder.is_dir():
        for part in ("images", "instances"):
            (folder / part).mkdir(parents=True)
            for path in sorted((data / part).iterdir()):
                if path.stem not in held_out:
                    shutil.copy(path, folder / part / path.name)
    options = ("--config", "nuclei", "--from", "nuclei", "--epochs", EPOCHS, "--device", "cpu", *COMMON, *TUNED[name])
    medseg("train", folder, "--out", work / name, *options)


def draw(name: str, cases: list[str], data: Path, work: Path) -> None:
    """Objects of images by a method."""
    folder = work / "objects" / name
    if all((folder / f"{case}.nii.gz").is_file() for case in cases):
        return
    of_image = method(name, work)
    for case in cases:
        scan = load_scan(data / "images" / f"{case}.png")
        save(of_image(scan), scan.geometry, folder / f"{case}.nii.gz")


def method(name: str, work: Path) -> Callable[[Scan], np.ndarray]:
    """What makes objects of an image."""
    if name in ("larger", "tiles"):
        return changed(scale=1.5 if name == "larger" else 1.0, patch=256 if name == "tiles" else None)
    package = work / name / "model" if name in TUNED else "nuclei"
    model = load_model(package, device="cpu", mirror="all" if name == "flips" else "none")
    return lambda scan: model.segment(scan, anyway=True).instances.ids


def changed(*, scale: float, patch: int | None) -> Callable[[Scan], np.ndarray]:
    """The shipped model on resampled images, whose probabilities are resampled back, or with other windows."""
    package = load_package("nuclei")
    card = package.card
    (step,) = card.post
    if patch is not None:
        card = card.model_copy(update={"input": card.input.model_copy(update={"patch": (patch, patch, 1)})})
    options = InferOptions(device="cpu", probabilities=True)
    predictor = Predictor(replace(package, card=card), options)

    def objects(scan: Scan) -> np.ndarray:
        x, y = scan.geometry.shape[:2]
        size = round(x * scale), round(y * scale)
        large = resized(scan.array.astype(np.float32), size)
        found = predictor.segment(Scan(large, Geometry(scan.geometry.affine, large.shape[1:]), scan.modality))
        back = resized(found.probabilities.astype(np.float32), (x, y))
        labels = LabelMap(back.argmax(0).astype(np.uint8), scan.geometry, found.labels.table)
        return objects_from_border(labels, **step.options).ids

    return objects


def resized(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Channels (C, X, Y, 1) of another size, linearly."""
    if array.shape[1:3] == size:
        return array
    return np.stack([resize(channel, (*size, 1), order=1, preserve_range=True) for channel in array])


def errors(predictions: Path, references: Path, cases: list[str]) -> dict[str, int]:
    """What became of the reference's objects, and predicted objects that lie beside all of them.

    Of those not matched at an IoU of 0.5: missed, less than a fifth is covered; merged, the object that covers most of
    it covers most of another; split, two or more objects lie in it; outline, the rest.
    """
    found = dict.fromkeys(ERRORS, 0)
    for case in cases:
        reference = read_labels(references / f"{case}.png").array
        prediction = load_scan(predictions / f"{case}.nii.gz").array[0].astype(np.int64)
        overlaps = count_overlaps(reference, prediction)
        matched = overlaps.pairs[match(overlaps, 0.5)]
        shared = np.zeros((len(overlaps.reference_sizes), len(overlaps.prediction_sizes)))
        shared[tuple(overlaps.pairs.T)] = overlaps.shared
        of_reference = shared / overlaps.reference_sizes[:, None]
        of_prediction = shared / overlaps.prediction_sizes
        found["found"] += len(matched)
        for number in set(range(len(shared))) - set(matched[:, 0].tolist()):
            covering = of_reference[number] > 0.5
            if of_reference[number].sum() < 0.2:
                kind = "missed"
            elif ((of_reference[:, covering] > 0.5).sum(0) > 1).any():
                kind = "merged"
            elif (of_prediction[number] > 0.5).sum() > 1:
                kind = "split"
            else:
                kind = "outline"
            found[kind] += 1
        unmatched = np.setdiff1d(np.arange(shared.shape[1]), matched[:, 1])
        found["false"] += int((of_prediction[:, unmatched].sum(0) < 0.2).sum())
    return found


def page(counts: dict[str, Counts], stained: np.ndarray, cases: tuple[str, ...], data: Path, work: Path) -> str:
    """The page, from what was measured."""
    of_stained = [case for case, kind in zip(cases, stained, strict=True) if kind]
    kinds: dict[str, dict[str, Counts]] = {
        "stained tissue": {n: c if n in STAINED_ONLY else c.of(stained) for n, c in counts.items()},
        "fluorescence": {n: c.of(~stained) for n, c in counts.items() if n not in STAINED_ONLY},
    }
    rows, margins = [], []
    for kind, of_kind in kinds.items():
        images = len(of_kind["shipped"].reference)
        for name, figures in of_kind.items():
            pooled = figures.pooled()
            cells = " | ".join(f"{pooled[metric][0]:.3f}" for metric in METRICS)
            rows.append(f"| {kind} ({images}) | {NAMES[name]} | {cells} | {int(figures.predicted.sum())} |")
            if name == "shipped":
                continue
            for metric in ("ap@0.5", "pq"):
                middle, low, high = difference(figures, of_kind["shipped"], metric)
                verdict = "better" if low > 0 else "worse" if high < 0 else "cannot be distinguished"
                margins.append(
                    f"| {kind} | {NAMES[name]} | {metric} | {middle:+.3f} | {low:+.3f} to {high:+.3f} | {verdict} |"
                )
    every = {name: errors(work / "objects" / name, data / "instances", of_stained) for name in counts}
    mistakes = "\n".join(f"| {NAMES[name]} | {' | '.join(map(str, e.values()))} |" for name, e in every.items())
    spent = last(load_package(work / "balanced-mixing" / "model").card.training.duration)
    trained = [is_stained(path) for path in (work / "training-images" / "images").iterdir()]
    reference = int(kinds["stained tissue"]["shipped"].reference.sum())
    return f"""# Nuclei in stained tissue

Written by `python benchmarks/bench_nuclei_stained.py DATA --work WORK`. Data, split and figures are those of
[nuclei in images](nuclei.md): {len(cases)} images are held out, of which {len(of_stained)} are stained, with
{reference} nuclei; of the {len(trained)} trained on, {sum(trained)} are stained. `shipped model` is the package
`nuclei`. No network was trained on any of the {len(cases)}, and nothing was chosen by them: settings were fixed before.
`trained on` starts from the shipped weights, with half the learning rate, half of the patches from stained images
(`sampling.balance_polarity=true`) and channels mixed at random (`augment.mixing=0.5`): {spent}, on a shared CPU.

| images | method | {" | ".join(METRICS)} | objects |
|---|---|{"---|" * (len(METRICS) + 1)}
{chr(10).join(rows)}

Differences to the shipped model, with 95% intervals from 10,000 bootstrap draws of images, in pairs:

| images | method | figure | difference | 95% interval | it is |
|---|---|---|---|---|---|
{chr(10).join(margins)}

The shipped model is left as it is. What windows gain or lose was seen on the held-out images, as one of four changes,
and nine stained images are few: it should be seen on others before it is used. `trained on` is a short training.

## What is wrong in stained tissue

Of the reference's {reference} nuclei. Of those not found at an IoU of 0.5: missed, less than a fifth of it is covered;
merged, what covers most of it covers most of another too; split, two or more objects lie in it; outline, all others.
False are objects of which less than a fifth lies in any nucleus.

| method | {" | ".join(ERRORS)} |
|---|{"---|" * len(ERRORS)}
{mistakes}

## StarDist and Cellpose

Both install from PyPI (stardist 0.9.2, cellpose 4.2.1), but their wheels hold no weights, which they fetch when first
used, and no figure of theirs for these stained images was found; so neither is in the tables.
"""


def last(duration: str) -> str:
    """Steps and minutes of a card's duration."""
    return duration.rsplit(", ", 1)[-1]


if __name__ == "__main__":
    main()
