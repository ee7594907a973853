"""Starts a network that takes clicks from a model package: one that takes clicks itself, or an automatic one."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

from medseg.errors import ModelError
from medseg.models.card import ModelCard
from medseg.models.interactive_card import OUTPUTS
from medseg.models.package import ModelPackage

log = logging.getLogger("medseg.train")


def load_interactive_start(network: nn.Module, package: ModelPackage, channels: int) -> None:
    """Load the weights of a package into a network of the same kind that takes clicks.

    Of an automatic model, the channels of mask and interactions start at 0, so that at first they change nothing, and
    the class in hand as the mean of the package's classes.

    - `channels`: of the scan.

    Raises
    ------
    ModelError
        When the package is an ensemble, or holds weights of another network.
    """
    if package.card.ensemble_members > 1:
        raise ModelError(
            "the package averages several networks, and one has to be started from",
            where=package.folder,
            fix="Start from a package of one network, such as that of a fold.",
        )
    own, weights = network.state_dict(), package.weights()
    with torch.no_grad():
        for name in sorted(set(own) | set(weights)):
            if name not in own or name not in weights:
                raise _other_network(package, f"'{name}' is in one of the two only")
            fitted = _fitted(weights[name], own[name], package.card, channels)
            if fitted is None:
                old, new = list(weights[name].shape), list(own[name].shape)
                raise _other_network(package, f"'{name}' is {old}, not {new}")
            own[name].copy_(fitted)
    kind = "fine-tuned" if package.card.interactive is not None else "taught to take clicks"
    log.info("The network of %s is %s.", package.identity, kind)


def _fitted(old: Tensor, new: Tensor, card: ModelCard, channels: int) -> Tensor | None:
    """Bring a tensor to the size of the one it is loaded into; None where they differ in another way."""
    differing = [axis for axis, (a, b) in enumerate(zip(old.shape, new.shape, strict=False)) if a != b]
    if old.dim() != new.dim() or len(differing) > 1:
        return None
    if not differing:
        return old
    axis = differing[0]
    if axis == 1 and old.shape[1] == channels < new.shape[1]:
        wider = old.new_zeros(new.shape)
        wider[:, :channels] = old
        return wider
    if axis == 0 and old.shape[0] == card.n_outputs and new.shape[0] == OUTPUTS:
        # Regions have a score each and none for the background; only the difference of two scores counts.
        if card.regions is not None:
            return torch.stack([-old.mean(0), old.mean(0)]) / 2
        return torch.stack([old[0], old[1:].mean(0)])
    return None


def _other_network(package: ModelPackage, why: str) -> ModelError:
    return ModelError(
        f"the package holds weights of another network ({why})",
        where=package.folder,
        fix="Omit network and input from the configuration, so that the package's are used.",
    )
