"""What a user says of a composite: the YAML file of `medseg models import --composite`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from medseg.config.bounds import VoxelSpacing
from medseg.config.load import build, read_yaml
from medseg.config.strict import Strict
from medseg.models.card import CodeCard, PostCard
from medseg.models.composite_card import Merge, PartName
from medseg.models.license_card import LicenseCard

NameOrValue = int | str


class ClassDescription(Strict):
    """One class of the results."""

    value: Annotated[int, Field(ge=1, le=65535)] = Field(description="value of the class in label maps")
    name: str = Field(description="name of the class")
    category: CodeCard | None = Field(default=None, description="DICOM's category; null: the part's")
    code: CodeCard | None = Field(default=None, description="what the class is, in SNOMED CT; null: the part's")
    color: tuple[int, int, int] | None = Field(default=None, description="for display; null: one of the palette")


class PartDescription(Strict):
    """One of the models."""

    model: str = Field(description="package folder or zip, name of a model, or results folder of nnU-Net")
    name: PartName | None = Field(default=None, description="name of the part; null: as its folder or model is called")
    values: dict[NameOrValue, NameOrValue] | None = Field(
        default=None, description="class of the part, by name or value, to the class of the results; null: by name"
    )
    priority: int = Field(
        default=0, description="where labels of two parts meet, the higher one stays; of equals, the later"
    )
    configuration: str | None = Field(default=None, description="configuration of nnU-Net, where there are several")
    folds: tuple[str, ...] | None = Field(default=None, description="folds of nnU-Net; null: every numbered one")
    overlap: Annotated[float, Field(ge=0, le=0.9)] | None = Field(
        default=None, description="sliding-window overlap; null: as the part's card says"
    )
    sums: Literal["float32", "float16"] | None = Field(
        default=None, description="precision in which outputs of windows are summed; null: as the part's card says"
    )


class LocatorDescription(Strict):
    """The part that sees the whole scan first."""

    part: PartName = Field(description="name of the part")
    classes: tuple[NameOrValue, ...] = Field(description="its own classes, by name or value, that the box holds")
    margin_mm: Annotated[float, Field(ge=0, le=1000)] = Field(default=20.0, description="mm around them")


class GridDescription(Strict):
    """The grid that all parts share."""

    spacing: VoxelSpacing | tuple[VoxelSpacing, VoxelSpacing, VoxelSpacing] = Field(description="mm along R, A, S")
    order: Literal[1, 3] = Field(default=1, description="1 linear, 3 cubic B-spline")
    whole_numbers: bool = Field(default=False, description="cut interpolated intensities to whole numbers")


class CompositeDescription(Strict):
    """A composite, as `medseg models import --composite FILE` reads it."""

    title: str = Field(description="what the model segments, and in what, in one line")
    parts: tuple[PartDescription, ...] = Field(min_length=1, description="the models")
    classes: tuple[ClassDescription, ...] | None = Field(
        default=None, description="the label table; null: every class of every part, numbered in that order"
    )
    merge: Merge = Field(
        default="priority", description="priority: one part's labels over another's; average: of probabilities"
    )
    locator: LocatorDescription | None = Field(default=None, description="part that finds where the others look")
    grid: GridDescription | None = Field(default=None, description="grid that all parts share; null: each its own")
    license: LicenseCard | None = Field(default=None, description="how the weights may be used; null: as the parts say")
    license_text: str = Field(default="", description="the license in words; empty: as the parts say")
    notice: str | None = Field(default=None, description="what every user must know")
    version: str = Field(default="1", description="version of the model")
    limits: tuple[str, ...] = Field(default=(), description="what the model is not for, besides what its parts say")
    post: tuple[PostCard, ...] = Field(default=(), description="post-processing of all labels together")


def read_description(path: Path) -> CompositeDescription:
    """Read a composite's description; `ConfigError` names a key that is wrong."""
    return build(CompositeDescription, read_yaml(path), where=path)
