"""Membranes in electron microscopy by the figures of the ISBI 2012 challenge; writes docs/benchmarks/membranes.md.

    python benchmarks/bench_membranes.py DATA --work WORK

DATA holds `image/` and `label/` of the challenge, a file for each section. What WORK holds is not done again: it gets
one training, `medseg train DATA --config membranes`, and the membranes of the held-out sections.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nuclei_figures import data_and_work, medseg

from medseg.api.model import load_model
from medseg.engine.evaluate import evaluate
from medseg.evaluation.metrics.partition import membrane_measures
from medseg.evaluation.options import EvaluateOptions
from medseg.io import nifti
from medseg.io.read import read_labels
from medseg.models.package import load_package
from medseg.types import LabelMap

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "membranes.md"
OPTIONS = EvaluateOptions(classes={1: "membrane"}, membranes=True, objects="none")
METRICS = ("v_rand", "v_info", "dice", "boundary_iou")
THRESHOLDS = np.arange(0.1, 0.95, 0.1)


def main() -> None:
    """Train, predict, measure, write."""
    data, work = data_and_work(__doc__)
    package = work / "membranes" / "model"
    if not (package / "model.yaml").is_file():
        medseg("train", data, "--config", "membranes", "--out", work / "membranes", "--device", "cpu")
    card = load_package(package).card
    model = load_model(package, engine="torch", save="probabilities")
    (work / "predictions").mkdir(exist_ok=True)
    (work / "references").mkdir(exist_ok=True)
    masks: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    for case in card.training.held_out:
        found = model.segment(data / "image" / f"{case}.png")
        mask = read_labels(data / "label" / f"{case}.png").array == 0
        nifti.write_labels(found.labels, work / "predictions" / f"{case}.nii.gz")
        reference = LabelMap(mask.astype(np.uint8), found.labels.geometry, found.labels.table)
        nifti.write_labels(reference, work / "references" / f"{case}.nii.gz")
        masks.append(mask)
        probabilities.append(found.probabilities[1])
    summary = evaluate(work / "predictions", work / "references", config=OPTIONS).summary["classes"]["membrane"]
    best = {}
    for metric in ("v_rand", "v_info"):
        means = [
            np.mean([membrane_measures(m, p > t)[metric] for m, p in zip(masks, probabilities, strict=True)])
            for t in THRESHOLDS
        ]
        best[metric] = float(np.max(means)), float(THRESHOLDS[np.argmax(means)])
    rows = "\n".join(
        f"| {metric} | {node['mean']:.4f} | {node['ci95'][0]:.4f} to {node['ci95'][1]:.4f} | "
        + (f"{best[metric][0]:.4f} at {best[metric][1]:.1f} |" if metric in best else "|")
        for metric in METRICS
        for node in [summary[metric]]
    )
    PAGE.write_text(
        f"""# Membranes in electron microscopy

Written by `python benchmarks/bench_membranes.py DATA --work WORK`. DATA are {card.training.cases + len(masks)} of the
sections of the ISBI 2012 challenge that have labels, 512 x 512 pixels. The U-Net of `configs/membranes.yaml` was
trained on {card.training.cases} of them ({card.training.duration}, on a shared CPU) and measured on the {len(masks)}
that its split holds out ({card.validation.split}).

V_rand and V_info are the challenge's figures, [restricted to the foreground and after thinning the predicted
membranes](../reference/metrics.md#partitions), by `medseg evaluate --set membranes=true`. They are of the label map,
where a pixel is membrane if that is the likelier class. The challenge takes the best of all thresholds of the
probability; the last column has that.

| figure | mean | 95% interval over sections | best threshold |
|---|---|---|---|
{rows}

The challenge measured on 30 other sections, whose labels it never gave out, and its entrants trained on all 30 with
labels. So its figures and these are of the same quantity, on other sections after less training.
""",
        encoding="utf-8",
    )
    print(PAGE)


if __name__ == "__main__":
    main()
