"""What a search may change of a planned configuration, by how much, and which of its trials is taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import mean, stdev
from typing import Any, Literal

from medseg.config.load import apply_overrides, build
from medseg.training.config import TrainConfig

Augmentation = Literal["none", "weak", "planned"]

# Factors of what is planned.
PATCHES = (0.5, 1.0, 1.5, 2.0)
WIDTHS = (0.5, 1.0, 1.5)
BATCHES = (0.5, 1.0, 2.0)
LEARNING_RATES = (1 / 3, 3.0)
# Of the probabilities of rotation, scaling, shift and elastic deformation.
SPATIAL = {"none": 0.0, "weak": 0.5, "planned": 1.0}
STAGES = 3
# Features in multiples of which matrix units compute.
FEATURES = 8


@dataclass(frozen=True)
class Settings:
    """Factors of what was planned: of each axis of the patch, the features, the learning rate and the batch."""

    patch: float = 1.0
    width: float = 1.0
    learning_rate: float = 1.0
    augmentation: Augmentation = "planned"
    batch: float = 1.0

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings that a search recorded by name; what it did not search stays as planned."""
        return cls(**{field.name: values[field.name] for field in fields(cls) if field.name in values})

    def to_values(self) -> dict[str, Any]:
        """Return the settings by name."""
        return asdict(self)


PLANNED = Settings()
# Tried first; then settings are drawn. In a short training cheap steps gain most.
STARTS = (PLANNED, Settings(width=0.5), Settings(width=0.5, learning_rate=2.0), Settings(augmentation="none"))


def choices(config: TrainConfig) -> dict[str, tuple[float | str, ...]]:
    """Return what may be chosen of each setting; a network without a list of features keeps its width."""
    found: dict[str, tuple[float | str, ...]] = {"patch": PATCHES, "augmentation": tuple(SPATIAL), "batch": BATCHES}
    return {**found, "width": WIDTHS} if "features" in config.network.arguments else found


def overrides(settings: Settings, config: TrainConfig, multiple: Sequence[int], largest: Sequence[int]) -> list[str]:
    """Return what ``--set`` would be given to change a planned configuration so.

    Parameters
    ----------
    settings : Settings
        Factors.
    config : TrainConfig
        What was planned.
    multiple : sequence of int
        What each size of a patch must be a multiple of.
    largest : sequence of int
        Median size of the prepared cases: a patch that grows grows no further.
    """
    changes: dict[str, Any] = {}
    if settings.patch != 1:
        changes["input.patch"] = _patch(settings.patch, config.input.patch, multiple, largest)
    if settings.width != 1:
        features = config.network.arguments["features"]
        changes["network.arguments.features"] = [
            max(FEATURES, round(settings.width * n / FEATURES) * FEATURES) for n in features
        ]
    if settings.learning_rate != 1:
        changes["optimizer.learning_rate"] = float(f"{settings.learning_rate * config.optimizer.learning_rate:.3g}")
    if settings.augmentation != "planned":
        for name in ("rotation", "scaling", "translation", "elastic"):
            planned = getattr(config.augment, name)
            if planned:
                changes[f"augment.{name}"] = round(SPATIAL[settings.augmentation] * planned, 4)
    if settings.batch != 1:
        changes["sampling.batch"] = max(1, round(settings.batch * config.sampling.batch))
    return [f"{key}={value}" for key, value in changes.items()]


def changed(config: TrainConfig, given: Sequence[str]) -> TrainConfig:
    """Return a configuration with what ``--set`` would be given."""
    return build(TrainConfig, apply_overrides(config.model_dump(mode="json", exclude_none=True), given))


def _patch(factor: float, patch: Sequence[int], multiple: Sequence[int], largest: Sequence[int]) -> list[int]:
    """Change a patch along the network's axes, in multiples of what the network needs."""
    sizes = []
    for n, k, most in zip(patch, multiple, largest, strict=False):
        wanted = max(1, round(factor * n / k)) * k
        sizes.append(wanted if wanted <= n else max(n, min(wanted, math.ceil(most / k) * k)))
    return sizes + list(patch[len(sizes) :])


@dataclass(frozen=True)
class Trial:
    """A trial: its settings, and of each stage it came to the steps, the seconds and the Dice of each case."""

    number: int
    settings: Settings
    steps: tuple[int, ...]
    seconds: float
    dice: tuple[dict[str, float], ...]

    def to_row(self) -> dict[str, Any]:
        return {
            "trial": self.number, **self.settings.to_values(),
            "steps": self.steps[-1] if self.steps else 0, "seconds": round(self.seconds, 1),
            "dice": [round(mean(stage.values()), 4) for stage in self.dice],
        }  # fmt: skip


def choose(trials: Sequence[Trial]) -> tuple[Trial, float, float]:
    """The best trial that came to the last stage, its gain and standard error; the plan where the gain is no more."""
    planned = next(one for one in trials if one.settings == PLANNED)
    top = [one for one in trials if len(one.dice) == STAGES]
    best = max(top, key=lambda one: mean(one.dice[-1].values()))
    gains = [best.dice[-1][case] - value for case, value in planned.dice[-1].items()]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return (best, mean(gains), error) if mean(gains) > error else (planned, 0.0, 0.0)
