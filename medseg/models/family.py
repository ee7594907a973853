"""What a network must offer to be built by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from medseg.errors import MissingDependency

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class NetworkFamily:
    """A network as the registry knows it.

    - `arguments`: what may be set, with defaults; extra keys must be forbidden.
    - `build`: ``build(channels, classes, dimensions, arguments) -> nn.Module``. `classes` includes the background. The
      module maps ``(N, channels, *spatial)`` to scores before softmax ``(N, classes, *spatial)`` and has an attribute
      ``multiple``: each spatial size must be a multiple of it. With deep supervision and in training mode it gives a
      list of scores, full resolution first.
    - `dimensions`: the numbers of spatial dimensions it can be built for.
    """

    arguments: type[BaseModel]
    build: Callable[[int, int, int, Any], nn.Module]
    dimensions: tuple[int, ...] = (2, 3)


def require(module: str, *, extra: str, needed_by: str) -> None:
    """Check that an optional package is there before a network that cannot run without it is built."""
    if find_spec(module) is None:
        raise MissingDependency(f"{module} is not installed", where=needed_by, fix=f"pip install 'medseg[{extra}]'.")
