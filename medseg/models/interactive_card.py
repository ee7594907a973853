"""What a network that takes clicks is shown beside the scan, on the model card."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medseg.config.strict import Strict

MapName = Literal["present", "inside_clicks", "outside_clicks", "inside_scribbles", "outside_scribbles"]
MAPS: tuple[MapName, ...] = ("present", "inside_clicks", "outside_clicks", "inside_scribbles", "outside_scribbles")
# Background and the class in hand.
OUTPUTS = 2

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class InteractiveCard(Strict):
    """Channels after the scan's, as in nnInteractive (Isensee et al. 2025, arXiv:2503.08373), and what they gained."""

    maps: tuple[MapName, ...] = Field(
        default=MAPS,
        min_length=len(MAPS),
        max_length=len(MAPS),
        description="channels after the scan's, in order: the mask of the class in hand, then what a reader marked",
    )
    radius: Annotated[float, Field(gt=0, le=32)] = Field(
        description="a click is a ball of this radius in voxels of the network's grid, 1 at its center, falling outward"
    )
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        description="what each newer interaction multiplies the older ones by"
    )
    objects: bool = Field(
        default=False,
        description="whether one object is in hand, which clicks make, split or delete, not all of a class",
    )
    dice: dict[Literal["corrected", "from_nothing"], dict[int, Fraction]] = Field(
        default={},
        description="mean Dice on held-out cases by the number of simulated clicks: of a mask with simulated errors, "
        "and of a class that nothing is drawn of yet",
    )
