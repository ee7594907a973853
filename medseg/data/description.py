"""What a person states about a dataset that its files do not: channels, classes, and which values mean what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medseg.config.load import build, under
from medseg.data.layout_msd import class_table
from medseg.types import LabelTable

Value = Annotated[int, Field(ge=0, le=65535)]


class ClassRow(BaseModel):
    """One class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Annotated[int, Field(ge=1, le=65535)] = Field(description="value of the class in label maps")
    structure: str | None = Field(
        default=None,
        description="pattern of structure or segment names, for RTSTRUCT and SEG; null takes the class's name",
    )
    region: tuple[Value, ...] | None = Field(
        default=None, description="reference values the class covers; regions may overlap, later ones lie on top"
    )


class DatasetDescription(BaseModel):
    """What may be stated about a dataset in YAML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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
    references: Literal["classes", "instances"] = Field(
        default="classes",
        description="whether values of the references are classes, or number the objects of one class",
    )
    resample_channels: bool = Field(default=False, description="bring other channels onto the grid of the first")

    @model_validator(mode="after")
    def _all_or_no_regions(self) -> DatasetDescription:
        rows = (self.labels or {}).values()
        regions = [isinstance(row, ClassRow) and row.region is not None for row in rows]
        if any(regions) and not all(regions):
            raise ValueError("either every class of 'labels' has a region or none has")
        return self

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
