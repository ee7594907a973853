"""Builds what a run trains with: the cases, the network, the loop."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from medseg.data.dataset import Dataset
from medseg.data.splits import Split
from medseg.errors import ConfigError, InputError
from medseg.models.registry import build_network, load_pretrained
from medseg.train.augment import Augmentation
from medseg.train.config import TrainConfig
from medseg.train.device import choose_dtype, memory_format
from medseg.train.loop import Loop
from medseg.train.patches import Patches
from medseg.train.prepared import IGNORED, PreparedCase, prepare_cases
from medseg.train.start import load_start

__all__ = ["build_loop", "cases_to_train", "check_fits"]

log = logging.getLogger("medseg.train")


def check_fits(data: Dataset, config: TrainConfig) -> None:
    """Refuse a configuration for other channels or classes than the dataset has.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    if len(config.input.channels) != len(data.channels):
        raise ConfigError(
            f"{len(config.input.channels)} channels in the configuration, {len(data.channels)} in the dataset",
            where="input.channels",
        )
    unknown = sorted(set(config.classes) - {c.name for c in data.table})
    if unknown:
        raise ConfigError(
            f"the dataset has no class '{unknown[0]}'",
            where="classes",
            fix=f"It has {', '.join(c.name for c in data.table)}.",
        )


def cases_to_train(
    data: Dataset, split: Split, config: TrainConfig, folder: Path, blocked: dict[str, str]
) -> tuple[list[PreparedCase], dict[str, str]]:
    """Prepare the cases a run trains on.

    Parameters
    ----------
    data, split, config
        Of the run.
    folder : Path
        Where prepared cases are kept.
    blocked : dict of str to str
        Cases the audit blocks, and why.

    Returns
    -------
    tuple of list of PreparedCase and dict of str to str
        The cases, and why others of the dataset are left out.

    Raises
    ------
    InputError
        When no case is left.
    """
    wanted = [case for case in data.labelled if case.case_id in split.train]
    log.info("preparing %d cases; %d more are held out (%s)", len(wanted), len(split.validation), split.name)
    cases, failed = prepare_cases(data, wanted, config.input, folder)
    left_out = {**blocked, **failed}
    if not cases:
        first = next(iter(left_out.values()), "there is no labelled case")
        raise InputError(f"no case can be trained on; the first: {first}", where=data.folder)
    return cases, left_out


def build_loop(
    data: Dataset, cases: Sequence[PreparedCase], config: TrainConfig, device: torch.device, out: Path
) -> Loop:
    """Build the network and the loop that trains it, or goes on with the checkpoint in `out`.

    Parameters
    ----------
    data, cases, config
        What to train on, and how.
    device : torch.device
        Where.
    out : Path
        The run's folder.

    Raises
    ------
    ConfigError
        When the patch does not fit the network, or `out` holds a run of another configuration.
    """
    classes = len(data.table) + 1
    torch.manual_seed(config.seed)
    network = build_network(
        config.network.name,
        channels=len(data.channels),
        classes=classes,
        dimensions=config.network.dimensions,
        arguments=config.network.arguments,
    )
    _check_patch(network, config)
    if not (out / "checkpoint.pt").is_file():
        load_pretrained(network)
        if config.start is not None:
            load_start(network, config.start, classes=classes)
    network = network.to(device=device, memory_format=memory_format(config.network.dimensions))  # type: ignore[call-overload]
    patches = Patches(
        cases,
        patch=config.input.patch,
        margin=config.sampling.margin,
        foreground=config.sampling.foreground,
        batch=config.sampling.batch,
        seed=config.seed,
    )
    augmentation = Augmentation(
        config.augment, patch=config.input.patch, spacing=_spacing(config, cases), classes=classes, seed=config.seed
    )
    loop = Loop(
        config,
        network,
        patches,
        augmentation,
        dtype=choose_dtype(config.precision, device),
        checkpoint=out / "checkpoint.pt",
        ignore=IGNORED if data.ignore_label is not None else None,
    )
    if loop.resumed:
        log.info("going on from step %d", loop.step)
    return loop


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
