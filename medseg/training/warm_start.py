"""Starts from a model package: its input and network for the configuration, its weights for the network."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import nn

from medseg.errors import ModelError
from medseg.models.package import ModelPackage
from medseg.tracking.resolve import resolve_model

log = logging.getLogger("medseg.train")

# Keys of an input card that belong to the data a model was trained on, not to how its network is used.
OF_THE_DATA = ("body_parts", "accepts", "expected_extent_mm", "expected_spacing", "mirror_axes", "mirror_sides")


def start_values(package: ModelPackage, where: str) -> dict[str, Any]:
    """Values of a configuration that fine-tunes a package, found again as `where`: its network and that one's input."""
    card = package.card.model_dump(mode="json", exclude_defaults=True)
    shown = {key: value for key, value in card["input"].items() if key not in OF_THE_DATA}
    return {"input": shown, "network": card["network"], "start": where}


def load_start(network: nn.Module, where: str, *, classes: int) -> None:
    """Load the weights of the package `where` into a network of the same kind; `classes` counts the background too.

    Where the classes differ in number, the layers that give their scores keep their random start; all else must fit.
    """
    package = resolve_model(where)
    weights = package.weights()
    own = network.state_dict()
    missing = sorted(set(own) ^ set(weights))
    if missing:
        raise ModelError(
            f"the package holds weights of another network ('{missing[0]}' is in one of the two only)",
            where=package.folder,
            fix="Omit network from the configuration, so that the package's is used.",
        )
    before = len(package.card.classes) + 1
    fresh = [name for name, value in weights.items() if value.shape != own[name].shape]
    for name in fresh:
        old, new = list(weights[name].shape), list(own[name].shape)
        if before == classes or old[0] != before or new[0] != classes or old[1:] != new[1:]:
            raise ModelError(
                f"the package holds weights of another network ('{name}' is {old}, not {new})",
                where=package.folder,
                fix="Omit network and input from the configuration, so that the package's are used.",
            )
    with torch.no_grad():
        for name, value in weights.items():
            if name not in fresh:
                own[name].copy_(value)
    heads = f"; {len(fresh)} output tensors of the {classes} classes start at random" if fresh else ""
    log.info("Fine-tuning %s%s.", package.identity, heads)
