"""Builds what a run trains with: the network and the loop."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from medseg.data.dataset import Dataset
from medseg.errors import ConfigError
from medseg.models.registry import build_network, load_pretrained
from medseg.training.config import TrainConfig
from medseg.training.device import choose_dtype, memory_format
from medseg.training.distributed import ALONE, Processes
from medseg.training.loop import Loop
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.inputs import Material
from medseg.training.samples.patches import Patches
from medseg.training.samples.prepared import IGNORED, PreparedCase
from medseg.training.warm_start import load_start

__all__ = ["build_loop"]

log = logging.getLogger("medseg.train")


def build_loop(
    material: Material,
    config: TrainConfig,
    device: torch.device,
    out: Path,
    processes: Processes = ALONE,
    clock: Callable[[], float] = time.monotonic,
) -> Loop:
    """Build the network and the loop that trains it, or goes on with the checkpoint in `out`.

    Parameters
    ----------
    material, config
        What to train on, and how.
    device : torch.device
        Where.
    out : Path
        The run's folder.
    processes : Processes
        Those that train it together.
    clock : callable
        Seconds of which the time budget speaks.

    Raises
    ------
    ConfigError
        When the patch does not fit the network, or `out` holds a run of another configuration.
    """
    data, cases = material.data, material.cases
    channels = len(data.channels) + (0 if material.first is None else len(material.first.values))
    torch.manual_seed(config.seed)
    network = build_network(
        config.network.name,
        channels=channels,
        classes=data.scores,
        dimensions=config.network.dimensions,
        arguments=config.network.arguments,
    )
    _check_patch(network, config)
    if not (out / "checkpoint.pt").is_file():
        load_pretrained(network)
        if config.start is not None:
            load_start(network, config.start, classes=data.scores)
    layout = memory_format(config.network.dimensions, network)
    network = network.to(device=device, memory_format=layout)  # type: ignore[call-overload]
    patches = Patches(
        cases,
        patch=config.input.patch,
        margin=config.sampling.margin,
        foreground=config.sampling.foreground,
        batch=config.sampling.batch,
        seed=config.seed,
        rank=processes.rank,
        count=processes.count,
    )
    augmentation = Augmentation(
        config.augment,
        patch=config.input.patch,
        spacing=_spacing(config, cases),
        classes=len(data.parts) + 1,
        seed=config.seed,
        intensities=len(data.channels),
    )
    loop = Loop(
        config,
        network,
        patches,
        augmentation,
        dtype=choose_dtype(config.precision, device),
        checkpoint=out / "checkpoint.pt",
        ignore=IGNORED if data.ignore_label is not None else None,
        members=_members(data),
        processes=processes,
        clock=clock,
    )
    if loop.resumed:
        log.info("going on from step %d", loop.step)
    return loop


def _members(data: Dataset) -> Tensor | None:
    """Which parts make which region, shape (parts + 1, regions); None where classes exclude each other."""
    if not data.regions:
        return None
    rows = [[float(part in members) for members in data.regions.values()] for part in (0, *data.parts)]
    return torch.tensor(rows)


def _check_patch(network: nn.Module, config: TrainConfig) -> None:
    multiple: tuple[int, ...] = network.multiple  # type: ignore[assignment]
    patch = config.input.patch[: len(multiple)]
    if any(n % m for n, m in zip(patch, multiple, strict=True)):
        fitting = [math.ceil(n / m) * m for n, m in zip(patch, multiple, strict=True)]
        raise ConfigError(
            f"a patch of {list(patch)} voxels does not fit the network, which needs multiples of {list(multiple)}",
            where="input.patch",
            fix=f"Use {fitting}.",
        )


def _spacing(config: TrainConfig, cases: Sequence[PreparedCase]) -> tuple[float, float, float]:
    """Spacing the network sees: the configured one, or where that is left open the first case's."""
    x, y, z = config.input.spacing or (None, None, None)
    own = cases[0].facts.spacing
    return x or own[0], y or own[1], z or own[2]
