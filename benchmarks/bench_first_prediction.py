"""What the first prediction on a machine costs, imports and all, where nothing of medseg was kept before.

python benchmarks/bench_first_prediction.py [--scan CROP] [--repeats 5] [--out docs/benchmarks/first-prediction.md]

`medseg predict CROP --model hippocampus`, each time with a new, empty home of medseg's (`MEDSEG_HOME`): engines are
measured, the shipped network is loaded, MLflow's database is made. Then the same again with what the first left. As the
CPU is, and held to AVX2. The modules are compiled before. CPU seconds are those of all processes together.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from bench_large_ct import measure_process
from markdown import load, table, write

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "hippocampus" / "imagesTr"
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
COLUMNS = ["CPU-s", "wall s", "GB of the largest process"]


def predict(scan: Path, folder: Path, limits: dict[str, str]) -> dict[str, float]:
    """Run one prediction with a home in a folder."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    line = [
        sys.executable,
        "-m",
        "medseg",
        "predict",
        str(scan),
        "--model",
        "hippocampus",
        "--out",
        str(folder / "out"),
    ]
    return measure_process(line, {**os.environ, "MEDSEG_HOME": str(folder / "home"), **limits})


def row(runs: list[dict[str, float]]) -> list[str]:
    """Medians of runs, the lowest and the highest in brackets."""
    columns = [[run[key] for run in runs] for key in ("cpu_s", "wall_s", "peak_gb")]
    return [f"{statistics.median(values):g} ({min(values):g} to {max(values):g})" for values in columns]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scan", type=Path, default=DATA / "hippocampus_001.nii.gz")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = {}
    for name, limits in {"as the CPU is": {}, "held to AVX2": AVX2}.items():
        first, again = [], []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory() as folder:
                first.append(predict(options.scan, Path(folder), limits))
                again.append(predict(options.scan, Path(folder), limits))
        rows[f"first, {name}"], rows[f"second, {name}"] = row(first), row(again)
    print(table(COLUMNS, rows))
    if options.out:
        text = (
            f"`medseg predict` of one hippocampus crop with the shipped model, by `python "
            f"benchmarks/bench_first_prediction.py`: everything from start to exit, the median of {options.repeats} "
            "runs. First: with an empty home of medseg's, so that engines are measured and MLflow's database is made. "
            "Second: with what the first left there."
        )
        write(options.out, "The first prediction on a machine", [text, table(COLUMNS, rows), load()])


if __name__ == "__main__":
    main()
