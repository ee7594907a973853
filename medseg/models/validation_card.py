"""What was measured of a model on cases its weights were not trained on, on its card."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from medseg.config.strict import Strict, StrictFinite

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Volume = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # ml


def _fraction_or_nan(value: float) -> float:
    if not (math.isnan(value) or 0 <= value <= 1):
        raise ValueError("must be between 0 and 1, or .nan where nothing was measured")
    return value


FractionOrNan = Annotated[float, AfterValidator(_fraction_or_nan)]


class ValidationCard(Strict):
    """What was measured on cases the weights were not trained on."""

    split: str = Field(description="which cases were held out, and how they were chosen")
    cases: int = Field(ge=0, description="number of cases measured")
    dice: dict[str, Fraction] = Field(description="class name to mean Dice over cases; no class that was not trained")
    mean_dice: FractionOrNan = Field(description="mean over the classes of `dice`; .nan where that is empty")
    pq: dict[str, Fraction] = Field(
        default={},
        description="class name to mean panoptic quality over cases, of the class whose objects references number",
    )
    volume_range_ml: dict[str, tuple[Volume, Volume]] = Field(
        default={},
        description="class name to smallest and largest volume in the training references; of regions that results "
        "fold into one map, of what stays of each",
    )
    volume_quantiles_ml: dict[str, tuple[Volume, ...]] = Field(
        default={},
        description="class name to evenly spaced quantiles of its volume in the training references, smallest first; "
        "`medseg monitor` compares results with them",
    )
    notes: str = Field(default="", description="how it was measured, and further results")


class UncertaintyCard(StrictFinite):
    """How uncertain the network is on ordinary cases, measured on cases it was not trained on."""

    boundary_entropy: dict[str, Fraction] = Field(
        description="class name to the largest mean entropy along its boundary in ordinary cases"
    )
    cases: Annotated[int, Field(ge=1)] = Field(description="number of cases measured")


class PrecisionCard(StrictFinite):
    """What a lower precision than float32 costs, as `medseg models optimize` measured it."""

    dice_drop: dict[str, float] = Field(description="class name to mean Dice in float32 minus that in this precision")
    cases: Annotated[int, Field(ge=1)] = Field(description="number of cases measured")
    held_out: bool | None = Field(
        default=None, description="whether these cases were held out from training; null: not known"
    )
    agreement: Fraction | None = Field(
        default=None, description="smallest fraction, over cases, of voxels with the label that float32 gives"
    )
    engine: str = Field(default="", description="engine that ran both precisions")
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(
        default={}, description="files beside the card that hold the network in this precision, and their SHA-256"
    )

    @model_validator(mode="after")
    def _files_lie_beside_the_card(self) -> PrecisionCard:
        if any(PurePath(name).name != name or "\\" in name for name in self.files):
            raise ValueError("files must be plain names inside the package")
        return self
