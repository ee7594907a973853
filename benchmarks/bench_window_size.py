"""Larger windows than those a network was trained with: what they save and cost, on cases it has not seen.

    python benchmarks/bench_window_size.py MODEL DATASET --trained-on FOLDER [--table docs/benchmarks/window-size.md]

MODEL is a package trained on FOLDER, a dataset in the Decathlon's layout without some cases of DATASET; `medseg train`
on what `benchmarks/bench_ten_minutes.py --withhold 52` leaves makes one. Those cases are segmented by OpenVINO in
float32, and Dice is compared case by case with the default. The boundary entropy of the same cases, and of as many that
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


def mean_dice(found: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes that the reference holds."""
    values = [value for value in np.unique(truth) if value]
    return float(np.mean([dice(found == value, truth == value) for value in values]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--trained-on", type=Path, required=True)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    options = parser.parse_args()
    trained = {path.name for path in (options.trained_on / "imagesTr").iterdir()}
    every = sorted((options.dataset / "imagesTr").glob("*.nii.gz"))
    unseen = [path for path in every if path.name not in trained]
    seen = [path for path in every if path.name in trained][: len(unseen)]
    package = load_package(options.model)
    fixed = {"device": "cpu", "engine": "openvino", "precision": "float32"}
    predictors = {name: Predictor(package, InferOptions(**fixed, **way)) for name, way in WAYS.items()}
    found: dict[str, list[float]] = {name: [] for name in WAYS}
    seconds, entropy = dict.fromkeys(WAYS, 0.0), {"not seen": [], "trained on": []}
    for path in unseen:
        scan, truth = load_scan(path), np.asarray(nib.load(options.dataset / "labelsTr" / path.name).dataobj)
        for name, predictor in predictors.items():
            begun = time.process_time()
            prediction = predictor.segment(scan)
            seconds[name] += time.process_time() - begun
            found[name].append(mean_dice(prediction.labels.array, truth))
            if name == "default":
                entropy["not seen"].append(mean_boundary_entropy(prediction))
    entropy["trained on"] = [mean_boundary_entropy(predictors["default"].segment(load_scan(path))) for path in seen]
    rows = {}
    for name in WAYS:
        loss = np.subtract(found[name], found["default"])
        error = loss.std(ddof=1) / len(loss) ** 0.5
        rows[name] = [
            f"{seconds[name] / len(unseen):.2f}",
            f"{np.mean(found[name]):.4f}",
            f"{loss.mean():+.4f} ± {error:.4f}",
        ]
    table = markdown.table(["CPU-s a case", "mean Dice", "against the default"], rows)
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
                table,
                "Entropy along the boundaries of the result, with the default:",
                entropies,
            ],
        )


if __name__ == "__main__":
    main()
