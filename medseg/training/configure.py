"""Puts a run's configuration together: the plan, a file, what `--set` changes, what the options say."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseg import resources
from medseg.config.load import apply_overrides, build, merged, read_yaml
from medseg.data.description import DatasetDescription, described
from medseg.data.examine import examine
from medseg.data.fingerprint import Fingerprint, take_fingerprint
from medseg.data.layouts import read_dataset
from medseg.data.plan import Plan, make_plan
from medseg.data.plan_text import plan_text
from medseg.data.splits import split_cases
from medseg.errors import UsageError
from medseg.io.files.atomic import write_text
from medseg.tracking.resolve import resolve_model
from medseg.training.audit_run import audit_for_run
from medseg.training.config import SplitConfig, TrainConfig
from medseg.training.warm_start import start_values

__all__ = ["configure", "fitting_preset", "plan_dataset", "seconds_of"]

log = logging.getLogger("medseg.train")

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# What a configuration must say; where it does not, the dataset is planned.
PLANNED = ("input", "network")


def configure(
    dataset: Path,
    config: str | None,
    overrides: Sequence[str] = (),
    *,
    out: Path | None = None,
    device: str = "auto",
    time_budget: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    start: str | None = None,
    configuration: str | None = None,
) -> TrainConfig:
    """Read and check a run's configuration.

    A configuration that says nothing of input or network changes the plan made from the dataset's fingerprint; without
    any configuration the plan is all there is.

    Parameters
    ----------
    dataset : Path
        What will be trained on.
    config : str, optional
        Name of a shipped configuration or path of a file.
    overrides : sequence of str
        ``a.b=c``.
    out : Path, optional
        Where to leave ``plan.yaml`` and ``fingerprint.json``. A plan that lies there is used again.
    device : str
        The plan is made for it.
    time_budget, epochs, seed
        As the options of the same names.
    start : str, optional
        Name or path of a model package to go on from: its input and network take the place of the plan's.
    configuration : str, optional
        Which to plan, as for `make_plan`.

    Notes
    -----
    A time budget given without epochs takes the place of the file's epochs.

    Raises
    ------
    ConfigError, UsageError
        Naming the key.
    """
    path = None if config is None else resources.find("configs", config)
    values = {} if path is None else read_yaml(path)
    if any(key not in values for key in PLANNED):
        planned = _planned(dataset, apply_overrides(values, overrides), out, device, configuration)
        values = merged(planned, values)
    elif configuration is not None:
        raise UsageError(
            "the configuration says what input and network are",
            where="--configuration",
            fix="Leave out --configuration, or --config.",
        )
    start = start or values.get("start")
    if start is not None:
        own = {key: values[key] for key in PLANNED if path is not None and key in read_yaml(path)}
        values = {**values, **start_values(resolve_model(start), start), **own}
    values = apply_overrides(values, overrides)
    if time_budget is not None:
        values["time_budget"] = seconds_of(time_budget)
        values["epochs"] = epochs
    elif epochs is not None:
        values["epochs"] = epochs
    if seed is not None:
        values["seed"] = seed
    return build(TrainConfig, _without_null(values), where=path)


def plan_dataset(
    dataset: Path,
    *,
    preset: str,
    configuration: str | None = None,
    split: SplitConfig | None = None,
    out: Path | None = None,
    said: DatasetDescription | None = None,
) -> tuple[Plan, Fingerprint, str]:
    """Take the fingerprint of a dataset's training cases and plan.

    Parameters
    ----------
    dataset : Path
        In any layout.
    preset, configuration
        As `make_plan`.
    split : SplitConfig, optional
        Held-out cases are not looked at, so that nothing is decided by them.
    out : Path, optional
        A run's folder. With it the dataset is audited in the same reading, and blocked cases are not looked at either.
    said : DatasetDescription, optional
        What a configuration says of the dataset.

    Returns
    -------
    tuple of Plan, Fingerprint and str
        The plan, what it was made from, and its text.
    """
    data = read_dataset(dataset, said)
    chosen = split or SplitConfig()
    parted = split_cases(data.labeled, folds=chosen.folds, fold=chosen.fold, seed=chosen.seed)
    if out is None:
        examined = examine(data, [case for case in data.labeled if case.case_id in parted.train])
    else:
        found = audit_for_run(data, parted, out)
        wanted = set(parted.train) & set(found.clean)
        examined = (one for one in found.examined if one.case.case_id in wanted)
    seen = take_fingerprint(data, examined)
    plan = make_plan(data, seen, preset=preset, configuration=configuration)
    if said is not None:
        plan = replace(plan, values={**plan.values, "dataset": said.model_dump(mode="json", exclude_defaults=True)})
    command = f"medseg train {dataset} --config plan.yaml --out runs/{plan.values['name']}"
    return plan, seen, plan_text(plan, data, seen, command=command)


def fitting_preset(device: str) -> str:
    """Name of the largest preset that fits a device."""
    from medseg.data.presets import PRESETS
    from medseg.training.device import choose_device

    chosen = choose_device(device)
    if chosen.type != "cuda":
        return "cpu"
    import torch

    there = torch.cuda.get_device_properties(chosen).total_memory / 1e9
    sizes = {int(name.removesuffix("gb")): name for name in PRESETS if name.endswith("gb")}
    return sizes[max((size for size in sizes if size <= there * 1.05), default=min(sizes))]


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


def _planned(
    dataset: Path, values: Mapping[str, Any], out: Path | None, device: str, configuration: str | None
) -> dict[str, Any]:
    # One for each configuration, so that a plan of another is never taken for it.
    kept = None if out is None else out / f"plan{'' if configuration is None else f'-{configuration}'}.yaml"
    if kept is not None and kept.is_file():
        return read_yaml(kept)
    split = build(SplitConfig, values.get("split") or {}, where="split")
    preset = fitting_preset(device)
    log.info("planning for %s", preset)
    plan, seen, text = plan_dataset(
        dataset, preset=preset, configuration=configuration, split=split, out=out, said=described(values)
    )
    if kept is not None and out is not None:
        seen.write(out / "fingerprint.json")
        write_text(kept, text)
    return plan.values


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
