"""The configuration of a comparison of architectures, and of the claims it tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from medseg.config.load import apply_overrides, build, merged, read_yaml
from medseg.config.purpose import check_purpose
from medseg.config.strict import Strict
from medseg.training.config import TrainConfig


class Architecture(Strict):
    """One network, trained like all the others but for its changes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    train: dict[str, Any] = Field(default={}, description="changes of the comparison's `train`, by nested key")
    measure: dict[str, Any] = Field(
        default={}, description="changes to the trained model's card, for instance another patch, before it is measured"
    )
    time: dict[str, Any] = Field(
        default={}, description="changes to the card for measuring time, where another mode gives the same result"
    )
    needs: str | None = Field(default=None, description="Python package without which the architecture is skipped")


class Claim(Strict):
    """A claim of the literature about two architectures."""

    statement: str
    better: str = Field(
        description="name of the architecture that the claim calls better, or, in seconds and parameters, cheaper"
    )
    worse: str
    metric: Literal["dice", "boundary_f1", "seconds", "parameters"] = "dice"


class Architectures(Strict):
    """Networks to compare, how all of them are trained, and what is claimed of them."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    classes: dict[str, tuple[int, ...]] | None = Field(
        default=None, description="what is measured: name to class values, 0 being background; null: every class"
    )
    tolerance: float = Field(
        gt=0,
        description="tolerance of the boundary F1, mm (pixels of a 2D image without a pixel size)",
    )
    time_budget: str = Field(
        default="3m",
        description="training time of each architecture, without reading and preparation; on a CPU in CPU seconds",
    )
    train: dict[str, Any] = Field(description="a training configuration")
    architectures: tuple[Architecture, ...] = Field(min_length=1)
    claims: tuple[Claim, ...] = ()

    @model_validator(mode="after")
    def _fit(self) -> Architectures:
        names = [architecture.name for architecture in self.architectures]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two architectures are called {sorted(twice)[0]}")
        for claim in self.claims:
            for name in (claim.better, claim.worse):
                if name not in names:
                    raise ValueError(f"a claim names the architecture '{name}', which does not exist")
        return self

    def configuration(self, architecture: Architecture, seconds: float) -> TrainConfig:
        """Training configuration of an architecture, bounded by time; an error names architecture and key."""
        changes = {"name": f"{self.name}-{architecture.name}", "time_budget": seconds, "tracking": False}
        values = merge(merge(self.train, architecture.train), changes)
        values.pop("epochs", None)
        return build(TrainConfig, values, where=f"architecture {architecture.name}")


def read_architectures(path: Path, settings: Sequence[str] = ()) -> Architectures:
    """Read a comparison, single values changed by ``a.b=c``, and check it and the training of each architecture."""
    values = read_yaml(path)
    check_purpose(values, "a comparison of architectures", name=path)
    architectures = build(Architectures, apply_overrides(values, settings), where=path)
    for architecture in architectures.architectures:
        architectures.configuration(architecture, 1.0)
    return architectures


def merge(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes on top, key by key where both are mappings; a network of another name starts afresh."""
    known, change = values.get("network") or {}, changes.get("network") or {}
    if "name" in change and change["name"] != known.get("name", change["name"]):
        values = {**values, "network": {key: value for key, value in known.items() if key != "arguments"}}
    return merged(values, changes)
