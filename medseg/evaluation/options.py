"""What can be chosen about an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from medseg import resources
from medseg.config.bounds import AtLeast0, AtLeast1, ClassValue, MoreThan0, Resamples, Seed
from medseg.config.load import apply_overrides, build, read_yaml
from medseg.config.purpose import check_purpose
from medseg.config.strict import Strict

Fraction = Annotated[float, Field(gt=0, lt=1)]


class LesionRule(Strict):
    """Lesion-wise Dice.

    ``dilated`` is the rule of BraTS 2023 and 2024, which took 3 and 50 for glioma, 1 and 50 for meningioma, 1 and 2 for
    metastases; ``matched`` that of the challenge's package since, which needs neither number.
    """

    rule: Literal["dilated", "matched"] = Field(
        default="dilated",
        description="dilated: the rule of BraTS 2023 and 2024; matched: that of the challenge's package since then",
    )
    dilation: AtLeast0 = Field(
        default=3, description="dilations after which reference lesions that touch count as one; for the rule dilated"
    )
    minimum_mm3: Annotated[float, Field(ge=0)] = Field(
        default=50.0, description="lesions no larger than this are skipped; for the rule dilated"
    )


class EvaluateOptions(Strict):
    """Choices of an evaluation; the defaults measure everything but calibration, which needs probabilities."""

    classes: dict[ClassValue, str] | None = Field(
        default=None, description="names by value; measures these classes only. Default: those the files hold"
    )
    regions: dict[str, tuple[int, ...]] = Field(
        default={}, description="unions of classes measured as one more class each, by name: lists of values"
    )
    tolerances_mm: tuple[MoreThan0, ...] = Field(default=(1.0, 2.0), description="tolerances T of nsd@T, in mm")
    boundary_width_mm: MoreThan0 = Field(default=2.0, description="depth of the band of boundary_iou, mm")
    surfaces: bool = Field(default=True, description="measure distances; false measures overlap only")
    centerlines: bool = Field(
        default=False, description="measure cldice, for tubes: vessels, airways, nerves; thinning large organs is slow"
    )
    membranes: bool = Field(
        default=False,
        description="measure v_rand and v_info of the cells that a class leaves between it, as membranes do",
    )
    objects: Literal["components", "instances", "none"] = Field(
        default="components",
        description="objects are connected components of each class; or the files' values are ids of objects; or none",
    )
    neighbors: Literal["corners", "faces"] = Field(default="corners", description="which voxels are connected")
    object_iou: tuple[Fraction, ...] = Field(
        default=(0.5, 0.6, 0.7, 0.8, 0.9), description="thresholds of f1@T and ap@T"
    )
    lesions: LesionRule = LesionRule()
    froc_iou: Fraction = Field(default=0.1, description="IoU from which a predicted object hits a reference object")
    penalty_mm: MoreThan0 | None = Field(
        default=None, description="value used for infinite distances in means; default: they are skipped and counted"
    )
    n_bootstrap: Resamples = Field(default=2000, description="bootstrap resamples, over patients")
    seed: Seed = Field(default=0, description="seed of the bootstrap")
    worst: AtLeast0 = Field(default=5, description="worst cases to list, and to draw in the report")
    jobs: AtLeast1 = Field(default=1, description="cases measured at the same time")

    keep_names: bool = Field(
        default=False, description="leave file names that look like a patient's in case ids and reports"
    )

    @field_validator("regions")
    @classmethod
    def _regions_have_values(cls, regions: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        for name, values in regions.items():
            if not values or min(values) < 1:
                raise ValueError(f"region '{name}' needs values of 1 or more")
        return regions


def options_from(
    config: Path | str | EvaluateOptions | None = None, settings: Sequence[str] = (), **given: Any
) -> EvaluateOptions:
    """Build options from a configuration, the options given on top, and ``a.b=c`` settings on top of those.

    Raises
    ------
    ConfigError
        When one is not a possible value.
    """
    if isinstance(config, EvaluateOptions):
        values, where = config.model_dump(mode="json", exclude_unset=True), None
    else:
        where = None if config is None else resources.find("configs", config)
        values = {} if where is None else read_yaml(where)
        if where is not None and config is not None:
            check_purpose(values, "evaluation", name=config)
    values |= {key: value for key, value in given.items() if value is not None}
    return build(EvaluateOptions, apply_overrides(values, settings), where=where)
