"""What a person states about a dataset that its files do not: channels, classes, and which values mean what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from medseg.config.load import build, under
from medseg.config.strict import Strict
from medseg.data.class_table import class_table
from medseg.types import LabelTable

Value = Annotated[int, Field(ge=0, le=65535)]


class ClassRow(Strict):
    """One class."""

    value: Annotated[int, Field(ge=1, le=65535)] = Field(description="value of the class in label maps")
    structure: str | None = Field(
        default=None,
        description="pattern of structure or segment names, for RTSTRUCT and SEG; null takes the class's name",
    )
    column: str | None = Field(
        default=None, description="column of the table that holds the mask of this class alone; null where one has all"
    )
    region: tuple[Value, ...] | None = Field(
        default=None, description="reference values the class covers; regions may overlap, later ones lie on top"
    )


class DatasetDescription(Strict):
    """What may be stated about a dataset in YAML."""

    name: str | None = Field(default=None, description="name of the dataset; null takes the folder's name")
    description: str = Field(default="", description="where the data comes from, for the card")
    license: str = Field(default="", description="license of the data, for the card")
    channels: dict[str, str | None] | None = Field(
        default=None, description="channel name (in a table, the column) to modality; null takes those found"
    )
    labels: dict[str, ClassRow | Value] | None = Field(
        default=None, description="class name to value; null takes the names or values found"
    )
    values: dict[Value, Value] = Field(default={}, description="value in the files to value here, where they differ")
    ignore: Value | None = Field(default=None, description="value of voxels that are not annotated")
    annotated: dict[str, tuple[str, ...]] = Field(
        default={},
        description="case name, or pattern of case names such as 'lits_*', to the classes that those cases annotate, "
        "where these are not all; the first pattern that fits counts",
    )
    references: Literal["classes", "instances"] = Field(
        default="classes",
        description="whether values of the references are classes, or number the objects of one class",
    )
    colors: dict[str, Value] = Field(
        default={}, description="color in masks that are color images, as '#rrggbb', to value here"
    )
    arrays: dict[Literal["image", "label"], str] | None = Field(
        default=None, description="keys of image and label in .npz and HDF5 files"
    )
    overlapping: bool = Field(
        default=False,
        description="whether classes may share voxels and results keep all that a voxel has: of references with a mask "
        "for each class (one a file, channel, layer, segment or structure), or of regions; false gives each voxel one",
    )
    resample_channels: bool = Field(default=False, description="bring other channels onto the grid of the first")

    @model_validator(mode="after")
    def _all_or_no_regions(self) -> DatasetDescription:
        rows = (self.labels or {}).values()
        regions = [isinstance(row, ClassRow) and row.region is not None for row in rows]
        if any(regions) and not all(regions):
            raise ValueError("either every class of 'labels' has a region or none has")
        return self

    @field_validator("colors")
    @classmethod
    def _are_colors(cls, value: dict[str, int]) -> dict[str, int]:
        wrong = next((color for color in value if re.fullmatch(r"#[0-9a-fA-F]{6}", color) is None), None)
        if wrong is not None:
            raise ValueError(f"'{wrong}' is not a color as '#ff0000'")
        return value

    @property
    def color_map(self) -> Mapping[tuple[int, int, int], int]:
        """Value that each color of a mask means, by red, green, blue."""
        return {(int(c[1:3], 16), int(c[3:5], 16), int(c[5:7], 16)): value for c, value in self.colors.items()}

    @property
    def columns(self) -> Mapping[str, int]:
        """Value of the class whose masks a column of the table holds."""
        rows = (self.labels or {}).values()
        return {row.column: row.value for row in rows if isinstance(row, ClassRow) and row.column is not None}

    @property
    def table(self) -> LabelTable | None:
        """The classes named under `labels`; None where none are."""
        if self.labels is None:
            return None
        return class_table({_value(row): name for name, row in self.labels.items()})

    @property
    def structures(self) -> Mapping[int, str]:
        """Pattern of the structures of each class, by its value."""
        rows = self.labels or {}
        return {row.value: row.structure or name for name, row in rows.items() if isinstance(row, ClassRow)}

    @property
    def regions(self) -> Mapping[int, tuple[int, ...]]:
        """Reference values of each class that is a region, by its value, in order."""
        rows = (self.labels or {}).values()
        return {row.value: row.region for row in rows if isinstance(row, ClassRow) and row.region is not None}


def described(values: Mapping[str, Any]) -> DatasetDescription | None:
    """What the values of a configuration state about its dataset, under `dataset`."""
    given = under(values, "dataset")
    return build(DatasetDescription, given, where="dataset") if values.get("dataset") is not None else None


def _value(row: ClassRow | int) -> int:
    return row.value if isinstance(row, ClassRow) else row
