"""What results on suitable scans look like, on the model card: one far from it is withheld."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.config.strict import StrictFinite


class ResultCard(StrictFinite):
    """What the training data's references and results have in common; a key that is null or empty is not checked."""

    n_components: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default={},
        description="class name to the largest number of connected components in a training reference; a result with a "
        "dozen times as many is withheld",
    )
    always_present: tuple[str, ...] = Field(
        default=(), description="classes that every suitable scan shows: a result without one is withheld"
    )
    volume_factor: Annotated[float, Field(ge=1)] | None = Field(
        default=None,
        description="a volume beyond `volume_range_ml` by more than this, in a field of view beyond "
        "`expected_extent_mm`, is withheld",
    )
    boundary_entropy: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None,
        description="largest mean entropy along the boundaries of all classes, mean over classes, on suitable scans; a "
        "result far above is withheld",
    )
    turned_axes: tuple[Literal[0, 1, 2], ...] = Field(
        default=(),
        description="axes of the network along which it distinguishes a scan from one that its header turns; copies "
        "turned along them are tried where a result is more uncertain than `boundary_entropy`",
    )
