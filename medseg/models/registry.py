"""Builds networks by name, so that a config or a model card can ask for one without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import TYPE_CHECKING, Any

from medseg.config.load import build
from medseg.errors import ConfigError, ModelError
from medseg.models.family import NetworkFamily

if TYPE_CHECKING:
    from torch import nn

    from medseg.models.card import ModelCard


ENTRY_POINTS = "medseg.networks"

# Registered name -> module of medseg.models.networks that holds a `NetworkFamily` of that name in upper case. By name,
# so that asking for one network imports no other; none of these modules knows the registry.
_BUILT_IN: dict[str, str] = {
    "sliding_window_classifier": "sliding_window_classifier",
    "fcn_full_resolution": "fcn_full_resolution",
    "fcn": "fcn",
    "deconvnet": "deconvnet",
    "unet": "unet",
    "resenc_m": "resenc",
    "resenc_l": "resenc",
    "pretrained_unet": "pretrained_unet",
    "dynunet": "dynunet",
    "segresnet": "segresnet",
    "swinunetr": "swinunetr",
    "mednext": "mednext",
    "vnet": "vnet",
    "unetr": "unetr",
    "monai": "monai_class",
}


def network_names() -> tuple[str, ...]:
    """Names `build_network` knows: those of medseg, then those of installed packages (`medseg.networks`)."""
    return (*_BUILT_IN, *sorted(set(_installed()) - set(_BUILT_IN)))


def find_family(name: str) -> NetworkFamily:
    """Import and return the family of this name."""
    installed = _installed().get(name, [])
    claims = len(installed) + (name in _BUILT_IN)
    if claims > 1:
        packages = ", ".join(str(point.dist.name if point.dist else point.value) for point in installed)
        raise ModelError(f"the network name '{name}' is defined more than once ({packages})", fix="Uninstall one.")
    if name in _BUILT_IN:
        family = getattr(import_module(f"medseg.models.networks.{_BUILT_IN[name]}"), name.upper())
    elif installed:
        family = installed[0].load()
    else:
        raise ModelError(f"there is no network called '{name}'", fix=f"Known: {', '.join(network_names())}.")
    if not isinstance(family, NetworkFamily):
        raise ModelError(
            f"the network '{name}' is not a NetworkFamily",
            where=installed[0].value,
            fix="Let the entry point name one: medseg.models.family.NetworkFamily(...).",
        )
    return family


def build_network(
    name: str, *, channels: int, classes: int, dimensions: int, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a network from its registered name, as a model card stores it.

    - returns: ``(N, channels, *spatial)`` to scores before softmax ``(N, classes, *spatial)``; ``multiple`` is what
      each spatial size must be a multiple of. With deep supervision in training mode: a list, full resolution first.
    """
    family = find_family(name)
    if dimensions not in family.dimensions:
        possible = " or ".join(str(n) for n in family.dimensions)
        raise ConfigError(
            f"{name} has {possible} spatial dimensions, not {dimensions}",
            where="network.dimensions",
            fix=f"Use {possible}, or another network.",
        )
    for key, value, least in (("channels", channels, 1), ("classes", classes, 2)):
        if value < least:
            raise ConfigError(
                f"must be {least} or more, not {value}",
                where=f"network {name}, {key}",
                fix=f"Give {least} or more; the background counts as a class.",
            )
    checked = build(family.arguments, arguments or {}, where=f"network {name}")
    return family.build(channels, classes, dimensions, checked)


def network_of(card: ModelCard) -> nn.Module:
    """Build the network that a card describes, without its weights."""
    return build_network(
        card.network.name,
        channels=card.channels,
        classes=card.n_outputs,
        dimensions=card.network.dimensions,
        arguments=card.network.arguments,
    )


def load_pretrained(network: nn.Module) -> None:
    """Give a freshly built network the weights its arguments ask for; nothing where they ask for none.

    Apart from `build_network`, because a trained model is built without them: its own weights follow.
    """
    load = getattr(network, "load_pretrained", None)
    if load is not None:
        load()


def _installed() -> dict[str, list[EntryPoint]]:
    return _read_installed(entry_points, tuple(sys.path))


@lru_cache(maxsize=1)
def _read_installed(read: Callable[..., EntryPoints], _path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Read the metadata of every installed package, which takes a while, once for a search path."""
    points: dict[str, list[EntryPoint]] = {}
    for point in read(group=ENTRY_POINTS):
        points.setdefault(point.name, []).append(point)
    return points
