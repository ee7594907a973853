"""A composite on the model card: several models that run as one, and how their labels become one label map."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medseg.config.bounds import VoxelSpacing
from medseg.config.strict import StrictFinite

COMPOSITE = "composite"  # name of the network on the card of a model that consists of others
PARTS_FOLDER = "parts"
MOST_PARTS = 50

PartName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
Value = Annotated[int, Field(ge=1, le=65535)]
Merge = Literal["priority", "average"]


class PartCard(StrictFinite):
    """One of the models: a package in the folder ``parts/NAME`` of the composite."""

    name: PartName = Field(description="name of the part, and of its package's folder inside `parts`")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(description="SHA-256 of that package's card")
    values: dict[Value, Value] = Field(
        description="value of a class of the part to the value it has in results; classes not in it are discarded"
    )
    priority: int = Field(
        default=0, description="where labels of two parts meet, those of the higher priority stay; of equals, the later"
    )


class GridCard(StrictFinite):
    """One grid that the scan is brought to before any part sees it, and that labels come back from by nearest voxel.

    Axes are brought nearest to R, A, S; the centers of the first and of the last voxels coincide (scipy.ndimage.zoom).
    """

    spacing: tuple[VoxelSpacing, VoxelSpacing, VoxelSpacing] = Field(description="mm along R, A, S")
    order: Literal[1, 3] = Field(default=1, description="how intensities are interpolated: 1 linear, 3 cubic B-spline")
    whole_numbers: bool = Field(
        default=False, description="whether interpolated intensities are cut to whole numbers, toward 0"
    )


class LocatorCard(StrictFinite):
    """A part that sees the whole scan first; the others see only a box around what it finds."""

    part: PartName = Field(description="name of the part that locates")
    classes: tuple[Value, ...] = Field(description="values of that part's own classes that the box holds")
    margin_mm: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=20.0, description="mm around them; where a class touches a face of the box, the box grows there"
    )

    @model_validator(mode="after")
    def _possible(self) -> LocatorCard:
        if not self.classes:
            raise ValueError("classes must name at least one class")
        return self


class CompositeCard(StrictFinite):
    """Several models as one."""

    parts: Annotated[tuple[PartCard, ...], Field(min_length=1, max_length=MOST_PARTS)] = Field(
        description="the models, in the order in which they run"
    )
    merge: Merge = Field(
        default="priority",
        description="priority: labels of one part lie over those of another; average: an ensemble of the same "
        "classes, in which the one of the largest mean probability wins",
    )
    grid: GridCard | None = Field(
        default=None, description="grid that all parts share; null: each brings the scan to its own"
    )
    locator: LocatorCard | None = Field(
        default=None, description="part that finds where the others look; null: all see the whole scan"
    )

    @model_validator(mode="after")
    def _possible(self) -> CompositeCard:
        names = [part.name for part in self.parts]
        if len(set(names)) < len(names):
            raise ValueError("each part must have a name of its own")
        if self.locator is not None and self.locator.part not in names:
            raise ValueError(f"the locator must be one of the parts: {', '.join(names)}")
        if self.merge == "average":
            if self.locator is not None or self.grid is not None:
                raise ValueError("parts that are averaged have no locator and no shared grid")
            if any(sorted(part.values.values()) != sorted(self.parts[0].values.values()) for part in self.parts):
                raise ValueError("parts that are averaged must all give the same classes")
            if any(len(set(part.values.values())) < len(part.values) for part in self.parts):
                raise ValueError("parts that are averaged must give each class once")
        return self
