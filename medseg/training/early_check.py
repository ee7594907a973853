"""Checks a configuration before any data is read, the network it names too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg import resources
from medseg.config.load import apply_overrides, build, merged, read_yaml, under, unknown_value, without_null
from medseg.config.purpose import check_purpose
from medseg.data.description import DatasetDescription, described
from medseg.errors import ConfigError
from medseg.models.registry import find_family, network_names
from medseg.training.config import PlanConfig, SplitConfig, TrainConfig

# In place of a plan, to check all other keys.
UNPLANNED = {"input": {"channels": [{"name": "any"}], "patch": [16, 16, 16]}, "network": {"name": "unet"}, "epochs": 1}


def check_early(values: Mapping[str, Any], *, where: object = None) -> TrainConfig:
    """Refuse values that no training can have, whatever the plan adds; raises `ConfigError`.

    Returns the configuration, in which what the plan will add is a placeholder.
    """
    made = build(TrainConfig, merged(UNPLANNED, without_null(values)), where=where)
    check_network(values, where=where)
    return made


@dataclass(frozen=True)
class Stated:
    """What a configuration states before anything is planned: about the dataset, its split, and the plan."""

    dataset: DatasetDescription | None
    split: SplitConfig
    plan: PlanConfig


def stated(config: str | Path | None, settings: Sequence[str] = ()) -> Stated:
    """What a configuration, by its shipped name or path, states before anything is planned; all of it is checked."""
    path = None if config is None else resources.find("configs", config)
    read = {} if path is None else read_yaml(path)
    if config is not None:
        check_purpose(read, "training", name=config)
    values = apply_overrides(read, settings)
    made = check_early(values, where=path)
    return Stated(described(values), made.split, made.plan)


def check_network(values: Mapping[str, Any], *, where: object = None) -> None:
    """Check a network, where it is named, and its arguments; raises `ConfigError`."""
    network = under(values, "network", where=where)
    if "name" not in network:
        return
    name = network["name"]
    if name not in network_names():
        raise unknown_value(values, ["network", "name"], network_names(), where=where)
    family = find_family(name)
    dimensions = network.get("dimensions", 3)
    if dimensions not in family.dimensions:
        possible = " or ".join(map(str, family.dimensions))
        raise ConfigError(
            f"network.dimensions: {name} has {possible} spatial dimensions, not {dimensions}",
            where=where,
            fix=f"Use {possible}, or another network.",
        )
    inside = f"network {name}, arguments" if where is None else f"{where}: network {name}, arguments"
    build(family.arguments, under(network, "arguments"), where=inside)
