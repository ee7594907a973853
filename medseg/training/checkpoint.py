"""Resumable state of a run on disk: written whole or not at all, read without running foreign code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from medseg.errors import InputError
from medseg.io.files.atomic import atomic_path

__all__ = ["read_checkpoint", "write_checkpoint"]

FORMAT = 1


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
        raise InputError("the checkpoint is of another version of medseg", where=path, fix="Train into another --out.")
    return state
