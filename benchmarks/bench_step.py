"""A training step on a CPU by each way of computing it, beside PyTorch's own convolutions.

    python benchmarks/bench_step.py [--steps 8]
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 python benchmarks/bench_step.py

Forward pass, loss and backward pass of 2 patches of 32 x 40 x 32 voxels by the network that `medseg train` plans for
the hippocampus on a CPU. All ways take turns in one process. CPU seconds and wall time are the least of all steps;
other programs count little in CPU seconds, while wall time needs a machine with nothing beside. The second command
simulates a CPU that has AVX2 only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from unittest import mock

import torch
from markdown import machine

from medseg.models.registry import build_network
from medseg.training import cpu_parallel
from medseg.training.cpu_parallel import SideBySide, one_thread
from medseg.training.device import memory_format, possible_dtypes
from medseg.training.losses import segmentation_loss

PATCH, BATCH = (32, 40, 32), 2
ARGUMENTS = {"features": [16, 32, 64, 128], "deep_supervision": True}


@contextlib.contextmanager
def by_pytorch() -> Iterator[None]:
    """Inside, convolutions are those that PyTorch chooses by itself."""
    with mock.patch.object(cpu_parallel, "InOneDnn", contextlib.nullcontext):
        yield


def ways(network: torch.nn.Module) -> dict[str, Callable[[], None]]:
    images = torch.randn(BATCH, 1, *PATCH).contiguous(memory_format=memory_format(3))
    labels = torch.randint(0, 3, (BATCH, *PATCH))

    def step(passes: SideBySide) -> None:
        network.zero_grad()
        with one_thread():
            passes.backward(images, lambda scores: segmentation_loss(scores, labels))

    found: dict[str, Callable[[], None]] = {}
    split = SideBySide(network, torch.float32, BATCH)

    def as_before() -> None:
        with by_pytorch():
            step(split)

    found["side by side, float32, PyTorch's convolutions"] = as_before
    found["side by side, float32"] = lambda: step(split)
    whole = SideBySide(network, torch.float32, 1, BATCH)
    found["the batch as a whole, float32"] = lambda: step(whole)
    if torch.bfloat16 in possible_dtypes("auto", torch.device("cpu")):
        half = SideBySide(network, torch.bfloat16, BATCH)
        found["side by side, bfloat16"] = lambda: step(half)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(BATCH)
    network = build_network("unet", channels=1, classes=3, dimensions=3, arguments=ARGUMENTS)
    network = network.to(memory_format=memory_format(3)).train()  # type: ignore[call-overload]
    best: dict[str, tuple[float, float]] = {}
    tried = ways(network)
    for _ in range(chosen.steps):
        for name, step in tried.items():
            cpu, wall = time.process_time(), time.perf_counter()
            step()
            now = time.process_time() - cpu, time.perf_counter() - wall
            best[name] = tuple(map(min, now, best.get(name, now)))  # type: ignore[assignment]
    print(f"{machine()}, {BATCH} threads")
    print("\n| | CPU-s a step | of the first | wall s |\n|---|---|---|---|")
    before = next(iter(best.values()))[0]
    for name, (cpu, wall) in best.items():
        print(f"| {name} | {cpu:.3f} | {before / cpu:.1f} times as fast | {wall:.3f} |")
    print(json.dumps(best))


if __name__ == "__main__":
    main()
