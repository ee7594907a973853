"""Starts from a model package: its input and network for the configuration, its weights for the network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.package import ModelPackage

log = logging.getLogger("medseg.train")

# Keys of an input card that belong to the data a model was trained on, not to how its network is used.
OF_THE_DATA = ("body_parts", "accepts", "expected_extent_mm", "expected_spacing", "mirror_axes", "mirror_sides")


def start_values(package: ModelPackage, where: str) -> dict[str, Any]:
    """Values of a configuration that fine-tunes a package, found again as `where`: its network and that one's input.

    Of a package that learned from numbered objects the width of their borders too, which the new objects are to have.
    """
    card = package.card.model_dump(mode="json", exclude_defaults=True)
    shown = {key: value for key, value in card["input"].items() if key not in OF_THE_DATA}
    border = package.card.training.border_mm
    objects = {} if border is None else {"border_mm": border}
    return {"input": shown, "network": card["network"], "start": where, **objects}


def load_start(
    network: nn.Module, package: ModelPackage, rows: Sequence[int | None], rebuilt: Callable[[int], nn.Module]
) -> None:
    """Load the weights of a package into a network of the same kind.

    - `rows`: for each output of the network, the package's output whose weights it starts from; None starts at random.
    - `rebuilt`: builds the network for another number of outputs, which shows what of its weights belongs to an output.
    """
    weights = package.weights()
    own = network.state_dict()
    missing = sorted(set(own) ^ set(weights))
    if missing:
        raise ModelError(
            f"the package holds weights of another network ('{missing[0]}' is in one of the two only)",
            where=package.folder,
            fix="Omit network from the configuration, so that the package's is used.",
        )
    # Of one output more or fewer than both, so that the sizes that follow the outputs differ from either's.
    other = {name: value.shape for name, value in rebuilt(len(rows) + 1).state_dict().items()}
    before = package.card.n_outputs
    heads = 0
    with torch.no_grad():
        for name, value in weights.items():
            following = [axis for axis, n in enumerate(own[name].shape) if other[name][axis] != n]
            if not following and value.shape == own[name].shape:
                own[name].copy_(value)
            elif len(following) == 1 and _is_head(value, own[name], following[0], before, len(rows)):
                heads += 1
                _copy_rows(value, own[name], following[0], rows)
            else:
                old, new = list(value.shape), list(own[name].shape)
                raise ModelError(
                    f"the package holds weights of another network ('{name}' is {old}, not {new})",
                    where=package.folder,
                    fix="Omit network and input from the configuration, so that the package's are used.",
                )
    fresh = [row for row, source in enumerate(rows) if source is None]
    log.info(
        "Fine-tuning %s; %d of %d outputs start at random.", package.identity, len(fresh) if heads else 0, len(rows)
    )


def _is_head(old: Tensor, new: Tensor, axis: int, before: int, now: int) -> bool:
    """Whether a tensor has a fixed number of values for each output along an axis, in the package and here."""
    others = [n for k, n in enumerate(old.shape) if k != axis] == [n for k, n in enumerate(new.shape) if k != axis]
    return others and old.shape[axis] % before == 0 and old.shape[axis] // before * now == new.shape[axis]


def _copy_rows(old: Tensor, new: Tensor, axis: int, rows: Sequence[int | None]) -> None:
    """Copy what belongs to an output of the package to the output that takes its place."""
    each = new.shape[axis] // len(rows)
    for row, source in enumerate(rows):
        if source is not None:
            new.narrow(axis, row * each, each).copy_(old.narrow(axis, source * each, each))
