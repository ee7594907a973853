"""Puts a run's configuration together: a file, what `--set` changes, what the options say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg import resources
from medseg.config.load import apply_overrides, build, read_yaml
from medseg.errors import UsageError
from medseg.train.config import TrainConfig

__all__ = ["configure", "seconds_of"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def configure(
    dataset: Path,
    config: str | None,
    overrides: Sequence[str] = (),
    *,
    time_budget: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
) -> TrainConfig:
    """Read and check a run's configuration.

    Parameters
    ----------
    dataset : Path
        What will be trained on.
    config : str, optional
        Name of a shipped configuration or path of a file.
    overrides : sequence of str
        ``a.b=c``.
    time_budget, epochs, seed
        As the options of the same names. A time budget given without epochs takes the place of the file's epochs.

    Raises
    ------
    ConfigError, UsageError
        Naming the key.
    """
    if config is None:
        raise UsageError("no configuration given", where="--config", fix="Use for instance --config hippocampus.")
    path = resources.find("configs", config)
    values = apply_overrides(read_yaml(path), overrides)
    if time_budget is not None:
        values["time_budget"] = seconds_of(time_budget)
        values["epochs"] = epochs
    elif epochs is not None:
        values["epochs"] = epochs
    if seed is not None:
        values["seed"] = seed
    return build(TrainConfig, _without_null(values), where=path)


def seconds_of(duration: str) -> float:
    """Seconds of ``90s``, ``20m``, ``1.5h``, ``2d`` or a bare number of seconds.

    Raises
    ------
    UsageError
        When it is none of these, or not positive.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", duration.lower())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"'{duration}' is not a length of time", where="--time-budget", fix="Write 90s, 20m or 1.5h.")
    return float(match[1]) * _UNITS[match[2] or "s"]


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
