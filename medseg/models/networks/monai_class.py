"""MONAI's own networks by class name and MONAI's own arguments, so that weights trained there load as they are.

Only the classes listed here are built, from plain numbers, texts and lists; a name is never imported.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field, field_validator
from torch import Tensor, nn

from medseg.config.strict import Strict
from medseg.errors import ConfigError, first_line
from medseg.models.family import NetworkFamily

Arguments = Mapping[str, Any]


def _stages(strides: Any) -> int:
    return math.prod(max(stride) if isinstance(stride, (list, tuple)) else int(stride) for stride in strides)


# Class -> each spatial size of a window must be a multiple of this, from its arguments.
CLASSES: dict[str, Callable[[Arguments], int]] = {
    "AttentionUnet": lambda a: _stages(a["strides"]),
    "BasicUNet": lambda _: 16,
    "BasicUNetPlusPlus": lambda _: 16,
    "DynUNet": lambda a: _stages(a["strides"]),
    "FlexibleUNet": lambda _: 32,
    "HighResNet": lambda _: 1,
    "MedNeXt": lambda a: 2 ** len(a.get("blocks_down", (2, 2, 2, 2))),
    "SegResNet": lambda a: 2 ** (len(a.get("blocks_down", (1, 2, 2, 4))) - 1),
    "SegResNetDS": lambda a: 2 ** (len(a.get("blocks_down", (1, 2, 2, 4))) - 1),
    "SwinUNETR": lambda _: 32,
    "UNETR": lambda _: 16,
    "UNet": lambda a: _stages(a["strides"]),
    "VNet": lambda _: 16,
}
# Arguments of all these classes that the card gives elsewhere.
GIVEN_BY_THE_CARD = ("spatial_dims", "in_channels", "out_channels")


class MonaiArguments(Strict):
    """A class and what it is built from."""

    name: str = Field(description="the class's name in monai.networks.nets")
    arguments: dict[str, Any] = Field(default={}, description="as MONAI calls them; without dimensions and channels")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        found = next((known for known in CLASSES if known.lower() == name.lower()), None)
        if found is None:
            raise ValueError(f"'{name}' is not one of MONAI's networks that medseg builds: {', '.join(CLASSES)}")
        return found

    @field_validator("arguments")
    @classmethod
    def _plain(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        for key, value in arguments.items():
            if not _is_plain(value):
                raise ValueError(f"'{key}' is not plain data")
            if key in GIVEN_BY_THE_CARD:
                raise ValueError(f"'{key}' is given elsewhere in the card")
        if arguments.get("pretrained"):
            raise ValueError("'pretrained' would fetch weights; the package has its own")
        return arguments


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(part) for part in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    return value is None or isinstance(value, (bool, int, float, str))


class _FirstScores(nn.Module):
    """Gives full-resolution scores where MONAI's class gives a list of them; state dicts are the wrapped network's."""

    multiple: tuple[int, ...]

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        scores = self.network(x)
        if isinstance(scores, (list, tuple)):
            return list(scores) if self.training else scores[0]
        return scores  # type: ignore[no-any-return]

    def state_dict(self, *arguments: Any, **options: Any) -> Any:
        return self.network.state_dict(*arguments, **options)

    def load_state_dict(self, *arguments: Any, **options: Any) -> Any:
        return self.network.load_state_dict(*arguments, **options)


def _build(channels: int, classes: int, dimensions: int, arguments: MonaiArguments) -> nn.Module:
    from monai.networks import nets

    kind = getattr(nets, arguments.name)
    known = inspect.signature(kind.__init__).parameters
    where = f"network monai, {arguments.name}"
    given = dict(arguments.arguments)
    if unknown := sorted(set(given) - set(known)):
        raise ConfigError(f"unknown argument '{unknown[0]}'", where=where, fix="Write what this MONAI's class takes.")
    given |= dict(zip(GIVEN_BY_THE_CARD, (dimensions, channels, classes), strict=True))
    try:
        network = _FirstScores(kind(**given))
        network.multiple = (CLASSES[arguments.name](arguments.arguments),) * dimensions
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise ConfigError(
            first_line(error)[:200], where=where, fix="Write the arguments as MONAI's class takes them."
        ) from error
    return network


MONAI = NetworkFamily(MonaiArguments, _build)
