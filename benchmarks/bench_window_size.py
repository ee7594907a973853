"""Larger windows than those a network was trained with: what they save and cost, on cases it has not seen.

    python benchmarks/bench_window_size.py MODEL DATASET --trained-on FOLDER [--fine-tuned MODEL]
        [--table docs/benchmarks/window-size.md]

MODEL is a package trained on FOLDER, a dataset in the Decathlon's layout without some cases of DATASET; `medseg train`
on what `benchmarks/bench_ten_minutes.py --withhold 52` leaves makes one. Those cases are segmented by OpenVINO in
float32, and Dice is compared case by case with the default. `--fine-tuned` is MODEL after more steps on larger patches:
its windows are measured beside. The boundary entropy of the same cases, and of as many that
were trained on, says how far the gate's limit for a result (`medseg/infer/gate/result.py`) must lie above the entropy
of the training's cases.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import markdown
import nibabel as nib
import numpy as np

from medseg.infer.gate.result import mean_boundary_entropy
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.read import load_scan
from medseg.models.package import load_package
from medseg.training.selection.validate import dice

WAYS = {
    "default": {},
    "not mirrored": {"mirror": "none"},
    "larger windows, not mirrored (`--fast`)": {"mirror": "none", "overlap": 0.25, "larger_windows": True},
    "larger windows, mirrored": {"overlap": 0.25, "larger_windows": True},
}


def dice_by_class(found: np.ndarray, truth: np.ndarray) -> list[float]:
    """Dice of anterior and posterior hippocampus, which every reference of the task holds."""
    return [dice(found == value, truth == value) for value in (1, 2)]


def predictors_of(model: Path, start: str) -> dict[str, Predictor]:
    """A predictor for each way; how their names start."""
    package = load_package(model)
    fixed = {"device": "cpu", "engine": "openvino", "precision": "float32"}
    return {start + name: Predictor(package, InferOptions(**fixed, **way)) for name, way in WAYS.items()}


def made(model: Path) -> str:
    """How a model was trained."""
    training = load_package(model).card.training
    return f"`{training.command}`: {training.duration}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--trained-on", type=Path, required=True)
    parser.add_argument("--fine-tuned", type=Path, help="MODEL after more steps on larger patches")
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    options = parser.parse_args()
    trained = {path.name for path in (options.trained_on / "imagesTr").iterdir()}
    every = sorted((options.dataset / "imagesTr").glob("*.nii.gz"))
    unseen = [path for path in every if path.name not in trained]
    seen = [path for path in every if path.name in trained][: len(unseen)]
    predictors = predictors_of(options.model, "")
    if options.fine_tuned:
        predictors |= predictors_of(options.fine_tuned, "fine-tuned on larger patches, ")
    found: dict[str, list[list[float]]] = {name: [] for name in predictors}
    defaults = {name: predictor for name, predictor in predictors.items() if name.endswith("default")}
    seconds = dict.fromkeys(predictors, 0.0)
    entropy = {f"{name}, {kind}": [] for name in defaults for kind in ("not seen", "trained on")}
    for path in unseen:
        scan, truth = load_scan(path), np.asarray(nib.load(options.dataset / "labelsTr" / path.name).dataobj)
        for name, predictor in predictors.items():
            begun = time.process_time()
            prediction = predictor.segment(scan)
            seconds[name] += time.process_time() - begun
            found[name].append(dice_by_class(prediction.labels.array, truth))
            if name in defaults:
                entropy[f"{name}, not seen"].append(mean_boundary_entropy(prediction))
    for name, predictor in defaults.items():
        entropy[f"{name}, trained on"] = [mean_boundary_entropy(predictor.segment(load_scan(path))) for path in seen]
    rows = {}
    for name in predictors:
        loss = np.subtract(found[name], found["default"]).mean(axis=1)
        error = loss.std(ddof=1) / len(loss) ** 0.5
        rows[name] = [
            f"{seconds[name] / len(unseen):.2f}",
            f"{np.mean(found[name]):.4f}",
            *(f"{value:.4f}" for value in np.mean(found[name], axis=0)),
            f"{loss.mean():+.4f} ± {error:.4f}",
        ]
    table = markdown.table(["CPU-s a case", "mean Dice", "anterior", "posterior", "against the default"], rows)
    entropies = markdown.table(
        ["cases", "mean", "largest"],
        {name: [len(values), f"{np.mean(values):.3f}", f"{max(values):.3f}"] for name, values in entropy.items()},
    )
    print(table, entropies, sep="\n\n")
    if options.table:
        markdown.write(
            options.table,
            "Windows larger than the network was trained with",
            [
                f"Written by `python benchmarks/bench_window_size.py`, whose head says how. {len(unseen)} cases of the "
                "Decathlon's hippocampus task that the model has not seen; standard error of the paired difference. "
                "CPU time is of one process beside other work, so that only ratios count.",
                *(made(model) for model in (options.model, options.fine_tuned) if model),
                table,
                "Entropy along the boundaries of the result:",
                entropies,
            ],
        )


if __name__ == "__main__":
    main()
