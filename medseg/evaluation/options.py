"""What can be chosen about an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from medseg.config.load import apply_overrides, build, read_yaml
from medseg.errors import UsageError

__all__ = ["EvaluateOptions", "LesionRule", "options_from"]

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LesionRule(_Strict):
    """Lesion-wise Dice.

    ``dilated`` is the rule of BraTS 2023 and 2024, which took 3 and 50 for glioma, 1 and 50 for meningioma, 1 and 2 for
    metastases; ``matched`` that of the challenge's package since, which needs neither number.
    """

    rule: Literal["dilated", "matched"] = "dilated"
    dilation: Annotated[int, Field(ge=0)] = 3
    minimum_mm3: Annotated[float, Field(ge=0)] = 50.0


class EvaluateOptions(_Strict):
    """Choices of an evaluation; the defaults measure everything but calibration, which needs probabilities."""

    classes: dict[Annotated[int, Field(ge=1, le=65535)], str] | None = Field(
        default=None, description="names by value; measures these classes only. Default: those the files hold"
    )
    regions: dict[str, tuple[int, ...]] = Field(
        default={}, description="unions of classes measured as one more class each, by name: lists of values"
    )
    tolerances_mm: tuple[Positive, ...] = Field(default=(1.0, 2.0), description="for nsd@T, mm")
    boundary_width_mm: Positive = Field(default=2.0, description="depth of the band of boundary_iou, mm")
    surfaces: bool = Field(default=True, description="measure distances; false measures overlap only")
    objects: Literal["components", "instances", "none"] = Field(
        default="components",
        description="objects are connected components of each class; or the files' values are ids of objects; or none",
    )
    neighbors: Literal["corners", "faces"] = Field(default="corners", description="which voxels are connected")
    object_iou: tuple[Share, ...] = Field(default=(0.5, 0.6, 0.7, 0.8, 0.9), description="thresholds of f1@T and ap@T")
    lesions: LesionRule = LesionRule()
    froc_iou: Share = Field(default=0.1, description="IoU from which a predicted object hits a reference object")
    penalty_mm: Positive | None = Field(
        default=None, description="stands in for infinite distances in means; default: they are skipped and counted"
    )
    resamples: Annotated[int, Field(ge=100)] = Field(default=2000, description="of the bootstrap over patients")
    seed: int = 0
    worst: Annotated[int, Field(ge=0)] = Field(default=5, description="cases listed as worst, and drawn in the report")
    jobs: Annotated[int, Field(ge=1)] = Field(default=1, description="cases measured at the same time")

    @field_validator("regions")
    @classmethod
    def _regions_have_members(cls, regions: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for name, members in regions.items():
            if not members or min(members) < 1:
                raise ValueError(f"region '{name}' needs values of 1 or more")
        return regions


def options_from(
    config: Path | None = None,
    *,
    classes: Sequence[str] | None = None,
    regions: Sequence[str] | None = None,
    tolerances: Sequence[float] | None = None,
    objects: str | None = None,
    jobs: int | None = None,
    overrides: Sequence[str] = (),
) -> EvaluateOptions:
    """Build options from a YAML file, the command line's own options on top, and ``a.b=c`` overrides on top of those.

    Parameters
    ----------
    config : Path, optional
        YAML with the fields of `EvaluateOptions`.
    classes : sequence of str, optional
        ``VALUE=NAME`` each.
    regions : sequence of str, optional
        ``NAME=VALUE,VALUE`` each.
    tolerances, objects, jobs
        As the fields.
    overrides : sequence of str
        ``a.b=c`` each.

    Raises
    ------
    UsageError
        When one is not of its form, or not a possible value.
    """
    values: dict[str, Any] = {} if config is None else read_yaml(config)
    if classes:
        values["classes"] = {_value(left, text): right for text in classes for left, right in [_split(text)]}
    if regions:
        values["regions"] = {
            left: [_value(part, text) for part in right.split(",")]
            for text in regions
            for left, right in [_split(text)]
        }
    given = {"tolerances_mm": tolerances, "objects": objects, "jobs": jobs}
    values |= {key: value for key, value in given.items() if value is not None}
    return build(EvaluateOptions, apply_overrides(values, overrides), where=config)


def _split(text: str) -> tuple[str, str]:
    left, equals, right = (part.strip() for part in text.partition("="))
    if not left or not equals or not right:
        raise UsageError(f"'{text}' is not of the form A=B", fix="Write for instance --class 1=liver --region both=1,2")
    return left, right


def _value(text: str, whole: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"'{text.strip()}' in '{whole}' is not a class value") from None
