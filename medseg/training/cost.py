"""Predicts what a configuration needs: memory by counting, time by trying on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medseg.data.topology import Topology, feature_voxels
from medseg.models.registry import build_network
from medseg.training.config import TrainConfig
from medseg.training.cpu_parallel import SideBySide, one_thread
from medseg.training.device import choose_device, choose_dtype, memory_format
from medseg.training.losses import segmentation_loss
from medseg.training.step_method import LIMIT, step_methods

# Bytes for each number a network keeps for the backward pass: its value, its gradient and what normalization and
# activation keep beside it, in a mixture of 16 and 32 bits. nnU-Net's 1.12e9 numbers in 8 GB come to 7.
BYTES_A_NUMBER = 7
# Weights, gradients, two moments and the moving average, in 32 bits.
BYTES_A_WEIGHT = 20
# A trial is made on a patch of at most so many numbers and scaled up by voxels.
TRIAL = 20_000_000
TRIALS = 3


@dataclass(frozen=True)
class Cost:
    """What a configuration needs: memory of the device, time on it, and number of weights."""

    gigabytes: float
    seconds_a_step: float
    seconds_an_epoch: float
    device: str
    weights: int

    def __str__(self) -> str:
        return (
            f"about {self.gigabytes:.1f} GB of memory; {self.seconds_a_step:.2g} s a step and "
            f"{self.seconds_an_epoch / 60:.1f} minutes an epoch on {self.device}; {self.weights / 1e6:.1f} M weights"
        )


def predict_cost(config: TrainConfig, classes: int, *, device: str = "auto") -> Cost:
    """Predict memory and time of a U-Net whose arguments name strides and kernels, as plans do.

    `classes` counts the background too.
    """
    chosen = choose_device(device)
    arguments = config.network.arguments
    dimensions = config.network.dimensions
    patch = config.input.patch[:dimensions]
    features = arguments["features"]
    strides = tuple(tuple(s) for s in arguments["strides"])
    kept = feature_voxels(Topology(patch, strides, ()), features, classes)
    network = build_network(
        config.network.name,
        channels=len(config.input.channels),
        classes=classes,
        dimensions=dimensions,
        arguments=arguments,
    )
    weights = sum(p.numel() for p in network.parameters())
    layout = memory_format(dimensions)
    network = network.to(device=chosen, memory_format=layout).train()  # type: ignore[call-overload]
    tried, multiple = list(patch), tuple(math.prod(s[axis] for s in strides) for axis in range(dimensions))
    while kept * math.prod(tried) / math.prod(patch) > TRIAL:
        axis = max(range(dimensions), key=lambda a: tried[a] / multiple[a])
        if tried[axis] <= multiple[axis]:
            break
        tried[axis] = max(multiple[axis], tried[axis] // 2 // multiple[axis] * multiple[axis])
    count = config.sampling.batch if chosen.type == "cpu" else 1
    images = torch.zeros(count, len(config.input.channels), *tried, device=chosen).contiguous(memory_format=layout)
    labels = torch.zeros(count, *tried, dtype=torch.long, device=chosen)
    trial = _trial_on_cpu if chosen.type == "cpu" else _trial_on_gpu
    patches = config.sampling.batch * config.sampling.accumulate / count
    step = trial(network, config, images, labels) * patches * math.prod(patch) / math.prod(tried)
    memory = kept * config.sampling.batch * BYTES_A_NUMBER + weights * BYTES_A_WEIGHT
    return Cost(memory / 1e9, step, step * config.iterations_per_epoch, str(chosen), weights)


def _trial_on_cpu(network: nn.Module, config: TrainConfig, images: Tensor, labels: Tensor) -> float:
    method = step_methods(network, config.network.name, len(images), config.precision)[0]
    passes = SideBySide(network, method.dtype, method.parts, method.threads)
    with one_thread():
        return _fastest(lambda: passes.backward(images, lambda scores: segmentation_loss(scores, labels)))


def _trial_on_gpu(network: nn.Module, config: TrainConfig, images: Tensor, labels: Tensor) -> float:
    dtype = choose_dtype(config.precision, images.device)

    def step() -> None:
        with torch.autocast(images.device.type, dtype, enabled=dtype != torch.float32):
            scores = network(images)
        segmentation_loss(scores, labels).backward()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(images.device)

    return _fastest(step)


def _fastest(step: Callable[[], object]) -> float:
    """Seconds of the fastest of a few steps, at least one after that which warms up, however long it takes."""
    step()
    seconds: list[float] = []
    while not seconds or (len(seconds) < TRIALS and sum(seconds) < LIMIT):
        before = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - before)
    return min(seconds)
