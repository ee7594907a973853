"""What can be chosen about an evaluation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["EvaluateOptions", "LesionRule"]

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LesionRule(_Strict):
    """Lesion-wise Dice: BraTS takes 3 and 50 for glioma, 1 and 50 for meningioma, 1 and 2 for metastases."""

    dilation: Annotated[int, Field(ge=0)] = 3
    minimum_mm3: Annotated[float, Field(ge=0)] = 50.0


class EvaluateOptions(_Strict):
    """Choices of an evaluation; the defaults measure everything but calibration, which needs scores."""

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
    neighbours: Literal["corners", "faces"] = Field(default="corners", description="which voxels are connected")
    object_iou: tuple[Share, ...] = Field(default=(0.5, 0.6, 0.7, 0.8, 0.9), description="thresholds of f1@T and ap@T")
    lesions: LesionRule = LesionRule()
    froc_iou: Share = Field(default=0.1, description="IoU from which a predicted object hits a reference object")
    penalty_mm: Positive | None = Field(
        default=None, description="stands in for infinite distances in means; default: they are left out and counted"
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
