"""Engines side by side on one window of each shipped model: CPU time, what making one takes, and whether labels agree.

    python benchmarks/bench_engines.py [--runs 5] [--table docs/benchmarks/engines.md]

One process and thread, the engines in turns, the fastest run of each. PyTorch is measured as it chooses its
convolutions by itself, too. `ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2` before the command holds PyTorch and
OpenVINO to AVX2. ONNX Runtime is measured where it is installed.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

os.environ["OMP_NUM_THREADS"] = "1"

import markdown
import numpy as np

from medseg.cpu_features import has_bfloat16
from medseg.infer.engines import torch as torch_engine
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.engines.select import MODULES, Candidate, make_engine
from medseg.infer.options import InferOptions
from medseg.models.package import load_package

BY_ITSELF = "torch float32, its own choice of convolutions"


def candidates() -> dict[str, Candidate]:
    """What can be measured on this machine."""
    precisions = ("float32", "bfloat16") if has_bfloat16() else ("float32",)
    found = {str(one): one for p in precisions for one in (Candidate("torch", p), Candidate("openvino", p))}
    if find_spec(MODULES["onnx"]):
        found["onnx float32"] = Candidate("onnx")
    return {BY_ITSELF: Candidate("torch"), **found}


def measure(model: str, runs: int) -> dict[str, list[object]]:
    """Rows of the table: CPU-s to make, CPU-s of a window, voxels labeled otherwise than by the first."""
    package = load_package(model)
    card = package.card
    window = np.random.default_rng(0).standard_normal((1, card.channels, *card.input.patch), np.float32)
    rows: dict[str, list[object]] = {}
    expected = None
    for name, candidate in candidates().items():
        plain = mock.patch.object(torch_engine, "InOneDnn", nullcontext) if name == BY_ITSELF else nullcontext()
        with plain:
            begun = time.process_time()
            engine = make_engine(candidate, package, InferOptions(device="cpu"), find_export(package))
            made, seconds = time.process_time() - begun, []
            for _ in range(runs):
                begun = time.process_time()
                labels = engine.run(window).argmax(axis=1)
                seconds.append(time.process_time() - begun)
        expected = labels if expected is None else expected
        rows[f"{model}, {name}"] = [
            f"{made:.2f}", f"{min(seconds):.3f}", f"{np.count_nonzero(labels != expected)} of {labels.size}"
        ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    options = parser.parse_args()
    rows = {name: row for model in ("hippocampus", "nuclei") for name, row in measure(model, options.runs).items()}
    table = markdown.table(["CPU-s to make", "CPU-s a window", "voxels with another label"], rows)
    print(table)
    if options.table:
        text = "Written by `python benchmarks/bench_engines.py`, whose head says how. To make one includes imports."
        markdown.write(options.table, "Engines on a CPU", [text, table])


if __name__ == "__main__":
    main()
