"""Resumable state of a run on disk: written whole or not at all, read without running foreign code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from medseg.errors import ConfigError, InputError
from medseg.io.files.atomic import atomic_path
from medseg.training.config import TrainConfig

FORMAT = 1
# What may be changed between two parts of one run, because no weight depends on it.
MAY_CHANGE = {
    "checkpoint_every",
    "tracking",
    "tracking_figures",
    "name",
    "title",
    "data",
    "license",
    "license_use",
    "limits",
    "version",
    "post",
}
# What may grow.
BOUNDS = {"time_budget", "epochs"}


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers and text; on a crash the checkpoint before this one is still there."""
    with atomic_path(path) as part, part.open("wb") as stream:
        torch.save({"format": FORMAT, **state}, stream)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; one that is damaged, of another format or holds anything but data is an error."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"the checkpoint is corrupted ({type(error).__name__})",
            where=path,
            fix="Delete it to restart this run, or put back a copy.",
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError("another version of medseg wrote the checkpoint", where=path, fix="Train into another --out.")
    return state


def check_same(stored: TrainConfig, config: TrainConfig, out: Path) -> None:
    """Refuse to resume the run in a folder by another configuration; a longer one is the same."""
    old = stored.as_parameters()
    differing = [
        f"{key} ({old.get(key)!r}, now {new!r})"
        for key, new in config.as_parameters().items()
        if old.get(key) != new and key not in MAY_CHANGE and not (key in BOUNDS and _longer(old.get(key), new))
    ]
    if differing:
        raise ConfigError(
            f"the run in this folder was started with another configuration: {', '.join(differing[:3])}",
            where=out,
            fix="Choose another --out, or the same configuration; only the time budget and epochs may grow.",
        )


def _longer(old: float | None, new: float | None) -> bool:
    return old is not None and new is not None and new > old
