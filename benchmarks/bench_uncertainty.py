"""Does what a prediction says of itself tell the good ones from the bad? And what does asking cost?

    python benchmarks/bench_uncertainty.py DATASET MODEL --out docs/benchmarks/uncertainty.md

Segments the cases a model was not trained on, for instance the first of a cross-validation by
`configs/hippocampus.yaml`, as they are and with noise and blur added, and holds mean entropy along borders against Dice
with the reference. The limit that a model's card would carry is found on every other case as it is, and tried on the
rest.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.uncertainty import BoundaryEntropy
from medseg.io.nifti import read_labels, read_scan
from medseg.models.package import load_package
from medseg.training.selection.uncertainty_limit import boundary_entropy, uncertainty_limits

SPENT = [0.0]


def timed(function):
    def run(*arguments):
        begun = time.process_time()
        function(*arguments)
        SPENT[0] += time.process_time() - begun

    return run


def dice(found, reference, value):
    ours, theirs = found == value, reference == value
    return 2 * np.sum(ours & theirs) / max(1, ours.sum() + theirs.sum())


def degraded(scan, how, rng):
    array = scan.array.astype(np.float32)
    if how == "noise":
        array = array + rng.normal(0, 1.0 * array.std(), array.shape).astype(np.float32)
    if how == "blur":
        array = gaussian_filter(array, (0, 2, 2, 2))
    return replace(scan, array=array)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("model", help="a package whose card names cases it was not trained on")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    package = load_package(options.model)
    BoundaryEntropy.add = timed(BoundaryEntropy.add)
    predictor = Predictor(package, InferOptions(device="cpu", engine="torch"))
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, float]]] = {"as it is": [], "noise": [], "blur": []}
    by_class: dict[str, list[dict[str, float]]] = {how: [] for how in rows}
    total = 0.0
    for case in package.card.training.held_out:
        scan = read_scan(options.dataset / "imagesTr" / f"{case}.nii.gz")
        reference = read_labels(options.dataset / "labelsTr" / f"{case}.nii.gz").array
        for how, found in rows.items():
            shown = degraded(scan, how, rng)
            begun = time.process_time()
            prediction = predictor.segment(shown)
            total += time.process_time() - begun
            scores = [dice(prediction.labels.array, reference, c.value) for c in package.card.classes]
            by_class[how].append(boundary_entropy(prediction, package.card))
            found.append((float(np.mean(scores)), max(by_class[how][-1].values(), default=0.0)))
    split = "as its card says" if package.card.validation is None else package.card.validation.split
    lines = [
        "# Uncertainty without a reference",
        "",
        f"`python benchmarks/bench_uncertainty.py DATASET MODEL`: model '{package.card.name}' on the "
        f"{len(rows['as it is'])} cases it was not trained on ({split}), as they are, with noise as strong as the "
        "scan's own spread added, and blurred by 2 voxels. Uncertainty is the mean entropy along the border of the "
        "more uncertain class.",
        "",
        "| scans | mean Dice | mean uncertainty | rank correlation of uncertainty and Dice | cases with a warning |",
        "|---|---|---|---|---|",
    ]
    limits = uncertainty_limits(by_class["as it is"][::2])
    assert limits is not None

    def warned(cases: list[dict[str, float]]) -> int:
        return sum(any(value > limits.boundary_entropy[name] for name, value in case.items()) for case in cases)

    later = {how: cases[1::2] for how, cases in by_class.items()}
    later["all"] = [case for cases in later.values() for case in cases]
    together = [pair for found in rows.values() for pair in found]
    for how, pairs in (*rows.items(), ("all", together)):
        scores, uncertainties = np.array(pairs).T
        lines.append(
            f"| {how} | {scores.mean():.3f} | {uncertainties.mean():.3f} | "
            f"{spearmanr(uncertainties, scores).statistic:+.2f} | "
            f"{warned(later[how])} of {len(later[how])} |"
        )
    every = sorted(together, key=lambda pair: -pair[1])
    bad = sum(score < 0.8 for score, _ in every)
    first = sum(score < 0.8 for score, _ in every[: len(every) // 4])
    shown_limits = ", ".join(f"{name} {value:.2f}" for name, value in limits.boundary_entropy.items())
    lines += [
        "",
        f"A case gets a warning when its uncertainty in a class exceeds the limit found on {limits.cases} of the cases "
        f"as they are ({shown_limits}); the table counts the other cases. Of all {len(together)}, "
        f"{sum(uncertainty > 0.5 for _, uncertainty in together)} exceed 0.5, the limit where a card has none.",
        "",
        f"Of all {len(every)} predictions {bad} have a Dice below 0.8; {first} of them are among the quarter with the "
        f"most uncertainty. Measuring it takes {100 * SPENT[0] / total:.1f}% of the predictor's CPU time.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
