"""Engines side by side on one window of each model: CPU time, what making one takes, and whether labels agree.

    python benchmarks/bench_engines.py [--models hippocampus nuclei] [--runs 5] [--table docs/benchmarks/engines.md]

One process and thread, the engines in turns, the fastest run of each. PyTorch is measured as it chooses its
convolutions by itself, too. `ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell` before the
command holds PyTorch, OpenVINO and the product of matrices to AVX2. ONNX Runtime is measured where it is installed.

Beside the time stands how many of the network's multiply-adds that is a second. A large product of matrices in float32
shows how many the CPU can do: no float32 convolution that does them all is faster, whatever the engine.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import markdown
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from medseg.cpu_features import has_bfloat16
from medseg.infer.engines import torch as torch_engine
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.engines.select import MODULES, Candidate, make_engine
from medseg.infer.options import InferOptions
from medseg.models.card import ModelCard
from medseg.models.package import load_package
from medseg.models.registry import build_network

BY_ITSELF = "torch float32, its own choice of convolutions"


def candidates() -> dict[str, Candidate]:
    """What can be measured on this machine."""
    precisions = ("float32", "bfloat16") if has_bfloat16() else ("float32",)
    found = {str(one): one for p in precisions for one in (Candidate("torch", p), Candidate("openvino", p))}
    if find_spec(MODULES["onnx"]):
        found["onnx float32"] = Candidate("onnx")
    return {BY_ITSELF: Candidate("torch"), **found}


def multiply_adds(card: ModelCard) -> float:
    """Multiply-adds of one window, in billions; nothing is computed."""
    given = card.network
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network = build_network(
            given.name, channels=card.channels, classes=card.n_outputs, dimensions=given.dimensions,
            arguments=given.arguments,
        ).eval()  # fmt: skip
        network(torch.zeros(1, card.channels, *card.input.patch[: given.dimensions]))
    return counter.get_total_flops() / 2e9


def product_rate(runs: int, size: int = 1536) -> float:
    """Billions of multiply-adds a second in the product of two matrices, the fastest run."""
    matrix, seconds = np.random.default_rng(0).random((size, size), np.float32), []
    for _ in range(runs):
        begun = time.process_time()
        matrix @ matrix
        seconds.append(time.process_time() - begun)
    return size**3 / min(seconds) / 1e9


def measure(model: str, runs: int) -> dict[str, list[object]]:
    """Rows of the table: CPU-s to make and of a window, multiply-adds a second, voxels labeled unlike by the first."""
    package = load_package(model)
    card = package.card
    window = np.random.default_rng(0).standard_normal((1, card.channels, *card.input.patch), np.float32)
    rows: dict[str, list[object]] = {}
    expected, work = None, multiply_adds(card)
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
        rows[f"{package.identity.name}, {name}"] = [
            f"{made:.2f}", f"{min(seconds):.3f}", f"{work / min(seconds):.1f}",
            f"{np.count_nonzero(labels != expected)} of {labels.size}"
        ]  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["hippocampus", "nuclei"], help="names or folders of packages")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--table", type=Path, help="write the page of the documentation")
    options = parser.parse_args()
    rows = {name: row for model in options.models for name, row in measure(model, options.runs).items()}
    columns = ["CPU-s to make", "CPU-s a window", "billion multiply-adds a second", "voxels with another label"]
    table = markdown.table(columns, rows)
    rate = (
        f"The product of two matrices of float32: {product_rate(5 * options.runs):.1f} billion multiply-adds a second."
    )
    print(table, rate, sep="\n\n")
    if options.table:
        text = (
            "Written by `python benchmarks/bench_engines.py`, whose head says how. A float32 convolution "
            "that does all of its multiply-adds cannot do more of them a second than the product of matrices below."
        )
        markdown.write(options.table, "Engines on a CPU", [text, table, rate])


if __name__ == "__main__":
    main()
